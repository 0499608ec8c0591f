"""The causes that need a person: each with its words, and the page on which it can be ended."""

from dataclasses import dataclass, replace

from reelhook.domain.caller import Caller
from reelhook.domain.causes.cause import Cause, CauseName, Harm, HeldUp, Thing
from reelhook.domain.event import Instant
from reelhook.doors.causes import CauseWords, words_of
from reelhook.doors.web.states import State
from reelhook.doors.web.view import View

_TONES = {
    Harm.MONEY: State("money", "doubt", "question"),
    Harm.STOPPED: State("stopped", "bad", "stop"),
    Harm.WEBHOOKS: State("webhooks", "warn", "retry"),
    Harm.SLOW: State("slow", "wait", "queue"),
}
_OF_JOBS = frozenset(
    {
        *(CauseName.IN_DOUBT, CauseName.IN_DOUBT_LOOKING, CauseName.NEAR_MAX_AGE),
        *(CauseName.ACCOUNT_FULL, CauseName.FILES_AWAITED, CauseName.PROVIDER_SLOW),
    }
)
"""Causes that are looked at job by job."""
_PAGES = {
    CauseName.EXPIRING: "archive",
    CauseName.ARCHIVE_PAUSED: "archive",
    CauseName.PAUSED: "system",
    CauseName.STORE_SLOW: "system",
    CauseName.NO_WORKER: "system",
    CauseName.OVER_BUDGET: "costs",
}
_ONE = {Thing.JOBS: "job", Thing.WEBHOOKS: "webhook", Thing.FILES: "file"}


@dataclass(frozen=True, slots=True)
class ShownCause:
    """A cause in words. `held` is what it holds up, like `214 jobs`; `to` is its page."""

    name: str
    state: State
    words: CauseWords
    since: Instant | None
    next_at: Instant | None
    held: str | None = None
    to: str | None = None
    job_ids: tuple[str, ...] = ()


def shown_cause(cause: Cause, caller: Caller) -> ShownCause:
    """Return a cause as a page shows it."""
    state = _TONES[cause.name.harm]
    return ShownCause(cause.name.value, state, words_of(cause, caller), cause.since, cause.next_at)


async def attention_of(view: View) -> list[ShownCause]:
    """Return what needs a person, the worst first."""
    return [_shown_row(view, row) for row in await view.gateway.attention.all(view.who)]


def _shown_row(view: View, row: HeldUp) -> ShownCause:
    one = shown_cause(row.cause, view.who)
    held = None
    if row.count:
        more = "+" if row.more else ""
        plural = "" if row.count == 1 else "s"
        held = f"{row.count:,}{more} {_ONE[row.things]}{plural}"
    return replace(one, held=held, to=_page_of(view, row), job_ids=row.job_ids)


def _page_of(view: View, row: HeldUp) -> str:
    """Return the address of the page on which a cause can be ended, or seen."""
    name = row.cause.name
    if (endpoint := row.cause.facts.get("endpoint")) is not None:
        return view.to("webhooks", endpoint)
    if name in _OF_JOBS:
        if len(row.job_ids) == 1 and row.count == 1:
            return view.to("jobs", row.job_ids[0])
        return view.to("jobs", q="status:doubt" if name is CauseName.IN_DOUBT else f"cause:{name}")
    return view.to(_PAGES.get(name, "providers"))
