"""What `doctor` finds, by subject."""

from collections.abc import Mapping
from typing import Any

from reelhook.bootstrap import Finding, examine


async def found(
    *, environment: Mapping[str, str] | None = None, **given: Any
) -> dict[str, list[Finding]]:
    """Examine settings; return the findings by their subject."""
    settings = {"url": "http://127.0.0.1:9", "data_dir": "data"} | given
    findings: dict[str, list[Finding]] = {}
    for one in await examine(environment=environment or {}, **settings):
        findings.setdefault(one.subject, []).append(one)
    return findings


def told(findings: Mapping[str, list[Finding]], subject: str) -> tuple[str, str]:
    """Return the verdict on a subject, and the words."""
    [one] = findings[subject]
    return one.verdict.value, one.message
