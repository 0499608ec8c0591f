"""A listing may show what a video remixes, show null for all, or not show it at all."""

from dataclasses import replace

import pytest

from reelhook.domain.listed_forms import ListedForms
from reelhook.domain.report import Entry, Progress
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_match import fits

from .doubts import CAT, DOG, Verdict, doubt, judge, listing, ours
from .doubts import entry as listed
from .samples import MINUTE, NOW

PLAIN = VideoRequest("A fox", model="m")
REMIX = VideoRequest("A fox", model="m", remix_of="video_1")


def entry(remix_of: str | None) -> Entry:
    return Entry("video_2", Progress(running=False), prompt="A fox", remix_of=remix_of)


@pytest.mark.parametrize(
    ("request_", "remix_of", "fitting"),
    [
        (REMIX, "video_1", True),
        (REMIX, "video_0", False),
        (REMIX, "", False),
        (REMIX, None, True),
        (PLAIN, "video_1", False),
        (PLAIN, "", True),
        (PLAIN, None, True),
    ],
)
def test_an_entry_fits_what_it_is_shown_to_remix(
    request_: VideoRequest, remix_of: str | None, fitting: bool
) -> None:
    assert fits(request_, entry(remix_of)) is fitting


@pytest.mark.parametrize("shown", ["", "video_0"])
def test_another_value_proves_nothing_unless_one_of_ours_is_shown_as_sent(shown: str) -> None:
    # A gateway may lose the name of the video, or give it its own: then it may still be ours.
    assert ListedForms([]).may_be(REMIX, entry(shown))
    assert not ListedForms([(entry("video_1"), REMIX)]).may_be(REMIX, entry(shown))


def test_plain_videos_do_not_prove_that_a_remix_is_absent() -> None:
    # A server may list the videos of plain creates alone.
    shown = [listed("video_2", DOG, NOW + MINUTE), listed("video_1", CAT, NOW - MINUTE)]
    plain = {"video_2": ours(DOG, NOW + MINUTE), "video_1": ours(CAT, NOW - MINUTE)}
    remix = replace(CAT, prompt="Snow falls", remix_of="video_1")
    lost = doubt("lost", remix, after=("video_1",))
    assert judge([lost], listing(shown, known=plain)) == Verdict(unknown=("lost",))
    remixed = plain | {"video_2": ours(replace(DOG, remix_of="video_1"), NOW + MINUTE)}
    assert judge([lost], listing(shown, known=remixed)) == Verdict(absent=("lost",))
