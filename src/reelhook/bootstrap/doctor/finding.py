"""What was found: one subject, how it fares, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a subject fares. A warning hinders nothing, but is likely a mistake."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """`message` says what is, and where something is to be done, what."""

    subject: str
    verdict: Severity
    message: str


def ok(subject: str, message: str) -> Finding:
    """All is well."""
    return Finding(subject, Severity.OK, message)


def warning(subject: str, message: str) -> Finding:
    """It works, and is likely not what is meant."""
    return Finding(subject, Severity.WARNING, message)


def failed(subject: str, message: str) -> Finding:
    """It does not work."""
    return Finding(subject, Severity.FAILED, message)
