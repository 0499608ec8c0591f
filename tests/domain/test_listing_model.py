"""Thousands of listings, honest and dishonest, against what really happened at the provider.

A provider gets creates, some of which it loses before and some after it has carried them out; its
listing is then shown as honest and dishonest servers show theirs. Whatever the listing does, no
create that was carried out may be called absent; and an honest one leaves nothing unknown.
"""

import html
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st

from reelhook.domain.doubt import Doubt, Known
from reelhook.domain.listing import Listing, ListingFacts
from reelhook.domain.reconciliation import resolve
from reelhook.domain.report import Entry, Progress
from reelhook.domain.request import VideoRequest

from .samples import NOW

SECOND = 1000
SETTLE = 60 * SECOND
READ_AT = NOW + 3600 * SECOND
PROMPTS = [
    "A cat in the rain",
    "A cat in the rain that walks home & sleeps",
    "Un cafe\u0301 at <dawn>",
    "Un caf\u00e9 at <dawn>",
    "Video 1",
    "Video 12",
    "Video 123",
    "Cinematic. Video 1",
]


@dataclass(frozen=True)
class Create:
    """A create: whether we, or a stranger, sent it; whether it was carried out, and answered."""

    id: str
    request: VideoRequest
    at: int
    ours: bool
    made: bool
    answered: bool


History = list[Create]
Show = Callable[[list[Entry]], list[Entry]]

requests = st.builds(
    VideoRequest,
    prompt=st.sampled_from(PROMPTS),
    model=st.just("sora-2"),
    seconds=st.sampled_from([None, "4", "8"]),
    size=st.sampled_from([None, "720x1280"]),
)
plain = requests.filter(lambda request: "cafe" not in request.prompt)
"""Without one of two prompts that differ in form alone: no one can tell these apart."""
fates = st.sampled_from(
    # ours, made, answered
    [(True, True, True)] * 3 + [(True, True, False), (True, False, False)]
)


def histories(*, strangers: bool) -> st.SearchStrategy[History]:
    fate = fates | st.just((False, True, False)) if strangers else fates
    asked = requests if strangers else plain

    def made(drawn: Sequence[tuple[VideoRequest, tuple[bool, bool, bool]]]) -> History:
        warm = [
            (VideoRequest(PROMPTS[n], "sora-2", seconds="4"), (True, True, True)) for n in (1, 4)
        ]
        return [
            Create(f"video_{number:02}", request, NOW + number * 20 * SECOND, *chosen)
            for number, (request, chosen) in enumerate([*warm, *drawn])
        ]

    return st.lists(st.tuples(asked, fate), min_size=1, max_size=9).map(made)


def entries(history: History) -> list[Entry]:
    """Return what an honest listing shows, newest first."""
    return [
        Entry(
            one.id,
            Progress(running=True),
            created_at=one.at // 1000 * 1000,
            prompt=one.request.prompt,
            model=one.request.model,
            seconds=one.request.seconds or "4",
            size=one.request.size or "720x1280",
        )
        for one in reversed(history)
        if one.made
    ]


def looked_up(
    history: History, shown: list[Entry], *, ended: bool = True
) -> tuple[set[str], set[str]]:
    """Look at the listing; return the jobs called absent, and those called unknown."""
    answered = [one for one in history if one.ours and one.answered]
    in_doubt = [
        Doubt(
            one.id,
            one.request,
            one.at,
            one.at + SECOND,
            after=tuple(other.id for other in answered if other.at < one.at)[-5:],
        )
        for one in history
        if one.ours and not one.answered
    ]
    listing = Listing(
        tuple(shown),
        ended=ended,
        readable=True,
        read_at=READ_AT,
        facts=ListingFacts("here", delay_max=0, models=frozenset({"sora-2"})),
        known={one.id: Known(True, one.at, one.at + SECOND, one.request) for one in answered},
        expected={one.id: one.at + SECOND for one in answered},
    )
    told = resolve(in_doubt, listing, now=READ_AT, settle_milliseconds=SETTLE)
    return set(told.absent), set(told.unknown)


def alter(change: Callable[[str], str | None]) -> Show:
    return lambda shown: [
        one._replace(prompt=None if one.prompt is None else change(one.prompt)) for one in shown
    ]


def some(change: Callable[[str], str | None]) -> Show:
    """Alter only prompts of more than ten characters, as masks and filters do."""
    return alter(lambda prompt: change(prompt) if len(prompt) > 10 else prompt)


HONEST: list[Show] = [
    list,
    lambda shown: [one._replace(created_at=(one.created_at or 0) - 300 * SECOND) for one in shown],
    lambda shown: [one._replace(created_at=(one.created_at or 0) + 300 * SECOND) for one in shown],
    lambda shown: [one._replace(created_at=None) for one in shown],
    lambda shown: [one._replace(model=None, seconds=None, size=None) for one in shown],
]
LYING: list[Show] = [
    *(
        change(alteration)
        for change in (alter, some)
        for alteration in [
            lambda prompt: prompt[:6],
            lambda prompt: prompt[:17],
            lambda prompt: f"{prompt[:8]}...",
            html.escape,
            lambda prompt: unicodedata.normalize("NFC", prompt),
            lambda prompt: f"Cinematic. {prompt}",
            lambda prompt: "***",
            lambda prompt: None,
            str.upper,
            lambda prompt: prompt[::-1],
        ]
    ),
    lambda shown: shown[::-1],
    lambda shown: sorted(shown, key=lambda one: one.prompt or ""),
    lambda shown: [*shown[1::2], *shown[::2]],
    lambda shown: [one._replace(seconds="5", size="704x1280") for one in shown],
    lambda shown: [one._replace(model="sora-2-2026-01-01") for one in shown],
    lambda shown: [one._replace(created_at=(one.created_at or 0) // 2) for one in shown],
]


HIDING: list[Show] = [
    lambda shown: shown[:3],
    lambda shown: shown[::2],
    lambda shown: shown[1::2],
    lambda shown: shown[2:],
    lambda shown: [],
]


def paid_twice(history: History, absent: set[str]) -> Counter[str]:
    """Return, by prompt, how many videos there would be beyond those that were asked for.

    Requests of one prompt that an entry fits equally may have it one for the other.
    """
    made = Counter(one.request.prompt for one in history if one.ours and one.made)
    again = Counter(one.request.prompt for one in history if one.id in absent)
    return made + again - Counter(one.request.prompt for one in history if one.ours)


@given(histories(strangers=False), st.sampled_from(HONEST))
def test_an_honest_listing_leaves_nothing_unknown_and_calls_only_the_absent_absent(
    history: History, show: Show
) -> None:
    absent, unknown = looked_up(history, show(entries(history)))
    assert not paid_twice(history, absent)
    assert not unknown
    lost = [one for one in history if one.ours and not one.answered and not one.made]
    assert len(absent) == len(lost)


@given(
    histories(strangers=True),
    st.lists(st.sampled_from([*HONEST, *LYING, *HIDING]), min_size=1, max_size=3),
    st.booleans(),
)
def test_whatever_a_listing_does_no_create_that_was_carried_out_is_called_absent(
    history: History, shows: list[Show], ended: bool
) -> None:
    shown = entries(history)
    for show in shows:
        shown = show(shown)
    if any(show in HIDING for show in shows):
        ended = True
        # One that hides nothing but what is looked for can't be seen through by anyone, nor can one
        # that has forgotten what is older than all that it shows: a server that was restarted.
        there = {one.provider_job_id for one in shown}
        ours = [one.id for one in history if one.ours and one.answered]
        oldest = min((one for one in ours if one in there), default="")
        assume(any(one not in there and one > oldest for one in ours))
    absent, _ = looked_up(history, shown, ended=ended)
    assert not paid_twice(history, absent)
