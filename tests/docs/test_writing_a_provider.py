"""The provider of the page is installed as it stands there, and makes a video."""

import json
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from acme import KEY, VIDEO, AcmeServer, acme_server, asked, installed_package
from aiohttp import ClientSession
from migrated_database import prepare
from pages import blocks, namespace
from providers.paying import SUBMIT_SECONDS, PaysOnce, Submits
from recorded.recordings import HOW, Recording
from structlog.testing import capture_logs

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.domain.report import Accepted, Cost, Refused, Unknown
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.error_mapping import refusal_from
from reelhook.providers.http.response import ProviderResponse

PAGE = "providers/writing-one.md"


def block_of(language: str, mark: str = "") -> str:
    [text] = [text for given, text in blocks(PAGE) if given == language and mark in text]
    return text


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder into which the package is installed, as pip would."""
    site = tmp_path / "site"
    project = tomllib.loads(block_of("toml", "[project]"))["project"]
    assert (project["name"], project["version"]) == ("reelhook-acme", "1.0")
    installed_package(site, block_of("python"), project["entry-points"])
    return site


def accounts_file(directory: Path, acme: AcmeServer) -> Path:
    """Write the page's account, at our server."""
    path = directory / "accounts.toml"
    told = block_of("toml", "[accounts.acme]")
    assert tomllib.loads(told)["accounts"]["acme"]["key_variable"] == "ACME_API_KEY"
    path.write_text(told.replace("http://127.0.0.1:9000", acme.url))
    return path


def test_the_provider_has_fewer_than_a_hundred_lines() -> None:
    assert len(block_of("python").splitlines()) < 100


async def test_the_provider_makes_a_video_once_it_is_installed(site: Path, tmp_path: Path) -> None:
    async with acme_server() as acme:
        variables = {
            "PYTHONPATH": str(site),
            "REELHOOK_ACCOUNTS_FILE": str(accounts_file(tmp_path, acme)),
            "ACME_API_KEY": KEY,
            "REELHOOK_DEFAULT_MODEL": "acme/video-1",
        }
        code, told = await asked(tmp_path, "doctor", **variables)
        assert "ok: account acme: its key works: account Wile E." in told
        assert code == 0
        with pytest.MonkeyPatch.context() as patch, capture_logs():
            patch.syspath_prepend(site)
            for name, value in variables.items():
                patch.setenv(name, value)
            prepare(tmp_path / "data" / "reelhook.db")
            settings = Settings.load(port=0, data_dir=tmp_path / "data", poll_seconds=0.05)
            async with bootstrap.server(settings) as server:
                code, told = await asked(
                    *(tmp_path, "submit", "A road runs", "--seconds", "8", "--option", "mood=dry"),
                    *("--aspect-ratio", "16:9", "--watch", "--json"),
                    REELHOOK_URL=server.url,
                )
                job = json.loads(told.splitlines()[-1])
                assert (code, job["provider"]) == (0, "acme")
                cost = {"amount": 0.35, "unit": "USD", "charged": True, "kind": "charged"}
                assert job["cost"] == cost
                async with ClientSession() as http, http.get(job["videoUrl"]) as response:
                    assert await response.read() == VIDEO
                refused = await asked(
                    *(tmp_path, "submit", "A road", "--seconds", "5"), REELHOOK_URL=server.url
                )
                assert refused[0] == 1
        sys.modules.pop("reelhook_acme", None)
    assert acme.orders == [
        {
            "model": "video-1",
            "prompt": "A road runs",
            "duration": 8,
            "ratio": "16:9",
            "mood": "dry",
        }
    ]


class TestPayingOfThePage(PaysOnce):
    """The page's provider keeps what every adapter must keep."""

    def provider(self, base: str) -> Submits:
        kind = namespace(PAGE)["Acme"]
        provider: Submits = kind(base, KEY, submit_timeout_seconds=SUBMIT_SECONDS)
        return provider

    def request_(self) -> VideoRequest:
        return VideoRequest(prompt="A road runs", model="video-1")


async def test_what_is_told_of_a_video_is_understood() -> None:
    page = namespace(PAGE)
    accepted, report = page["accepted"], page["report"]
    assert accepted({"id": "video-1", "price": 0.4}) == Accepted("video-1", quote=Cost(0.4, "USD"))
    assert accepted({"price": 0.4}) is None
    assert report({"state": "done"}).code == "content_missing"
    assert report({"state": "failed", "error": {"code": "safety"}}).code == "moderation"
    assert report({"state": "thinking"}) == Unknown("thinking")
    assert report({}) is None


def test_the_recording_of_the_page_is_one_that_is_understood_as_it_expects() -> None:
    [fields] = yaml.safe_load(block_of("yaml", "how: recorded"))
    one = Recording("acme", "creates", 1, **fields)
    assert one.how in HOW
    answer = ProviderResponse(one.status, one.headers, json.dumps(one.body).encode())
    told = refusal_from(answer, 0)
    assert isinstance(told, Refused)
    assert told.code == one.expect["code"]
    assert one.expect["words"] in told.message
