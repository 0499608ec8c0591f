import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cleaning_up import clean_up
from cli_programs import on_terminal, reelhook, serve, simulator, start
from cli_receivers import answering
from findings import found, told

from reelhook import bootstrap
from reelhook.bootstrap import migrate
from reelhook.config import Settings
from reelhook.domain.encryption import key_text
from reelhook.domain.signature import standard_secret
from reelhook.simulator.faults import Faults
from reelhook.simulator.server import running
from reelhook.webhooks import verify

ENCRYPTION_KEY = key_text(bytes(32))
SECRET = "4b1f0f0c9a7e4d1c8f5a2b3e6d7c8f90"


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@asynccontextmanager
async def answering_with(handler: Any) -> AsyncIterator[str]:
    """Serve any path by one handler; yield the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await clean_up(runner)


# -- the command ----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_good_installation_is_told_line_by_line_and_exits_with_0(tmp_path: Path) -> None:
    keys = {"WEBHOOK_SECRET": SECRET, "REELHOOK_DEFAULT_MODEL": "runway/gen4.5"}
    keys |= {"REELHOOK_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    with simulator(tmp_path) as provider:
        keys |= {"RUNWAYML_API_SECRET": "key-of-runway"}
        keys |= {"RUNWAYML_BASE_URL": f"{provider.url}/runway/v1"}
        with serve(tmp_path, provider, **keys) as server:
            given = {"REELHOOK_URL": server.url, "OPENAI_BASE_URL": f"{provider.url}/v1"}
            outcome = reelhook(
                "doctor",
                directory=tmp_path,
                REELHOOK_PUBLIC_URL=server.url.replace("127.0.0.1", "localhost"),
                **given,
                **keys,
            )
            assert server.stop() == 0
    lines = outcome.out.splitlines()
    assert (outcome.code, outcome.err) == (0, "")
    assert all(line.startswith("ok: ") for line in lines)
    assert "ok: account openai: its key works: its jobs can be listed" in lines
    assert any(line.startswith("ok: account runway: its key works:") for line in lines)
    assert "ok: default model: is runway/gen4.5" in lines
    assert any("has the newest schema" in line for line in lines)
    assert lines[-1].endswith("leads to this server")
    assert SECRET not in outcome.out
    assert "key-of-runway" not in outcome.out
    assert ENCRYPTION_KEY not in outcome.out


def test_anything_that_failed_exits_with_1_and_json_tells_all(tmp_path: Path) -> None:
    outcome = reelhook(
        *("doctor", "--json"),
        directory=tmp_path,
        OPENAI_BASE_URL="https://api.openai.com/v1",
        REELHOOK_POL_SECONDS="3",
    )
    assert outcome.code == 1
    assert outcome.json["healthy"] is False
    findings = {one["subject"]: one for one in outcome.json["findings"]}
    assert findings["account openai"]["verdict"] == "failed"
    assert "since 2026-09-24" in findings["account openai"]["message"]
    assert findings["REELHOOK_POL_SECONDS"]["verdict"] == "warning"
    assert not list(tmp_path.iterdir())


def test_a_terminal_shows_the_verdicts_first(tmp_path: Path) -> None:
    code, shown = on_terminal("doctor", directory=tmp_path, PORT="nonsense")
    assert code == 1
    assert "failed   settings: PORT must be a port" in shown


@pytest.mark.long
def test_a_server_of_one_process_is_left_alone(tmp_path: Path) -> None:
    serving = ("serve", "--simulate", "--port", "0")
    with start(*serving, directory=tmp_path, says="reelhook listens on") as server:
        outcome = reelhook("doctor", directory=tmp_path, REELHOOK_URL=server.url)
        assert outcome.code == 0
        assert f"ok: server: runs at {server.url}" in outcome.out
        assert "ok: settings: are valid; 1 is set\n" in outcome.out
        reelhook("watcher", "pause", directory=tmp_path, REELHOOK_URL=server.url)
        paused = reelhook("doctor", directory=tmp_path, REELHOOK_URL=server.url)
        assert "warning: server: its watcher is paused" in paused.out
        assert server.stop() == 0


def test_a_signed_test_event_is_sent_only_when_asked_for(tmp_path: Path) -> None:
    with answering() as receiver:
        given = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
        looked = reelhook("doctor", directory=tmp_path, **given)
        assert "ok: WEBHOOK_URL: responds (HTTP 501 to HEAD)" in looked.out
        assert receiver.ids == []
        sent = reelhook("doctor", "--send", directory=tmp_path, **given)
        assert "ok: WEBHOOK_URL: accepted a signed test event (HTTP 200)" in sent.out
        assert [one.startswith("evt_test_") for one in receiver.ids] == [True]
        receiver.status = 500
        refused = reelhook("doctor", "--send", directory=tmp_path, **given)
        assert "failed: WEBHOOK_URL: did not accept a signed test event: HTTP 500" in refused.out


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REELHOOK_POL_SECONDS", "REELHOOK_POLL_SECONDS"),
        ("REELHOOK_WEBHOOK_SECRET", "WEBHOOK_SECRET"),
        ("REELHOOK_DATABASE_URL", "DATABASE_URL"),
        ("REELHOOK_ALOWED_HOST", "REELHOOK_ALLOWED_HOSTS"),
        ("reelhook_api_key", "REELHOOK_API_KEY"),
        ("REELHOOK_ZZZ", "docs/settings.md"),
    ],
)
async def test_an_unknown_variable_is_named_with_what_may_be_meant(name: str, meant: str) -> None:
    verdict, message = told(await found(environment={name: "1"}), name)
    assert verdict == "warning"
    assert meant in message


async def test_dotenv_is_read_too_and_what_others_read_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REELHOOK_HSOT=::1\n")
    (tmp_path / "accounts.toml").write_text(
        '[accounts.two]\nprovider = "xai"\nkey_variable = "REELHOOK_XAI_TWO"\n'
        'base_url = "http://127.0.0.1:9"\n'
    )
    environment = {"REELHOOK_RECEIVER_SECRET": "x", "REELHOOK_XAI_TWO": "y", "OTHER": "z"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELHOOK_XAI_TWO", "y")
        findings = await found(environment=environment, accounts_file="accounts.toml")
    assert "REELHOOK_HOST" in told(findings, "REELHOOK_HSOT")[1]
    assert not findings.keys() & environment.keys()


async def test_a_file_of_accounts_that_is_wrong_fails(tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text('[accounts.two]\nprovider = "xai"\nweight = -1\n')
    verdict, message = told(await found(accounts_file="accounts.toml"), "settings")
    assert verdict == "failed"
    assert "weight" in message


@pytest.mark.parametrize(
    ("secret", "verdict"),
    [
        (SECRET, "ok"),
        (standard_secret(SECRET), "ok"),
        ("hunter2", "warning"),
        ("a" * 40, "warning"),
        (standard_secret("short"), "warning"),
    ],
)
async def test_a_weak_secret_is_told_and_never_shown(secret: str, verdict: str) -> None:
    findings = await found(webhook_secret=secret)
    assert told(findings, "webhook secret")[0] == verdict
    assert secret not in json.dumps([one.message for one in findings["webhook secret"]])


# -- the database ---------------------------------------------------------------------------------


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    verdict, message = told(await found(), "database")
    assert verdict == "ok"
    assert "first start" in message
    assert not list(tmp_path.iterdir())


async def test_a_schema_of_yesterday_is_told() -> None:
    await migrate(Settings.of(data_dir="data"), 1)
    verdict, message = told(await found(), "database")
    assert verdict == "warning"
    assert "0002_tracking" in message


async def test_a_database_that_can_t_be_made_or_is_none_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert told(await found(data_dir="file/in"), "database")[0] == "failed"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reelhook.db").write_text("not a database, but longer than its header" * 9)
    assert told(await found(), "database")[0] == "failed"


# -- accounts -------------------------------------------------------------------------------------


async def test_a_wrong_key_and_a_wrong_address_fail(tmp_path: Path) -> None:
    async with running(api_key="right") as simulated:
        findings = await found(
            openai_base_url=simulated.base_url,
            openai_api_key="right",
            runwayml_api_secret="wrong-key",
            runwayml_base_url=f"{simulated.root_url}/runway/v1",
            xai_api_key="any",
            xai_base_url="http://127.0.0.1:9",
        )
    assert told(findings, "account openai") == ("ok", "its key works: its jobs can be listed")
    verdict, message = told(findings, "account runway")
    assert verdict == "failed"
    assert "its key is refused" in message
    assert "wrong-key" not in message
    assert told(findings, "account xai")[0] == "failed"


async def test_an_account_that_can_not_pay_is_not_told_to_set_another_key() -> None:
    said = "User is locked. Reason: Exhausted balance. Top up your balance."

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"detail": said}, status=403)

    async with answering_with(handler) as url:
        findings = await found(fal_key="right", fal_base_url=url)
    verdict, message = told(findings, "account fal")
    assert verdict == "failed"
    assert said in message
    assert "key" not in message


async def test_a_server_without_a_listing_is_asked_for_its_models() -> None:
    async def handler(request: web.Request) -> web.Response:
        right = request.headers.get("Authorization") == "Bearer right"
        if request.path.endswith("/models"):
            return web.json_response({}, status=200 if right else 401)
        if request.path.endswith("/videos"):
            return web.json_response({}, status=405)
        return web.json_response({"error": {"message": "No such video"}}, status=404)

    async with answering_with(handler) as url:
        right = await found(openai_base_url=url, openai_api_key="right")
        wrong = await found(openai_base_url=url, openai_api_key="wrong")
    assert told(right, "account openai")[0] == "ok"
    assert told(wrong, "account openai")[0] == "failed"


def played(owner: str, names: list[str], unknown: object, listing: object = None) -> Any:
    """Return a handler that has these models, and says so of a video that there is not."""

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/v1/models":
            cards = [{"id": one, "owned_by": owner} for one in names]
            return web.json_response({"object": "list", "data": cards})
        if request.path == "/v1/videos" and listing is not None:
            return web.json_response(listing)
        if request.path.startswith("/v1/videos") and unknown is not None:
            return web.json_response(unknown, status=404)
        return web.Response(status=404, text="<html>not found</html>")

    return handler


SGLANG: tuple[Any, ...] = ("sglang", ["Wan-AI/Wan2.2"], {"detail": "Video not found"}, {"data": []})
VLLM_OMNI: tuple[Any, ...] = (
    "vllm",
    ["Wan-AI/Wan2.2"],
    {"error": {"message": "Video not found", "code": 404}},
)


async def test_a_server_without_videos_fails_with_the_reason() -> None:
    async with answering_with(played("xinference", ["wan"], None)) as url:
        verdict, message = told(await found(openai_base_url=url), "account openai")
    assert (verdict, message.startswith("has no /v1/videos: http://127.0.0.1")) == ("failed", True)


async def test_what_is_known_of_a_server_is_said_as_warnings() -> None:
    async with answering_with(played(*SGLANG)) as url:
        findings = await found(openai_base_url=url)
    first, *others = findings["account openai"]
    assert first.verdict.value == "ok"
    assert first.message == "its key works: it is SGLang Diffusion, and its jobs can be listed"
    assert [one.verdict.value for one in others] == ["warning", "warning"]
    assert "a cancel does not stop a render" in others[0].message
    assert "keeps its jobs in memory" in others[1].message
    verdict, message = told(findings, "default model")
    assert (verdict, "SGLang Diffusion always uses it" in message) == ("ok", True)


@pytest.mark.parametrize(
    ("names", "default", "verdict", "words"),
    [
        (["wan"], None, "ok", "is openai/wan, the only model of its server"),
        (["wan", "ltx"], None, "warning", "is not set, and the server has wan, ltx"),
        (["wan", "ltx"], "ltx", "ok", "is openai/ltx"),
        (["wan", "ltx"], "sora-2", "warning", "the server has no model openai/sora-2; it has wan"),
        (["openai/*"], "openai/openai/sora-2", "ok", "is openai/openai/sora-2"),
    ],
)
async def test_the_default_model_is_held_against_the_servers(
    names: list[str], default: str | None, verdict: str, words: str
) -> None:
    async with answering_with(played("vllm", names, *VLLM_OMNI[2:])) as url:
        findings = await found(openai_base_url=url, default_model=default)
    assert told(findings, "default model")[0] == verdict
    assert words in told(findings, "default model")[1]


async def test_resubmitting_where_nothing_is_known_to_be_forgotten_is_told() -> None:
    async with running() as simulated:
        given: dict[str, Any] = {"openai_base_url": simulated.base_url}
        findings = await found(**given, openai_resubmit_forgotten=True)
        _, one = findings["account openai"]
        assert (one.verdict.value, "resubmit_forgotten has no effect" in one.message) == (
            "warning",
            True,
        )


async def test_an_account_of_no_provider_fails(tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text('[accounts.two]\nprovider = "nobody"\n')
    verdict, message = told(await found(accounts_file="accounts.toml"), "account two")
    assert (verdict, "There is no provider nobody" in message) == ("failed", True)


def ahead_by(seconds: float) -> float:
    return time.time() + seconds


async def test_clocks_that_differ_are_told() -> None:
    async with running() as simulated:
        for ahead, verdict in [(0, "ok"), (29, "ok"), (33, "warning"), (-33, "warning")]:
            findings = await found(now=partial(ahead_by, ahead), openai_base_url=simulated.base_url)
            assert told(findings, f"clock of 127.0.0.1:{simulated.port}")[0] == verdict


async def test_a_default_model_that_is_needed_and_not_set_is_named_with_its_setting() -> None:
    findings = await found(fal_key="k", fal_base_url="http://127.0.0.1:9")
    verdict, message = told(findings, "default model")
    assert verdict == "warning"
    assert message.startswith("is not set, so each request must name a model")
    assert "REELHOOK_DEFAULT_MODEL" in message


async def test_a_default_model_that_no_provider_has_is_told() -> None:
    findings = await found(fal_key="k", fal_base_url="http://127.0.0.1:9", default_model="sora-2")
    assert told(findings, "default model")[0] == "warning"
    assert "sora-2 is not a model of fal" in told(findings, "default model")[1]


# -- receivers and this server --------------------------------------------------------------------


async def test_what_a_receiver_answers_to_a_look_is_judged() -> None:
    status = 200

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with answering_with(handler) as url:
        for status, verdict in [  # noqa: B007 - what `handler` answers
            (200, "ok"),
            (405, "ok"),
            (404, "warning"),
            (503, "warning"),
            (307, "failed"),
        ]:
            assert told(await found(webhook_url=url), "WEBHOOK_URL")[0] == verdict
    assert told(await found(webhook_url=url), "WEBHOOK_URL")[0] == "failed"


async def test_the_test_event_verifies() -> None:
    taken: list[tuple[bytes, Mapping[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        taken.append((await request.read(), dict(request.headers)))
        return web.Response()

    async with answering_with(handler) as url:
        await found(send=True, webhook_url=url, webhook_secret=SECRET)
    [(body, headers)] = taken
    assert verify(body, headers, SECRET).body["test"] is True


async def test_an_event_without_a_secret_is_not_sent() -> None:
    findings = await found(send=True, webhook_url="http://127.0.0.1:9")
    assert "there is no secret yet" in told(findings, "WEBHOOK_URL")[1]


@pytest.mark.long
def test_a_public_url_that_leads_elsewhere_fails(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    serving = ("serve", "--simulate", "--port", "0")
    says = "reelhook listens on"
    with (
        start(*serving, directory=mine, says=says) as server,
        start(*serving, directory=other, says=says) as another,
        answering() as receiver,
    ):
        for public, words in [
            (another.url, "leads to another reelhook"),
            (receiver.url, "does not lead to a reelhook"),
        ]:
            outcome = reelhook(
                "doctor", directory=mine, REELHOOK_URL=server.url, REELHOOK_PUBLIC_URL=public
            )
            assert outcome.code == 1
            assert words in outcome.out


# -- finished files -------------------------------------------------------------------------------


async def test_an_account_on_a_private_host_is_told_how_files_of_others_are_allowed() -> None:
    async with running() as provider:
        findings = await found(openai_base_url=provider.base_url)
        verdict, words = told(findings, "files of account openai")
        assert verdict == "ok"
        assert provider.root_url in words
        assert "file_networks" in words
        assert "file_origins" in words
        findings = await found(openai_base_url=provider.base_url, file_networks="10.0.0.0/8")
        assert told(findings, "files of account openai") == ("ok", "may also be at 10.0.0.0/8")
    findings = await found(fal_key="k", fal_base_url="https://93.184.215.14/")
    assert "files of account fal" not in findings


async def test_files_that_can_not_be_fetched_are_told_of(tmp_path: Path) -> None:
    url = "http://127.0.0.2:9000/video.mp4?signed=hunter2"
    faults = Faults(queue_seconds=0, render_seconds=0, foreign_file=1, foreign_url=url)
    async with running(faults) as provider:
        given: dict[str, Any] = {
            "fal_key": "k",
            "fal_base_url": f"{provider.root_url}/fal",
            "data_dir": str(tmp_path / "data"),
        }
        settings = Settings.of(port=0, poll_seconds=0.05, **given)
        async with bootstrap.server(settings) as server:
            job_id = await server.hook.submit("A fox", model="fal/somebody/app")
            async with asyncio.timeout(20):
                while (await server.hook.service.job(job_id)).job.content_url is None:  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.01)
            findings = await found(**given)
            verdict, words = told(findings, "files of account fal")
            assert verdict == "warning"
            for one in (job_id, "http://127.0.0.2:9000", "file_networks", "file_origins"):
                assert one in words
            assert "hunter2" not in words
            findings = await found(**given, file_networks="127.0.0.2/32")
            assert told(findings, "files of account fal")[0] == "ok"
