"""The doctor of the system's page, which runs as a process of its own."""

import os
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest

from reelhook.bootstrap.doctor import child
from reelhook.config import Settings


async def test_the_child_finds_what_the_command_finds(tmp_path: Path) -> None:
    settings = Settings.of(data_dir=tmp_path, port=9)
    findings = {one.subject: one for one in await child.examine_in_child(settings)}
    assert str(tmp_path) in findings["database"].message
    assert "http://127.0.0.1:9" in findings["server"].message


async def test_a_child_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", os.fspath(program))
    monkeypatch.setattr(child, "SECONDS_MAX", 0.3)
    (finding,) = await child.examine_in_child(Settings.of(data_dir=tmp_path))
    assert (finding.verdict.value, finding.message) == (
        "failed",
        "did not end; run `reelhook doctor` on the server",
    )
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


async def test_a_child_that_prints_no_findings_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    (finding,) = await child.examine_in_child(Settings.of(data_dir=tmp_path))
    assert finding.subject == "doctor"
