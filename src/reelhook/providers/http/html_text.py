"""The words of a web page: what stands before a server mostly refuses with one."""

import html
import re

_UNSEEN = re.compile(r"<(script|style|head)\b(?!.*<title).*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


def plain(text: str) -> str:
    """Return what a reader of a page would see; a text that is none as it is."""
    if not text.lstrip()[:15].lower().startswith(("<html", "<!doctype html", "<head", "<body")):
        return text
    return " ".join(html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text))).split())
