"""The callback addresses that providers call. They can't be guessed."""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

_MAC_CHARACTERS = 32
"""128 bits in hex."""


class SubjectKind(StrEnum):
    """The kind of subject that an address is about."""

    JOB = "job"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a callback: a job, or an account whose jobs the callback's body names."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True)
class CallbackAddresses:
    """Makes the addresses and reads them; `key` belongs to the installation.

    `offered` maps accounts to their providers, if these accept an address with a create. It is
    empty if no provider could reach us.
    """

    public_url: str
    key: str = field(repr=False)
    offered: dict[str, str]

    def url(self, account: str, job_id: str) -> str | None:
        """Return a job's address, if its provider accepts one."""
        provider = self.offered.get(account)
        if provider is None:
            return None
        return self.address(provider, Subject(SubjectKind.JOB, job_id))

    def address(self, provider: str, subject: Subject) -> str:
        """Return the address at which a provider may call about the subject."""
        return f"{self.public_url}/providers/{provider}/webhook/{self._token(provider, subject)}"

    def subject(self, provider: str, token: str) -> Subject | None:
        """Return the subject of an address; None if the address is not one of ours."""
        kind, _, rest = token.partition(".")
        subject_id, _, _ = rest.rpartition(".")
        if kind not in set(SubjectKind):
            return None
        subject = Subject(SubjectKind(kind), subject_id)
        expected = self._token(provider, subject)
        return subject if hmac.compare_digest(token.encode(), expected.encode()) else None

    def _token(self, provider: str, subject: Subject) -> str:
        named = f"{subject.kind.value}.{subject.id}"
        mac = hmac.digest(self.key.encode(), f"callback:{provider}:{named}".encode(), sha256)
        return f"{named}.{mac.hex()[:_MAC_CHARACTERS]}"
