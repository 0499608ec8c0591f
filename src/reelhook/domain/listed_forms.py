"""The forms in which a listing shows requests: unchanged, normalised, renamed or truncated."""

import html
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from reelhook.domain.report import Entry
from reelhook.domain.request import VideoRequest

Values = frozenset[tuple[str, str]]
"""Names of a request's parameters, each with the requested value."""


class ListedForms:
    """Decides whether an entry may belong to a request, by entries whose requests we know."""

    def __init__(self, created: Sequence[tuple[Entry, VideoRequest]]) -> None:
        self._created = created

    def may_be(self, request: VideoRequest, entry: Entry) -> bool:
        """Return True if an entry's model, length and size may be the request's.

        Servers normalise sizes and lengths, and rename models. So a difference counts only if an
        entry of ours with the same requested value shows it unchanged.
        """
        same, changed = self._values
        return not (_differences(request, entry) & (same - changed))

    def may_have_prompt(self, request: VideoRequest, entry: Entry) -> bool:
        """Return True if an entry's prompt may be the request's, as this listing shows prompts.

        If it shows a prompt of ours of this length unchanged, only the form may differ.
        """
        if _folded(entry.prompt or "") == _folded(request.prompt):
            return True
        whole = any(length >= len(request.prompt) for length in self._verbatim)
        return not whole and self.may_be(request, entry)

    def may_be_altered(self, request: VideoRequest, entry: Entry) -> bool:
        """Return True if an entry that fits another request exactly may still be this one's.

        A truncated prompt can equal a shorter one, and an extended prompt a longer one. Entries of
        ours that are listed unchanged are evidence against that: by a prompt of such a length, or
        by an unchanged length and size if the requests differ in those.
        """
        same, changed = self._values
        kept = {name for name, _ in same} - {name for name, _ in changed}
        if any(name in kept for name, _ in _differences(request, entry)):
            return False
        shown, requested = _folded(entry.prompt or ""), _folded(request.prompt)
        if shown == requested:
            return True
        if shown in requested:
            return not any(length > len(entry.prompt or "") for length in self._verbatim)
        if requested in shown:
            return not any(length <= len(request.prompt) for length in self._verbatim)
        return False

    @cached_property
    def _values(self) -> tuple[Values, Values]:
        """The requested values that our entries show unchanged, and those they show changed."""
        same: set[tuple[str, str]] = set()
        changed: set[tuple[str, str]] = set()
        for entry, request in self._created:
            differences = _differences(request, entry)
            changed |= differences
            same |= {(name, wanted) for name, wanted, _ in _values(request, entry)}
            same -= differences
        return frozenset(same), frozenset(changed)

    @cached_property
    def _verbatim(self) -> Collection[int]:
        """The lengths of our prompts that the listing shows unchanged."""
        return {
            len(request.prompt)
            for entry, request in self._created
            if entry.prompt == request.prompt
        }


def _values(request: VideoRequest, entry: Entry) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the requested and the listed form of each value that has both."""
    shown = {
        "model": entry.model,
        "seconds": entry.seconds,
        "size": entry.size,
        "remix_of": entry.remix_of,
    }
    for name, listed in shown.items():
        wanted: str | None = getattr(request, name)
        if wanted and listed is not None:
            yield name, wanted, listed


def _differences(request: VideoRequest, entry: Entry) -> Values:
    return frozenset(
        (name, wanted)
        for name, wanted, listed in _values(request, entry)
        if wanted not in {listed, *_names(name, entry)}
    )


def _names(name: str, entry: Entry) -> tuple[str, ...]:
    return entry.also_called if name == "model" else ()


def _folded(prompt: str) -> str:
    """Reduce a prompt to its letters and digits, which escaping and normalising leave unchanged."""
    plain = unicodedata.normalize("NFKC", html.unescape(prompt)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())
