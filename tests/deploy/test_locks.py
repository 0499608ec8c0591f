"""The lock files install what they name, with any pip from 23.0 on, whatever is released later."""

import json
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
JAVASCRIPT = sorted(ROOT.glob("tests/*/package-lock.json"))
COMPLETE = [one for one in LOCKS if one.stem != "servers"]
"""Those that name all they need. That of the vendors' servers goes without their dependencies,
which want a GPU, and takes 1.5 GB: `make check-servers` installs it."""
LATER = "9999.0"
OLDEST = "23.0"


@dataclass(frozen=True, slots=True)
class Locked:
    """One line of a lock, with the hashes below it."""

    requirement: Requirement
    hashes: int

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        return str(self.requirement.specifier).removeprefix("==")

    @property
    def key(self) -> tuple[str, frozenset[str]]:
        return self.name, frozenset(self.requirement.extras)


def locked(path: Path) -> list[Locked]:
    return [
        Locked(Requirement(block.partition("\\")[0]), block.count("--hash=sha256:"))
        for block in re.split(r"(?m)^(?=[^\s#])", path.read_text())
        if block.strip()
    ]


def by_stem(path: Path) -> str:
    return path.stem


def by_folder(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("lock", LOCKS, ids=by_stem)
def test_a_lock_pins_every_requirement_with_hashes(lock: Path) -> None:
    lines = locked(lock)
    assert lines
    assert all(str(line.requirement.specifier) == f"=={Version(line.version)}" for line in lines)
    assert all(line.hashes for line in lines)


@pytest.mark.parametrize("lock", LOCKS, ids=by_stem)
def test_a_package_that_is_required_with_extras_is_also_locked_without(lock: Path) -> None:
    lines = locked(lock)
    keys = {line.key for line in lines}
    assert all((name, frozenset()) in keys for name, _ in keys)
    versions = {(line.name, str(line.requirement.marker), line.version) for line in lines}
    assert len(versions) == len({one[:2] for one in versions})


@pytest.mark.parametrize("path", [*LOCKS, *JAVASCRIPT], ids=str)
def test_a_lock_names_no_registry(path: Path) -> None:
    text = path.read_text()
    assert "resolved" not in text
    # What npm copies of a package's own description is no address that it installs from.
    text = re.sub(r'"url": "https://[^"]*"', "", text)
    assert "://" not in text


@pytest.mark.parametrize("path", JAVASCRIPT, ids=by_folder)
def test_a_lock_of_javascript_pins_every_package_with_a_hash(path: Path) -> None:
    packages = json.loads(path.read_text())["packages"]
    assert packages.pop("")["dependencies"]
    assert packages
    assert all("version" in one and "integrity" in one for one in packages.values())


def test_what_the_project_requires_is_locked() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = content["project"], content["dependency-groups"]
    servers = (ROOT / "requirements" / "servers.in").read_text()
    required = {
        "run": project["dependencies"],
        "dev": project["dependencies"] + project["optional-dependencies"]["dev"],
        **groups,
        "servers": [line for line in servers.splitlines() if line and line[0] != "#"],
    }
    assert sorted(required) == [lock.stem for lock in LOCKS]
    for lock in LOCKS:
        there = {line.key: line.version for line in locked(lock)}
        for text in required[lock.stem]:
            wanted = Requirement(text)
            version = there[canonicalize_name(wanted.name), frozenset(wanted.extras)]
            assert wanted.specifier.contains(version), (lock.name, text)


def test_locks_for_one_environment_agree_on_versions() -> None:
    run, dev, build = (
        {(line.name, str(line.requirement.marker)): line.version for line in locked(one)}
        for one in (ROOT / f"requirements/{name}.txt" for name in ("run", "dev", "build"))
    )
    assert run.items() <= dev.items()
    assert all(dev.get(key, version) == version for key, version in build.items())


@pytest.fixture(scope="module")
def later_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a later release of every package in our locks: it lacks every lock's hash."""
    folder = tmp_path_factory.mktemp("later")
    for name in {line.name for lock in LOCKS for line in locked(lock)}:
        stem = f"{name.replace('-', '_')}-{LATER}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {LATER}\n"
            wheel.writestr(f"{stem}.dist-info/METADATA", about)
            tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{stem}.dist-info/WHEEL", tags)
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return folder


def pip(environment: Path, *arguments: str) -> None:
    command = [str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    ran = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=1500, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def installed(environment: Path) -> Iterator[tuple[str, str]]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for one in distributions(path=[str(environment / "lib" / version / "site-packages")]):
        if canonicalize_name(one.metadata["Name"]) not in {"pip", "setuptools"}:
            yield canonicalize_name(one.metadata["Name"]), one.version


@pytest.mark.long
@pytest.mark.parametrize("version", [OLDEST, "newest"])
@pytest.mark.parametrize("lock", COMPLETE, ids=by_stem)
def test_a_lock_installs_into_an_empty_environment(
    lock: Path, version: str, later_releases: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "environment", with_pip=True)
    wanted = ["--upgrade", "pip"] if version == "newest" else [f"pip=={version}"]
    pip(tmp_path / "environment", "install", *wanted)
    pip(
        *(tmp_path / "environment", "install", "--require-hashes", "--requirement", str(lock)),
        *("--only-binary", ":all:", "--find-links", str(later_releases), "--no-compile"),
    )
    pip(tmp_path / "environment", "check")
    assert dict(installed(tmp_path / "environment")) == {
        line.name: line.version
        for line in locked(lock)
        if line.requirement.marker is None or line.requirement.marker.evaluate()
    }


@pytest.mark.long
def test_reelhook_is_built_with_the_locked_tools_alone(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    pip(tmp_path, "install", "--require-hashes", "-r", str(ROOT / "requirements/build.txt"))
    pip(
        *(tmp_path, "wheel", "--no-index", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", str(tmp_path / "wheels"), str(ROOT)),
    )
    [wheel] = (tmp_path / "wheels").iterdir()
    assert wheel.name.startswith("reelhook-")
