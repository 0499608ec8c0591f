"""Build hook: takes the dashboard's scripts and fonts from npm into the package.

Nothing is fetched if they are there already, as in an sdist. Without npm the dashboard works too:
its pages are made on the server, and only their live updates and their fonts need these files.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
LOCK = ROOT / "requirements" / "web"
VENDOR = ROOT / "src" / "reelhook" / "doors" / "web" / "assets" / "vendor"
MONO = "@fontsource-variable/jetbrains-mono"
FILES = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "hx-sse.js": "htmx.org/dist/ext/hx-sse.min.js",
    "inter.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "mono.woff2": f"{MONO}/files/jetbrains-mono-latin-wght-normal.woff2",
    "htmx-LICENSE": "htmx.org/LICENSE",
    "inter-LICENSE": "@fontsource-variable/inter/LICENSE",
    "mono-LICENSE": f"{MONO}/LICENSE",
}
"""The files by their name here, and their place in `node_modules`."""


def take() -> None:
    """Fetch the files, unless they are there. Without npm, say what that means."""
    lock = (LOCK / "package-lock.json").read_text()
    taken = VENDOR / "package-lock.json"
    complete = all((VENDOR / name).is_file() for name in FILES)
    if complete and taken.is_file() and taken.read_text() == lock:
        return
    npm = shutil.which("npm")
    if npm is None:
        _say("npm is missing: the dashboard will have no live updates; every page works without")
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCK / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        if subprocess.run(command, cwd=folder, check=False).returncode:  # noqa: S603 - a constant
            _say("npm ci failed: the dashboard will have no live updates; every page works without")
            return
        VENDOR.mkdir(parents=True, exist_ok=True)
        for name, source in FILES.items():
            shutil.copyfile(Path(folder) / "node_modules" / source, VENDOR / name)
        taken.write_text(lock)


def _say(text: str) -> None:
    sys.stderr.write(f"reelhook: {text}\n")


class CustomBuildHook(BuildHookInterface[Any]):
    """Takes the files before a wheel, an sdist or an editable installation is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Take the files."""
        take()


if __name__ == "__main__":
    take()
