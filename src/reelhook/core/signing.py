"""Makes signed requests to receivers from a body, an endpoint and the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reelhook.core.payloads import FormatHeaders
from reelhook.domain.conflicts import EndpointLockedError
from reelhook.domain.encryption import is_encrypted
from reelhook.domain.endpoint import DEFAULT_FORMAT, Endpoint
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
    """Makes signed requests. Every attempt gets a new signature.

    `headers_of` adds the headers of formats that have their own, by name.
    """

    secrets: Secrets
    user_agent: str
    private_keys: tuple[PrivateKey, ...] = ()
    headers_of: Mapping[str, FormatHeaders] = field(default_factory=dict)

    def request(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        message_id: str,
        now: Instant,
        timeout_seconds: float,
        url: str | None = None,
        secret: str | None = None,
        body_format: str = DEFAULT_FORMAT,
    ) -> SignedRequest:
        """Return the request of one attempt. `url` and `secret` override the endpoint's own.

        Raises `EndpointLockedError` if a secret that it needs can't be decrypted here.
        """
        if endpoint.locked or (secret is not None and is_encrypted(secret)):
            raise EndpointLockedError(endpoint.id)
        secret, previous = (secret, None) if secret else self._secrets(endpoint, now)
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
        if body_format in self.headers_of:
            headers |= self.headers_of[body_format](body, previous or secret, now)
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
