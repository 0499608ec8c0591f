"""The causes that need a person: each with its words, and the page on which it can be ended."""

from dataclasses import dataclass, replace

from reelhook.domain.caller import Caller
from reelhook.domain.causes.cause import Cause, Harm, HeldUp, Thing
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
    facts = row.cause.facts
    if (endpoint := facts.get("endpoint")) is not None:
        return view.to("webhooks", endpoint)
    match row.cause.name.harm, row.things:
        case Harm.MONEY, Thing.FILES:
            return view.to("archive")
        case Harm.MONEY, _:
            return view.to("jobs", row.job_ids[0]) if len(row.job_ids) == 1 else _doubt(view, row)
        case Harm.WEBHOOKS, _:
            return view.to("webhooks")
    if row.cause.name.value in {"paused", "store_slow", "no_worker"}:
        return view.to("system")
    if row.cause.name.value == "over_budget":
        return view.to("costs")
    if row.cause.name.value == "archive_paused":
        return view.to("archive")
    return view.to("providers")


def _doubt(view: View, row: HeldUp) -> str:
    in_doubt = row.cause.name.value.startswith("in_doubt")
    return view.to("jobs", q="status:doubt" if in_doubt else None)
