"""Callback: the addresses of ours that providers call, which nobody can guess."""

import hmac
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

_MAC_CHARACTERS = 32
"""128 bits in hex."""


class SubjectKind(StrEnum):
    """Whose address it is."""

    JOB = "job"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a call is about: a job, or an account whose jobs are named in the call's body."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True)
class CallbackAddresses:
    """Makes the addresses, and reads them. `key` is the installation's.

    `offered` are the accounts whose providers take an address along with a submit, by their
    provider: none where no provider could reach us.
    """

    public_url: str
    key: str
    offered: dict[str, str]

    def url(self, account: str, job_id: str) -> str | None:
        """Return a job's address, where its provider takes one along."""
        provider = self.offered.get(account)
        if provider is None:
            return None
        return self.address(provider, Subject(SubjectKind.JOB, job_id))

    def address(self, provider: str, subject: Subject) -> str:
        """Return the address at which a provider may call about this."""
        return f"{self.public_url}/providers/{provider}/webhook/{self._token(provider, subject)}"

    def subject(self, provider: str, token: str) -> Subject | None:
        """Return whom an address is about; None where it is not one of ours."""
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
