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
    """The installation's secrets, for endpoints of `default` that have none."""

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
        secret, previous = self._secrets(endpoint, now)
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

    def _secrets(self, endpoint: Endpoint, now: Instant) -> tuple[str, str | None]:
        """Return the secret that signs, and the previous one while it also signs."""
        if endpoint.secret is not None:
            return endpoint.secret, endpoint.honoured_previous(now)
        if endpoint.project_secrets is not None:
            secrets = endpoint.project_secrets
            return secrets.secret, secrets.honoured_previous(now)
        return self.secrets.secret, self.secrets.previous
