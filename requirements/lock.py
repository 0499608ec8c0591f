"""Resolves the dependencies into the lock files in this folder: `make lock`.

A lock holds every package once for each way in which it is required: `pydantic` and
`pydantic[email]` are two requirements to pip before 23.3, and one that stands without a version
takes the newest release, which then has no hash here.
"""

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-strip-extras"),
    *("--no-emit-index-url", "--no-header", "--quiet"),
)
# A later one keeps to the versions of the one before that is installed into the same environment.
SOURCES = {
    "run": ("pyproject.toml",),
    "dev": ("pyproject.toml", "--extra", "dev", "--constraints", "requirements/run.txt"),
    "build": ("--group", "build", "--constraints", "requirements/dev.txt"),
    "litellm": ("--group", "litellm"),
    "node": ("--group", "node"),
    # Each package of these is named there, since what they say they depend on wants a GPU.
    "servers": ("requirements/servers.in", "--no-deps", "--no-annotate"),
    "traefik": ("--group", "traefik"),
}


def every_way(lock: str) -> str:
    """Return the lock with each package also without its extras, and with each part of them."""
    written: list[str] = []
    for requirement in re.split(r"(?m)^(?=\S)", lock):
        found = re.match(r"([\w.-]+)\[(.+?)\](.*)", requirement, re.DOTALL)
        if found is None:
            written.append(requirement)
            continue
        extras = [extra.strip() for extra in found[2].split(",")]
        name, pin = found[1], found[3].partition("    #")[0]
        parts = [part for count in range(len(extras)) for part in combinations(extras, count)]
        written += [name + (f"[{','.join(part)}]" if part else "") + pin for part in parts]
        written.append(requirement)
    return "".join(written)


def main() -> None:
    """Write every lock; `--keep` leaves versions as they are wherever that is possible."""
    upgrade = () if "--keep" in sys.argv[1:] else ("--upgrade",)
    for name, source in SOURCES.items():
        path = HERE / f"{name}.txt"
        command = ("uv", "pip", "compile", *source, *OPTIONS, *upgrade, "--output-file", str(path))
        subprocess.run(command, cwd=HERE.parent, check=True)
        path.write_text(every_way(path.read_text()))


if __name__ == "__main__":
    main()
