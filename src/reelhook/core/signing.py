"""Makes signed requests to receivers from a body, an endpoint and the time."""

from dataclasses import dataclass, field

from reelhook.domain.conflicts import EndpointLockedError
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.event import Instant
from reelhook.domain.signature import sign
from reelhook.domain.signing_keys import PrivateKey
from reelhook.ports import SignedRequest


@dataclass(frozen=True, slots=True)
class Secrets:
    """The installation's secrets, for endpoints that have none."""

    secret: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Signing:
    """Makes signed requests. Every attempt gets a new signature."""

    secrets: Secrets
    user_agent: str
    private_keys: tuple[PrivateKey, ...] = ()

    def request(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        message_id: str,
        now: Instant,
        timeout_seconds: float,
        url: str | None = None,
    ) -> SignedRequest:
        """Return the request of one attempt. `url` overrides the endpoint's own URL.

        Raises `EndpointLockedError` if the endpoint's secrets can't be decrypted here.
        """
        if endpoint.locked:
            raise EndpointLockedError(endpoint.id)
        secret, previous = self.secrets.secret, self.secrets.previous
        if endpoint.secret is not None:
            secret, previous = endpoint.secret, endpoint.honoured_previous(now)
        headers = dict(endpoint.headers)
        headers |= {"Content-Type": "application/json", "User-Agent": self.user_agent}
        headers |= sign(
            body,
            message_id=message_id,
            now=now,
            secret=secret,
            previous=previous,
            private_keys=self.private_keys,
        )
        return SignedRequest(
            url=url or endpoint.url,
            body=body,
            headers=headers,
            trusted=endpoint.trusted,
            timeout_seconds=timeout_seconds,
        )
