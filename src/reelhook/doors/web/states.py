"""The states of things as pages show them: a word, a tone and a shape, never a colour alone."""

from typing import NamedTuple

from reelhook.domain.archive import FileState
from reelhook.domain.delivery import Attempt
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.job import Job, Status
from reelhook.gateway import StoredDelivery


class State(NamedTuple):
    """The word, the tone (a class of the style sheet) and the icon's name."""

    word: str
    tone: str
    icon: str


ACCEPTED = State("accepted", "wait", "dot")
_OF_JOBS = {
    Status.ACCEPTED: ACCEPTED,
    Status.SUBMITTING: State("creating", "busy", "up"),
    Status.QUEUED: State("queued", "wait", "queue"),
    Status.PROCESSING: State("rendering", "busy", "spin"),
    Status.COMPLETED: State("completed", "good", "check"),
    Status.FAILED: State("failed", "bad", "cross"),
    Status.CANCELED: State("canceled", "off", "stop"),
}
_OF_DELIVERIES = {
    "waiting": State("waiting", "wait", "queue"),
    "delivered": State("delivered", "good", "check"),
    "failed": State("failed", "bad", "cross"),
    "ended": State("refused for good (410)", "off", "stop"),
    None: State("nothing to send yet", "off", "dot"),
}
_OF_FILES = {
    FileState.WAITING: State("waiting", "wait", "queue"),
    FileState.STORED: State("stored", "good", "check"),
}


def job_state(job: Job) -> State:
    """Return the state of a job."""
    if job.in_doubt_now:
        return State("in doubt", "doubt", "question")
    return _OF_JOBS[job.status]


def status_state(status: str) -> State:
    """Return the state for the name of a job's status."""
    return _OF_JOBS[Status(status)] if status in set(Status) else State(status, "off", "dot")


def delivery_state(stored: StoredDelivery) -> State:
    """Return the state of a delivery; a waiting one that was tried before is being retried."""
    delivery = stored.delivery
    if delivery.state == "waiting" and delivery.attempts:
        return State("retrying", "warn", "retry")
    return _OF_DELIVERIES[delivery.state]


def attempt_state(attempt: Attempt) -> State:
    """Return the outcome of an attempt."""
    response = attempt.response
    word = str(response.status) if response.status is not None else (response.error or "failed")
    return State(word, "good" if response.succeeded else "bad", _tick(ok=response.succeeded))


def endpoint_state(endpoint: Endpoint) -> State:
    """Return the state of an endpoint."""
    if endpoint.disabled is not None:
        why = {"operator": "", "failing": ": it failed for 5 days", "gone": ": it responded 410"}
        return State(f"disabled{why[endpoint.disabled.value]}", "off", "stop")
    if endpoint.locked:
        return State("its secret can't be read", "bad", "lock")
    if endpoint.health.open:
        return State("held back: it fails", "bad", "cross")
    if endpoint.health.failures:
        return State("failing", "warn", "retry")
    return State("healthy", "good", "check")


def file_state(state: FileState) -> State:
    """Return the state of a file in the archive."""
    return _OF_FILES.get(state, State(state.value, "bad", "cross"))


def _tick(*, ok: bool) -> str:
    return "check" if ok else "cross"
