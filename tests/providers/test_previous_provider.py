"""A provider package written for the previous release works with this one.

`previous_provider/reelhook_acme.py` is the module of the page of that release, unchanged.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme import KEY, VIDEO, acme_server, asked, installed_package
from aiohttp import ClientSession
from migrated_database import prepare
from structlog.testing import capture_logs

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.providers.http.provider import HttpProvider

MODULE = (Path(__file__).parent / "previous_provider" / "reelhook_acme.py").read_text()
ENTRY_POINTS = {"reelhook.providers": {"acme": "reelhook_acme:Acme"}}
MOVED = ("address", "http_provider", "refusal", "values")
ALSO_MOVED = ("advice", "download", "expiring", "receiving")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with the installed package; nothing of it is imported yet."""
    site = tmp_path / "site"
    installed_package(site, MODULE, ENTRY_POINTS)
    monkeypatch.syspath_prepend(site)
    for name in (*MOVED, *ALSO_MOVED):
        monkeypatch.delitem(sys.modules, f"reelhook.providers.{name}", raising=False)
    yield site
    sys.modules.pop("reelhook_acme", None)


def test_each_moved_module_warns_and_names_its_new_place(site: Path) -> None:
    with pytest.warns(DeprecationWarning, match="has moved to") as caught:
        module = importlib.import_module("reelhook_acme")
    assert issubclass(module.Acme, HttpProvider)
    messages = [str(warning.message) for warning in caught]
    for name in MOVED:
        [message] = [text for text in messages if f"providers.{name} has moved to" in text]
        assert "reelhook.providers.http." in message
    assert {warning.filename for warning in caught} == {str(site / "reelhook_acme.py")}


@pytest.mark.parametrize("name", ALSO_MOVED)
def test_the_other_modules_for_packages_have_their_old_names_too(site: Path, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=r"has moved to reelhook\.providers\.http\."):
        module = importlib.import_module(f"reelhook.providers.{name}")
    assert all(hasattr(module, public) for public in module.__all__)


async def test_the_package_makes_a_video(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(DeprecationWarning, match="has moved to"):
        importlib.import_module("reelhook_acme")
    async with acme_server("films") as acme:
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(
            f'[accounts.acme]\nprovider = "acme"\nkey = "{KEY}"\nbase_url = "{acme.url}/v1"\n'
        )
        variables = {"REELHOOK_ACCOUNTS_FILE": str(accounts), "REELHOOK_DEFAULT_MODEL": "film-1"}
        code, found = await asked(tmp_path, "doctor", PYTHONPATH=str(site), **variables)
        assert (code, "ok: account acme: its key works: account Wile E." in found) == (0, True)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        prepare(tmp_path / "data" / "reelhook.db")
        settings = Settings.load(port=0, data_dir=tmp_path / "data", poll_seconds=0.05)
        with capture_logs():
            async with bootstrap.server(settings) as server:
                _, printed = await asked(
                    *(tmp_path, "submit", "A road runs", "--seconds", "8", "--watch", "--json"),
                    REELHOOK_URL=server.url,
                )
                job = json.loads(printed.splitlines()[-1])
                assert (job["status"], job["cost"]["amount"]) == ("completed", 0.35)
                async with ClientSession() as http, http.get(job["videoUrl"]) as response:
                    assert await response.read() == VIDEO
    assert acme.orders == [{"model": "film-1", "prompt": "A road runs", "duration": 8}]
