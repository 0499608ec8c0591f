"""The names of saved files."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.file_name import content_disposition


def named(title: str, content_type: str = "video/mp4") -> str:
    return content_disposition(title, "job_1", content_type, attachment=False)


@pytest.mark.parametrize(
    ("title", "header"),
    [
        ("A fox", 'inline; filename="A fox.mp4"'),
        ("../../etc/passwd", 'inline; filename="etc passwd.mp4"'),
        ('a "b"\\c\r\nX: y', 'inline; filename="a b c X y.mp4"'),
        ("  ...  ", 'inline; filename="job_1.mp4"'),
        ("Café", "inline; filename=\"Cafe.mp4\"; filename*=UTF-8''Caf%C3%A9.mp4"),
        ("狐", "inline; filename=\"job_1.mp4\"; filename*=UTF-8''%E7%8B%90.mp4"),
        ("gpj.\u202etxt", 'inline; filename="gpj. txt.mp4"'),
        ("x" * 500, f'inline; filename="{"x" * 80}.mp4"'),
    ],
)
def test_a_title_becomes_a_name(title: str, header: str) -> None:
    assert named(title) == header


def test_the_ending_is_that_of_the_type() -> None:
    kinds = ("video/webm", "video/quicktime", "image/jpeg", "application/octet-stream")
    endings = [named("A", kind).partition("A.")[2].rstrip('"') for kind in kinds]
    assert endings == ["webm", "mov", "jpg", "mp4"]


@given(st.text())
def test_no_title_breaks_the_header(title: str) -> None:
    header = named(title)
    assert header.isascii()
    assert header.isprintable()
    match = re.fullmatch(r'inline; filename="([^"\\/%]+)"(?:; filename\*=UTF-8\'\'(\S+))?', header)
    assert match is not None
    for name in (match[1], unquote(match[2] or "x")):
        assert not set(name) & set('\\/:*?"<>|\r\n')
        assert not name.startswith(".")
