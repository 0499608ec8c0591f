"""Pages are prepared before they are first requested."""

from pathlib import Path

import pytest

from reelhook.doors.warming import warm_up
from reelhook.doors.web import rendering


def test_after_the_warm_up_all_templates_are_loaded() -> None:
    rendering._environment.cache_clear()
    warm_up()
    environment = rendering._environment()
    assert environment.cache is not None
    assert len(environment.cache) == len(environment.list_templates())


def test_templates_are_compiled_once_and_then_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    rendering.environment(tmp_path).get_template("error.html")
    again = rendering.environment(tmp_path)
    monkeypatch.setattr(again, "_compile", None)
    again.get_template("error.html")


def test_a_broken_bytecode_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    rendering.environment(tmp_path).get_template("error.html")
    [*made] = tmp_path.iterdir()
    sizes = [one.stat().st_size for one in made]
    for one in made:
        one.write_bytes(one.read_bytes()[:40])
    rendering.environment(tmp_path).get_template("error.html")
    assert [one.stat().st_size for one in made] == sizes


def test_bytecode_that_can_not_be_kept_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (blocked := tmp_path / "file").touch()
    assert rendering.environment(blocked).get_template("error.html").name == "error.html"
