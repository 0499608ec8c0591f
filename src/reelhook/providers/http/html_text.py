"""The visible text of an HTML page, with which proxies and load balancers often refuse."""

import html
import re

_UNSEEN = re.compile(r"<(script|style|head)\b(?!.*<title).*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


def visible_text(text: str) -> str:
    """Return the visible text of a page; a text that is not a page is unchanged."""
    if not text.lstrip()[:15].lower().startswith(("<html", "<!doctype html", "<head", "<body")):
        return text
    return " ".join(html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text))).split())
