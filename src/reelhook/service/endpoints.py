"""The use cases about endpoints: register them, change them, rotate their secrets, test them."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import TypedDict

from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.conflicts import InstallationSecretError
from reelhook.domain.delivery import ATTEMPT_SECONDS, WebhookResponse
from reelhook.domain.endpoint import Endpoint, EndpointKind, EventName
from reelhook.domain.errors import CommitUnknownError, EndpointConflictError
from reelhook.domain.event import Instant, iso
from reelhook.domain.ids import new_id
from reelhook.ports import Clock, EndpointStore, Sender

SECRET_BITS = 24 * 8


class EndpointFields(TypedDict, total=False):
    """What a caller may choose of an endpoint; see `Endpoint`. What is left out stays."""

    url: str
    description: str | None
    events: frozenset[EventName]
    headers: tuple[tuple[str, str], ...]
    concurrency: int | None
    broadcast: bool


class Endpoints:
    """The endpoints, over one store."""

    def __init__(
        self,
        store: EndpointStore,
        sender: Sender,
        signing: Signing,
        signals: Signals,
        *,
        overlap_hours: float,
        clock: Clock,
        random: Random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._signing = signing
        self._signals = signals
        self._overlap_milliseconds = round(overlap_hours * 3_600_000)
        self._clock = clock
        self._random = random

    async def register(
        self, url: str, fields: EndpointFields, *, secret: str | None = None, trusted: bool = False
    ) -> Endpoint:
        """Store a new endpoint; without a `secret` it is given one. Twice is two endpoints.

        `trusted`: the operator names the URL, so no address is refused. Raises
        `InvalidRequestError` for a header without a value of its own.
        """
        now = self._clock.now()
        endpoint = Endpoint(
            id=new_id("ep", now, self._random),
            kind=EndpointKind.REGISTERED,
            url=url,
            trusted=trusted,
            created_at=now,
            secret=secret or self._made_secret(),
        )
        endpoint = replace(endpoint, **_without_masks(endpoint, fields))
        with self._changing(endpoint.id):
            await self._store.create_endpoint(endpoint)
        return endpoint

    async def all(self) -> list[Endpoint]:
        """Return the registered endpoints and the default one, oldest first."""
        return await self._store.endpoints()

    async def held_back(self) -> list[Endpoint]:
        """Return the endpoints, jobs' own URLs too, that fail or were disabled."""
        return await self._store.endpoints_held_back()

    async def one(self, endpoint_id: str) -> Endpoint:
        """Return one endpoint. Raises `EndpointNotFoundError`."""
        return await self._store.endpoint(endpoint_id)

    async def change(
        self,
        endpoint_id: str,
        fields: EndpointFields,
        *,
        enabled: bool | None = None,
        trusted: bool = False,
    ) -> Endpoint:
        """Change what is given. `enabled` sends again, what waits first; or holds everything back.

        A header's `MASK` keeps its value. Raises `EndpointNotFoundError`, `InvalidRequestError`,
        and `EndpointConflictError` where that is decided elsewhere.
        """
        now = self._clock.now()

        def changed(endpoint: Endpoint) -> Endpoint:
            _check_changeable(endpoint, fields)
            after = replace(endpoint, **_without_masks(endpoint, fields)) if fields else endpoint
            if after.url != endpoint.url:
                after = replace(after, trusted=trusted)
            if enabled is None:
                return after
            return after.enable() if enabled else after.disable(now)

        with self._changing(endpoint_id):
            return await self._store.change_endpoint(endpoint_id, changed)

    async def remove(self, endpoint_id: str) -> None:
        """End an endpoint with all that waits for it. Raises as `change`."""
        endpoint = await self._store.endpoint(endpoint_id)
        if endpoint.kind is EndpointKind.DEFAULT:
            raise EndpointConflictError("The default endpoint is WEBHOOK_URL's; unset that instead")
        if endpoint.kind is EndpointKind.URL:
            raise EndpointConflictError("A job brought this URL along; disable it instead")
        with self._changing(endpoint_id):
            await self._store.delete_endpoint(endpoint_id, self._clock.now())

    async def rotate(
        self, endpoint_id: str, secret: str | None = None, overlap_hours: float | None = None
    ) -> Endpoint:
        """Sign with a new secret; the one so far signs along for `overlap_hours`.

        Raises `EndpointNotFoundError`, `EndpointConflictError` where the installation's secret
        signs.
        """
        now, made = self._clock.now(), secret or self._made_secret()
        overlap = self._overlap_milliseconds
        if overlap_hours is not None:
            overlap = round(overlap_hours * 3_600_000)

        def rotated(endpoint: Endpoint) -> Endpoint:
            if endpoint.kind is not EndpointKind.REGISTERED:
                raise InstallationSecretError(endpoint_id)
            return endpoint.rotated(made, now, overlap)

        with self._changing(endpoint_id):
            return await self._store.change_endpoint(endpoint_id, rotated)

    async def test(self, endpoint_id: str) -> WebhookResponse:
        """Send a test event now, once; return how the receiver answered. It changes nothing.

        Raises `EndpointNotFoundError`.
        """
        endpoint = await self._store.endpoint(endpoint_id)
        now = self._clock.now()
        message_id = new_id("evt_test", now, self._random)
        request = self._signing.request(
            endpoint,
            test_event(message_id, now),
            message_id=message_id,
            now=now,
            timeout_seconds=ATTEMPT_SECONDS,
        )
        return await self._sender.send(request)

    @contextmanager
    def _changing(self, endpoint_id: str) -> Iterator[None]:
        """Have everybody read endpoints again, also where it is not known what was written."""
        try:
            yield
        except CommitUnknownError as error:
            raise error.naming(endpoint_id=endpoint_id) from error
        finally:
            self._signals.endpoints_changed()

    def _made_secret(self) -> str:
        key = self._random.getrandbits(SECRET_BITS).to_bytes(SECRET_BITS // 8, "big")
        return "whsec_" + base64.b64encode(key).decode()


def _check_changeable(endpoint: Endpoint, fields: EndpointFields) -> None:
    if endpoint.kind is EndpointKind.DEFAULT and "url" in fields:
        raise EndpointConflictError("The default endpoint's URL is WEBHOOK_URL; set that instead")
    if endpoint.kind is EndpointKind.URL and fields:
        raise EndpointConflictError(
            "A job brought this URL along; only whether it is enabled can be changed"
        )


def _without_masks(endpoint: Endpoint, fields: EndpointFields) -> EndpointFields:
    if "headers" not in fields:
        return fields
    return {**fields, "headers": endpoint.with_masked_kept(fields["headers"])}


def test_event(message_id: str, now: Instant) -> bytes:
    """A webhook like any other, but for `test`; no job has this id."""
    content = {
        "jobId": message_id,
        "soraJobId": None,
        "status": "queued",
        "progress": 0,
        "timestamp": iso(now),
        "sequence": 1,
        "test": True,
    }
    return json.dumps(content, separators=(",", ":")).encode()
