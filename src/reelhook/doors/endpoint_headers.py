"""The headers that an endpoint may have: any but those that reelhook sets."""

import re
from collections.abc import Mapping

HEADERS_MAX = 20
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]{0,1024}")
_OURS = re.compile(
    r"(webhook-.*|x-signature|x-timestamp|x-ai-gateway-(signature|idempotency-key)|host|content-.*|user-agent|connection|keep-alive"
    r"|transfer-encoding|te|trailer|upgrade|expect|proxy-.*)",
    re.IGNORECASE,
)


def headers_refusal(headers: Mapping[str, str]) -> str | None:
    """Return what is wrong with an endpoint's headers, as the end of a sentence; None: nothing."""
    if len(headers) > HEADERS_MAX:
        return f"must be at most {HEADERS_MAX}"
    if len({name.lower() for name in headers}) < len(headers):
        return "must name each header once"
    return next(filter(None, (_refusal(*header) for header in headers.items())), None)


def _refusal(name: str, value: str) -> str | None:
    if not _NAME.fullmatch(name):
        return f"must have header names of letters, digits and hyphens, not {name!r}"
    if _OURS.fullmatch(name):
        return f"must not have {name}: reelhook sets it"
    if not _VALUE.fullmatch(value):
        return f"must give {name} at most 1024 visible ASCII characters"
    return None
