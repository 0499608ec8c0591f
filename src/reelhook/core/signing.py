"""Makes signed requests to receivers from a body, an endpoint and the time."""

from dataclasses import dataclass, field

from reelhook.domain.conflicts import EndpointLockedError
from reelhook.domain.encryption import is_encrypted
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
        if self.locked(endpoint):
            raise EndpointLockedError(endpoint.id)
        secrets = self._secrets_of(endpoint, now)
        headers = dict(endpoint.headers)
        headers |= {"Content-Type": "application/json", "User-Agent": self.user_agent}
        headers |= sign(
            body,
            message_id=message_id,
            now=now,
            secret=secrets.secret,
            previous=secrets.previous,
            private_keys=self.private_keys,
        )
        return SignedRequest(
            url=url or endpoint.url,
            body=body,
            headers=headers,
            trusted=endpoint.trusted,
            timeout_seconds=timeout_seconds,
        )

    def locked(self, endpoint: Endpoint) -> bool:
        """Return True if this process can't decrypt what it needs to send to the endpoint."""
        return endpoint.locked or is_encrypted(self._secrets_of(endpoint, 0).secret)

    def _secrets_of(self, endpoint: Endpoint, now: Instant) -> Secrets:
        if endpoint.secret is None:
            return self.secrets
        return Secrets(endpoint.secret, endpoint.honoured_previous(now))
