"""What each process of an installation from deploy/ is started with: its command and variables."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
_REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?P<how>:[-?])?(?P<rest>[^}]*)\}")


@dataclass(frozen=True, slots=True)
class Process:
    """One kind of process: `reelhook` with these arguments, in this environment."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def compose(given: Mapping[str, str]) -> list[Process]:
    """Return the processes of compose.yaml, where `given` is the content of .env."""
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return [
        Process(name, tuple(one["command"]), dict(_of_service(one, given)))
        for name, one in content["services"].items()
        if one["image"].startswith("reelhook:")
    ]


def _of_service(service: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    files = service.get("env_file", [])
    if ".env" in ([files] if isinstance(files, str) else files):
        yield from given.items()
    for name, value in service["environment"].items():
        yield name, _filled(str(value), given)


def _filled(text: str, given: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = given.get(match["name"], "")
        if found or match["how"] is None:
            return found
        assert match["how"] == ":-", f"{match['name']} {match['rest']}"
        return match["rest"]

    return _REFERENCE.sub(value, text)


def kubernetes(given: Mapping[str, str]) -> list[Process]:
    """Return the processes of kubernetes.yaml, where `given` is the content of the secret."""
    content = [*yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())]
    sources = {"secretRef": given}
    for one in content:
        if one["kind"] == "ConfigMap":
            sources["configMapRef"] = one["data"]
    found = []
    for one in content:
        if one["kind"] == "Deployment":
            [container] = one["spec"]["template"]["spec"]["containers"]
            environment: dict[str, str] = {}
            for source in container["envFrom"]:
                [(kind, named)] = source.items()
                assert named == {"name": "reelhook"}
                environment |= sources[kind]
            environment |= {each["name"]: each["value"] for each in container.get("env", [])}
            found.append(Process(container["name"], tuple(container["args"]), environment))
    return found


def systemd(given: Mapping[str, str]) -> list[Process]:
    """Return the processes of the units, where `given` is the content of /etc/reelhook.env."""
    found = []
    for path in sorted(DEPLOY.glob("*.service")):
        lines = [line.partition("=") for line in path.read_text().splitlines()]
        values = {name: value for name, _, value in lines if name.isalpha()}
        assert values["EnvironmentFile"] == "/etc/reelhook.env"
        own = [value.partition("=") for name, _, value in lines if name == "Environment"]
        # systemd.exec(5): what a file names overrides `Environment=`.
        environment = {**{name: value for name, _, value in own}, **given}
        command = tuple(shlex.split(values["ExecStart"]))
        found.append(Process(path.stem, command[1:], environment))
    return found
