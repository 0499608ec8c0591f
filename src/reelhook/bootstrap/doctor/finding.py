"""Findings: a subject, a severity, and a message with the remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The severity of a finding. A warning blocks nothing, but is probably a mistake."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `message` says what is wrong, and what to do about it."""

    subject: str
    verdict: Severity
    message: str


def ok(subject: str, message: str) -> Finding:
    """Return a finding without a fault."""
    return Finding(subject, Severity.OK, message)


def warning(subject: str, message: str) -> Finding:
    """Return a finding that is probably a mistake."""
    return Finding(subject, Severity.WARNING, message)


def failed(subject: str, message: str) -> Finding:
    """Return a finding of a fault."""
    return Finding(subject, Severity.FAILED, message)
