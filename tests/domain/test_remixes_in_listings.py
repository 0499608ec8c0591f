"""A listing may show what a video remixes, show null for all, or not show it at all."""

import pytest

from reelhook.domain.listed_forms import ListedForms
from reelhook.domain.report import Entry, Progress
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_match import fits

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
