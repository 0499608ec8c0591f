"""Operations that find the job of a repeated request. None of them creates one."""

from reelhook.domain.client_call import EarlierCall
from reelhook.ports import ClientTry, Created, IdempotencyKey
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import client_calls, deleting, idempotency


def of_key(key: IdempotencyKey) -> Operation[Created | None]:
    """Return the job that this key created. Raises `JobDeletedError`."""
    before = yield from idempotency.find(key)
    if before:
        yield from deleting.check_not_deleted(before.job_id)
    return before


def join(one: ClientTry) -> Operation[str | None]:
    """Give a try the job of its call, if the call has one, and return its id.

    Equal tries that come at once wait for each other, so each count gets the job once. Raises
    `CallNotSettledError`, or `JobDeletedError`.
    """
    yield Statement(f"SELECT {client_calls.LOCK}", (client_calls.lock_of(one),))
    call = yield from client_calls.find(one)
    replay = yield from of_call(one, call)
    return None if replay is None else replay.job_id


def of_call(one: ClientTry, call: EarlierCall | None) -> Operation[Created | None]:
    """Give a try the job of this call, if it has one. Raises `JobDeletedError`."""
    if call is None or call.job_id is None:
        return None
    yield from deleting.check_not_deleted(call.job_id)
    yield from client_calls.keep(one, call, call.job_id)
    return Created(call.job_id, replayed=True)
