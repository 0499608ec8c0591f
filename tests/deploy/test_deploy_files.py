"""The files in deploy/ are what the tools that read them expect, and name settings that exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from bench.memory import LIMIT_MIB

from reelhook.cli.server import CONFIGURATION_EXIT
from reelhook.config import Settings, environment_name

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
LINT = (
    "{extends: default, rules: {document-start: disable, line-length: {max: 100},"
    " braces: {max-spaces-inside: 0}}}"
)
ANALYZE = shutil.which("systemd-analyze")


def run(*arguments: str) -> None:
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_yaml_files_are_tidy() -> None:
    run(sys.executable, "-m", "yamllint", "--strict", "-d", LINT, str(DEPLOY))


def test_the_compose_file_follows_the_specification() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    run(sys.executable, "-m", "check_jsonschema", *schema, str(DEPLOY / "compose.yaml"))


def test_the_manifest_is_what_kubernetes_takes() -> None:
    for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()):
        kubernetes_validate.validate(one, "1.31", strict=True)


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_the_units_are_what_systemd_takes(unit: Path, tmp_path: Path) -> None:
    there = tmp_path / unit.name.replace("@", "@1")  # an instance of a template
    text = unit.read_text().replace("/opt/reelhook/bin/reelhook", "/bin/true")
    there.write_text(text)
    run(str(ANALYZE), "verify", "--man=no", str(there))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_the_units_start_nothing_again_that_has_wrong_settings(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert "Restart=always" in lines
    assert f"RestartPreventExitStatus=2 {CONFIGURATION_EXIT}" in lines


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is missing")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_finds_the_units_hardly_exposed(unit: Path) -> None:
    # In tenths of the 10 points of a unit without any option.
    run(str(ANALYZE), "security", "--offline=true", "--threshold=20", "--no-pager", str(unit))


def test_the_proxies_listen_on_ipv6_too() -> None:
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert re.findall(r"listen (\d.*);", nginx) == re.findall(r"listen \[::\]:(.*);", nginx)
    binds = re.findall(r"^ *bind (.*)$", (DEPLOY / "haproxy.cfg").read_text(), re.MULTILINE)
    assert binds
    assert all(re.match(r":::\d+ v4v6", bind) for bind in binds)


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda file: str(file.name))
def test_every_setting_that_is_named_exists(file: Path) -> None:
    known = {environment_name(field) for field in Settings.model_fields}
    named = set(re.findall(r"\b(?:REELHOOK|OPENAI|WEBHOOK|DATABASE)_[A-Z_]+\b", file.read_text()))
    assert named <= known


def test_every_process_has_the_memory_that_was_measured() -> None:
    limit = f"{LIMIT_MIB // 1024}"
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = [one for one in compose.values() if one["image"].startswith("reelhook:")]
    assert [one["mem_limit"] for one in ours] == [f"{limit}g"] * 2
    manifest = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pods = [one["spec"]["template"]["spec"] for one in manifest if one["kind"] == "Deployment"]
    limits = [pod["containers"][0]["resources"]["limits"]["memory"] for pod in pods]
    assert limits == [f"{limit}Gi"] * 2
    for unit in UNITS:
        assert f"MemoryMax={limit}G" in unit.read_text().splitlines()


def test_every_file_of_the_source_that_the_docs_name_exists() -> None:
    page = (DEPLOY.parent / "docs" / "production.md").read_text()
    named = re.findall(r"/opt/reelhook-source/(\S+)", page)
    named += re.findall(r"(?:cp|-r) ((?:deploy|requirements)/\S+)", page)
    assert {name.partition("/")[0] for name in named} == {"deploy", "requirements"}
    assert [name for name in named if not (DEPLOY.parent / name).exists()] == []


def test_the_shell_reads_the_settings_of_the_docs_as_systemd_does(tmp_path: Path) -> None:
    page = (DEPLOY.parent / "docs" / "production.md").read_text()
    block = next(one for one in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "_URL=" in one)
    file = tmp_path / "reelhook.env"
    file.write_text(block)
    script = "set -a; . ./reelhook.env; env -0"
    shell = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={}, capture_output=True, timeout=60, check=True
    )
    by_shell = dict(line.split("=", 1) for line in shell.stdout.decode().split("\0") if line)
    # systemd.exec(5), EnvironmentFile=: comments have their own lines; quotes may surround a value.
    lines = [line for line in block.splitlines() if line and line[0] not in "#;"]
    by_systemd = {
        name: value.strip("'") for name, _, value in (one.partition("=") for one in lines)
    }
    assert by_systemd.items() <= by_shell.items()
    known = {environment_name(name) for name in Settings.model_fields}
    assert by_systemd.keys() <= known
