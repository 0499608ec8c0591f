"""Unresolved creates, listed entries, and a look at them, for the tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.listing import Listing, ListingFacts
from reelhook.domain.reconciliation import Others, resolve
from reelhook.domain.report import Entry, Progress
from reelhook.domain.request import VideoRequest

from .samples import MINUTE, NOW

CAT = VideoRequest(prompt="A cat in the rain", model="sora-2", seconds="4", size="720x1280")
DOG = replace(CAT, prompt="A dog in the snow")
RUNNING = Progress(running=True)
NOTHING: tuple[str, ...] = ()
LOOKED_AT = NOW + 60 * MINUTE
SETTLE = MINUTE
MODELS = frozenset({"sora-2", "sora-2-pro", "other"})
FACTS = ListingFacts("here", first_id="", delay_max=0, models=MODELS)


@dataclass(frozen=True)
class Verdict:
    """What a look decided: `unknown` without the reasons."""

    found: Mapping[str, Entry] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def doubt(
    job_id: str = "job_1",
    request: VideoRequest = CAT,
    *,
    sent_at: int = NOW,
    settled: bool = True,
    after: tuple[str, ...] | None = (),
) -> Doubt:
    """Return a create that waits for as long as is needed, or for no time at all."""
    since = LOOKED_AT - SETTLE if settled else LOOKED_AT - SETTLE + 1
    return Doubt(job_id, request, sent_at, since, after)


def entry(
    provider_job_id: str = "video_1",
    request: VideoRequest = CAT,
    created_at: int | None = NOW,
) -> Entry:
    return Entry(
        provider_job_id,
        RUNNING,
        created_at=created_at,
        prompt=request.prompt,
        model=request.model,
        seconds=request.seconds,
        size=request.size,
    )


def ours(request: VideoRequest = CAT, at: int = NOW, *, created: bool = True) -> Known:
    """Return what we know of an entry that was sent for at that moment, and answered at once."""
    return Known(created, at, at, request)


def listing(
    entries: Sequence[Entry] = (),
    *,
    facts: ListingFacts = FACTS,
    known: Mapping[str, Known] | None = None,
    expected: Mapping[str, int] | None = None,
    ended: bool = True,
    readable: bool = True,
) -> Listing:
    return Listing(
        tuple(entries),
        ended=ended,
        readable=readable,
        read_at=LOOKED_AT,
        facts=facts,
        known=known or {},
        expected=expected or {},
    )


NONE = Others()


def judge(in_doubt: Sequence[Doubt], shown: Listing, others: Others = NONE) -> Verdict:
    told = resolve(in_doubt, shown, now=LOOKED_AT, settle_milliseconds=SETTLE, others=others)
    assert all(told.unknown.values())  # each has a reason
    return Verdict(told.found, told.absent, tuple(told.unknown))


def look(
    in_doubt: Sequence[Doubt],
    entries: Sequence[Entry],
    *,
    proven: bool = True,
    given_up: Sequence[VideoRequest] = (),
) -> Verdict:
    """Look at a listing of which all is known that a proof needs, or nothing."""
    facts = FACTS if proven else ListingFacts("here", first_id="", delay_max=0)
    return judge(in_doubt, listing(entries, facts=facts), Others(ended=given_up))


def ids(verdict: Verdict) -> dict[str, str]:
    return {job_id: found.provider_job_id for job_id, found in verdict.found.items()}
