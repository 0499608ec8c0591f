"""The use cases for endpoints: register them, change them, rotate their secrets, test them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import TypedDict

from reelhook.core.payloads import Formats
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.audit import Action, AuditEntry
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.conflicts import DefaultEndpointError, shared_secret_error
from reelhook.domain.delivery import ATTEMPT_SECONDS, WebhookResponse
from reelhook.domain.endpoint import ALL_EVENTS, Endpoint, EndpointKind, EventName
from reelhook.domain.errors import CommitUnknownError, EndpointConflictError
from reelhook.domain.ids import new_id
from reelhook.domain.signature import new_secret
from reelhook.ports import Clock, EndpointStore, Sender


class EndpointFields(TypedDict, total=False):
    """The fields of an `Endpoint` that a caller may choose. Those left out stay as they are."""

    url: str
    description: str | None
    events: frozenset[EventName]
    headers: tuple[tuple[str, str], ...]
    concurrency: int | None
    broadcast: bool
    format: str


class Endpoints:
    """The endpoints, over one store."""

    def __init__(
        self,
        store: EndpointStore,
        sender: Sender,
        signing: Signing,
        formats: Formats,
        signals: Signals,
        *,
        overlap_hours: float,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._signing = signing
        self._formats = formats
        self._signals = signals
        self._overlap_milliseconds = round(overlap_hours * 3_600_000)
        self._clock = clock
        self._random = random

    async def register(
        self,
        caller: Caller,
        url: str,
        fields: EndpointFields,
        *,
        secret: str | None = None,
        trusted: bool = False,
    ) -> Endpoint:
        """Store a new endpoint. Without a `secret`, one is generated. Not idempotent.

        `trusted`: the operator chose the URL, so no address is refused. Raises
        `InvalidRequestError` if a header's value is only the mask, or if its format does not exist
        or does not report its events.
        """
        caller.require(Scope.OPERATE)
        now = self._clock.now()
        endpoint = Endpoint(
            id=new_id("ep", now, self._random),
            kind=EndpointKind.REGISTERED,
            url=url,
            trusted=trusted,
            created_at=now,
            secret=secret or new_secret(self._random),
            project=caller.project,
        )
        endpoint = replace(endpoint, **_unmasked(endpoint, fields))
        self._check_format(endpoint, fields)
        with self._changing(endpoint.id):
            await self._store.create_endpoint(
                endpoint, self._entry(caller, Action.ENDPOINT_CREATED, endpoint.id)
            )
        return endpoint

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of the formats that an endpoint may have."""
        return self._formats.names

    async def all(self, caller: Caller) -> list[Endpoint]:
        """Return the registered endpoints and the default ones, oldest first."""
        caller.require(Scope.READ)
        return await self._store.endpoints(project=caller.sees)

    async def held_back(self, caller: Caller) -> list[Endpoint]:
        """Return the endpoints that fail, are disabled or locked, including URLs of single jobs."""
        caller.require(Scope.READ)
        held_back = await self._store.endpoints_held_back(project=caller.sees)
        known = {endpoint.id for endpoint in held_back}
        locked = [
            endpoint
            for endpoint in await self._store.endpoints(project=caller.sees)
            if endpoint.locked and endpoint.id not in known
        ]
        return held_back + locked

    async def one(self, caller: Caller, endpoint_id: str) -> Endpoint:
        """Return one endpoint. Raises `EndpointNotFoundError`."""
        caller.require(Scope.READ)
        return await self._store.endpoint(endpoint_id, project=caller.sees)

    async def change(
        self,
        caller: Caller,
        endpoint_id: str,
        fields: EndpointFields,
        *,
        enabled: bool | None = None,
        trusted: bool = False,
    ) -> Endpoint:
        """Change the given fields.

        `enabled` True sends again, waiting events first; False holds everything back. A header
        whose value is `MASK` keeps its stored value. Raises `EndpointNotFoundError`,
        `InvalidRequestError`, or `EndpointConflictError` if a field of this endpoint can't be
        changed here.
        """
        caller.require(Scope.OPERATE)
        now = self._clock.now()

        def changed(endpoint: Endpoint) -> Endpoint:
            _check_changeable(endpoint, fields)
            if "url" in fields and not caller.allows(Scope.OPERATOR):
                endpoint.check_headers_stay(fields["url"], fields.get("headers"))
            after = replace(endpoint, **_unmasked(endpoint, fields)) if fields else endpoint
            self._check_format(after, fields)
            if after.url != endpoint.url:
                after = replace(after, trusted=trusted)
            if enabled is None:
                return after
            return after.enable() if enabled else after.disable(now)

        with self._changing(endpoint_id):
            return await self._store.change_endpoint(
                endpoint_id,
                changed,
                self._entry(caller, Action.ENDPOINT_CHANGED, endpoint_id),
                project=caller.sees,
            )

    async def remove(self, caller: Caller, endpoint_id: str) -> None:
        """Remove an endpoint and its waiting events. Raises the same errors as `change`."""
        caller.require(Scope.OPERATE)
        endpoint = await self._store.endpoint(endpoint_id, project=caller.sees)
        if endpoint.kind is EndpointKind.DEFAULT:
            raise DefaultEndpointError(endpoint.project)
        if endpoint.kind is EndpointKind.URL:
            raise EndpointConflictError("This URL came with a job; disable it instead")
        with self._changing(endpoint_id):
            await self._store.delete_endpoint(
                endpoint_id,
                self._clock.now(),
                self._entry(caller, Action.ENDPOINT_REMOVED, endpoint_id),
                project=caller.sees,
            )

    async def rotate(
        self,
        caller: Caller,
        endpoint_id: str,
        secret: str | None = None,
        overlap_hours: float | None = None,
    ) -> Endpoint:
        """Sign with a new secret, and with the previous one too for `overlap_hours`.

        Raises `EndpointNotFoundError`, or `EndpointConflictError` if the secret of its project or
        the installation signs for this endpoint.
        """
        caller.require(Scope.OPERATE)
        now, new = self._clock.now(), secret or new_secret(self._random)
        overlap = self._overlap_milliseconds
        if overlap_hours is not None:
            overlap = round(overlap_hours * 3_600_000)

        def rotated(endpoint: Endpoint) -> Endpoint:
            if endpoint.kind is not EndpointKind.REGISTERED:
                raise shared_secret_error(endpoint)
            return endpoint.rotated(new, now, overlap)

        with self._changing(endpoint_id):
            return await self._store.change_endpoint(
                endpoint_id,
                rotated,
                self._entry(caller, Action.ENDPOINT_ROTATED, endpoint_id),
                project=caller.sees,
            )

    async def test(self, caller: Caller, endpoint_id: str) -> WebhookResponse:
        """Send a test event once, now, and return the receiver's response. Nothing is changed.

        Raises `EndpointNotFoundError`, or `EndpointLockedError`.
        """
        caller.require(Scope.OPERATE)
        endpoint = await self._store.endpoint(endpoint_id, project=caller.sees)
        now = self._clock.now()
        message_id = new_id("evt_test", now, self._random)
        request = self._signing.request(
            endpoint,
            self._formats.of(endpoint.format).test_body(message_id, now),
            message_id=message_id,
            now=now,
            timeout_seconds=ATTEMPT_SECONDS,
            body_format=endpoint.format,
        )
        return await self._sender.send(request)

    def _check_format(self, endpoint: Endpoint, fields: EndpointFields) -> None:
        """Raise `InvalidRequestError` if its format does not exist, or can't report its events.

        An endpoint that gets all events of jobs gets those that its format reports.
        """
        if "format" in fields:
            self._formats.check(endpoint.format)
        if fields.keys() & {"format", "events"} and endpoint.events != ALL_EVENTS:
            self._formats.check_events(endpoint.format, endpoint.events)

    def _entry(self, caller: Caller, action: Action, endpoint_id: str) -> AuditEntry:
        return AuditEntry.by(caller, self._clock.now(), action, endpoint_id, caller.project)

    @contextmanager
    def _changing(self, endpoint_id: str) -> Iterator[None]:
        """Make every process read endpoints again afterwards, even if the commit is uncertain."""
        try:
            yield
        except CommitUnknownError as error:
            raise error.naming(endpoint_id=endpoint_id) from error
        finally:
            self._signals.endpoints.publish()


def _check_changeable(endpoint: Endpoint, fields: EndpointFields) -> None:
    if endpoint.kind is EndpointKind.DEFAULT and "url" in fields:
        raise DefaultEndpointError(endpoint.project)
    if endpoint.kind is EndpointKind.URL and fields:
        raise EndpointConflictError("This URL came with a job; it can only be enabled or disabled")


def _unmasked(endpoint: Endpoint, fields: EndpointFields) -> EndpointFields:
    if "headers" not in fields:
        return fields
    return {**fields, "headers": endpoint.with_masked_kept(fields["headers"])}
