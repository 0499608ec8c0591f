"""How the command line tells of servers that people run themselves."""

from typing import Any

import pytest

from reelhook.cli import job_view, models

JOB: dict[str, Any] = {"jobId": "job_1", "status": "canceled", "progress": 40}
KNOWN: dict[str, Any] = {
    "account": "openai",
    "server": "SGLang Diffusion",
    "models": ["openai/Wan-AI/Wan2.2"],
    "ignored": True,
    "error": None,
}
MODELS: dict[str, Any] = {
    "models": [],
    "providers": ["openai"],
    "defaultModel": "sora-2",
    "aliases": {},
}


@pytest.mark.parametrize(
    ("stopped", "line"),
    [
        ({"stopped": True}, "Stopped: yes"),
        ({"stopped": False}, "Stopped: no: the provider can't stop a render, so it continues"),
        ({}, None),
    ],
)
def test_a_canceled_job_says_whether_it_is_still_rendered(
    capsys: pytest.CaptureFixture[str], stopped: dict[str, bool], line: str | None
) -> None:
    job_view.show_job(JOB | stopped)
    lines = capsys.readouterr().out.splitlines()
    assert [one for one in lines if one.startswith("Stopped")] == ([line] if line else [])


def test_a_job_that_is_missed_says_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    job_view.show_job(JOB | {"missingSince": "2026-11-29T15:00:00.000Z"})
    assert "Unknown there since: 2026-11-29T15:00:00.000Z" in capsys.readouterr().out


def test_a_list_says_which_jobs_are_missed(capsys: pytest.CaptureFixture[str]) -> None:
    job = JOB | {"createdAt": "x", "error": None, "title": "A fox"}
    missed = job | {"missingSince": "2026-11-29T15:00:00.000Z"}
    job_view.show_jobs({"jobs": [job, missed], "nextCursor": None})
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("A fox")
    assert second.endswith("Unknown to the provider since 2026-11-29T15:00:00.000Z")


def test_the_models_of_a_server_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    models._show_models(MODELS | {"servers": [KNOWN]}, "wan2.2")
    assert capsys.readouterr().out.splitlines() == [
        "MODEL\tACCOUNT\tSERVER\tNAME",
        "openai/Wan-AI/Wan2.2\topenai\tSGLang Diffusion\tignored",
    ]
    models._show_models(MODELS | {"servers": [KNOWN]}, "veo")
    assert capsys.readouterr().out == ""


def test_a_server_that_could_not_be_asked_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lost = KNOWN | {"models": [], "error": "No response came within 10 s"}
    models._show_models(MODELS | {"servers": [lost]}, "")
    told = capsys.readouterr()
    assert told.out == ""
    assert "the models of openai are not known: No response came" in told.err
