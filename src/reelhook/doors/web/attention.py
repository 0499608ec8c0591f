"""The causes that need a person: each with its words, and the page on which it can be ended."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from reelhook.domain.caller import Caller
from reelhook.domain.causes.cause import Cause, CauseName, Harm, HeldUp, Remedy, Thing
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
        *(CauseName.IN_DOUBT, CauseName.IN_DOUBT_LOOKING, CauseName.EXPIRING),
        CauseName.NEAR_MAX_AGE,
        *(CauseName.ACCOUNT_FULL, CauseName.FILES_AWAITED, CauseName.PROVIDER_SLOW),
    }
)
"""Causes that are looked at job by job."""
_PAGES = {
    CauseName.ARCHIVE_PAUSED: ("archive", "Open Archive"),
    CauseName.PAUSED: ("system", "Open System"),
    CauseName.STORE_SLOW: ("system", "Open System"),
    CauseName.NO_WORKER: ("system", "Open System"),
    CauseName.OVER_BUDGET: ("costs", "Open Costs"),
}
_ONE = {Thing.JOBS: "job", Thing.WEBHOOKS: "webhook", Thing.FILES: "file"}


class Link(NamedTuple):
    """The words of a link or a button, and its address."""

    words: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownCause:
    """A cause in words. `held` is what it holds up, like `214 jobs`; `to` is its page.

    `act` ends the cause at once, or shows whether it has ended; None: no button can do that here.
    """

    name: str
    state: State
    words: CauseWords
    since: Instant | None
    next_at: Instant | None
    held: str | None = None
    to: Link | None = None
    act: Link | None = None
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
    act = None if one.words.action is None else _act_of(view, row)
    return replace(one, held=held, to=_page_of(view, row), act=act, job_ids=row.job_ids)


def _act_of(view: View, row: HeldUp) -> Link | None:
    endpoint = row.cause.facts.get("endpoint")
    match row.cause.remedy:
        case Remedy.RESUME:
            return Link("Resume", view.to("system", "resume"))
        case Remedy.ENABLE_ENDPOINT:
            return Link("Enable it", view.to("webhooks", endpoint, "enable"))
        case Remedy.TEST_ENDPOINT:
            return Link("Send a test", view.to("webhooks", endpoint, "test"))
        case Remedy.CHECK_NOW if row.count == 1 and len(row.job_ids) == 1:
            return Link("Check now", view.to("jobs", row.job_ids[0], "check"))
        case _:
            return None


def _page_of(view: View, row: HeldUp) -> Link:
    """Return the address of the page on which a cause can be ended, or seen."""
    name = row.cause.name
    if (endpoint := row.cause.facts.get("endpoint")) is not None:
        return Link("Open the endpoint", view.to("webhooks", endpoint))
    if name in _OF_JOBS:
        if len(row.job_ids) == 1 and row.count == 1:
            return Link("Open the job", view.to("jobs", row.job_ids[0]))
        text = "status:doubt" if name is CauseName.IN_DOUBT else f"cause:{name}"
        return Link("Show the jobs", view.to("jobs", q=text))
    page, words = _PAGES.get(name, ("providers", "Open Providers"))
    return Link(words, view.to(page))
