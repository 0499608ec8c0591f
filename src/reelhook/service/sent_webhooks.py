"""The use case "what was sent?": the requests of a delivery's attempts, to compare with a receiver.

Only the time of an attempt and its event are stored. Its request is made again from these, with
the secrets of now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reelhook.core.signing import Signing
from reelhook.domain.caller import Caller, Scope
from reelhook.domain.conflicts import EndpointLockedError
from reelhook.domain.delivery import ATTEMPT_SECONDS, Attempt
from reelhook.domain.endpoint import DEFAULT_FORMAT, MASK, Endpoint
from reelhook.domain.errors import EndpointNotFoundError
from reelhook.domain.signature import signed_content
from reelhook.ports import DeliveryLogStore, SentBody

ATTEMPTS_MAX = 30
_UNSIGNED = frozenset(
    {"Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "X-Timestamp"}
)
"""The headers for anyone who reads deliveries. With a signature they could be replayed."""


class SentStore(DeliveryLogStore, Protocol):
    """Reads what was sent, and where."""

    async def endpoint(self, endpoint_id: str, *, project: str | None = None) -> Endpoint:
        """Return an endpoint. Raises `EndpointNotFoundError`."""
        ...


@dataclass(frozen=True, slots=True)
class SentAttempt:
    """An attempt, with its request. `body` None: the event was removed.

    `headers` are those that the request has with the secrets of now; the values of the endpoint's
    own headers are masked. They have no signature unless `signed`: the caller may not send, the
    request's own secret signs, or the endpoint is gone or locked. `signed_bytes` is the length of
    the text that the signature is of.
    """

    attempt: Attempt
    body: bytes | None
    headers: Mapping[str, str] = field(repr=False)
    signed_bytes: int = 0
    signed: bool = False
    own_secret: bool = False


class SentWebhooks:
    """The requests of attempts, over one store."""

    def __init__(self, store: SentStore, signing: Signing) -> None:
        self._store = store
        self._signing = signing

    async def of_delivery(self, caller: Caller, delivery_id: int) -> list[SentAttempt]:
        """Return the newest attempts of a delivery and of its resends, the newest first.

        Raises `DeliveryNotFoundError`.
        """
        caller.require(Scope.READ)
        stored = await self._store.delivery(delivery_id, project=caller.sees)
        attempts = await self._store.attempts(delivery_id, ATTEMPTS_MAX)
        sequences = sorted({attempt.sequence for attempt in attempts})
        bodies = await self._store.sent_bodies(delivery_id, sequences)
        of_sequence = {body.sequence: body for body in bodies}
        try:
            endpoint = await self._store.endpoint(stored.delivery.endpoint_id, project=caller.sees)
        except EndpointNotFoundError:
            endpoint = None
        return [
            self._sent(caller, attempt, of_sequence.get(attempt.sequence), endpoint)
            for attempt in attempts
        ]

    def _sent(
        self, caller: Caller, attempt: Attempt, body: SentBody | None, endpoint: Endpoint | None
    ) -> SentAttempt:
        if body is None or endpoint is None:
            return SentAttempt(attempt, None if body is None else body.body, {})
        now = attempt.started_at
        try:
            request = self._signing.request(
                endpoint,
                body.body,
                message_id=body.event_id,
                now=now,
                timeout_seconds=ATTEMPT_SECONDS,
                body_format=body.format or DEFAULT_FORMAT,
            )
        except EndpointLockedError:
            return SentAttempt(attempt, body.body, {})
        own = {name for name, _ in endpoint.headers}
        headers = {name: MASK if name in own else text for name, text in request.headers.items()}
        signed = caller.allows(Scope.OPERATE) and not body.own_secret
        if not signed:
            shown = _UNSIGNED | own
            headers = {name: text for name, text in headers.items() if name in shown}
        content = signed_content(body.event_id, str(now // 1000), body.body)
        return SentAttempt(
            attempt, body.body, headers, len(content), signed=signed, own_secret=body.own_secret
        )
