"""Commands that only make sense with several providers, on a simulator that plays them all."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from cli_programs import (
    Outcome,
    Program,
    at_once,
    on_terminal,
    reelhook,
    serve,
    simulator,
    start,
)

from reelhook.domain.media import FILES_BYTES_MAX

# An image of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


@dataclass(frozen=True, slots=True)
class House:
    """A simulator, a server with an account at each provider, and a directory for commands."""

    provider: Program
    server: Program
    directory: Path

    def run(self, *arguments: str, stdin: str | None = None) -> Outcome:
        return reelhook(
            *arguments, directory=self.directory, stdin=stdin, REELHOOK_URL=self.server.url
        )

    def shown(self, *arguments: str, typed: str = "") -> tuple[int, str]:
        return on_terminal(
            *arguments, directory=self.directory, typed=typed, REELHOOK_URL=self.server.url
        )

    def faults(self, **changes: Any) -> None:
        self._ask("/simulator/faults", "PATCH", changes)

    def runway_task(self) -> str:
        """Create a task at Runway behind the server's back; return its id."""
        made = self._ask(
            "/runway/v1/text_to_video",
            "POST",
            {"model": "gen4.5", "promptText": "A fox", "ratio": "1280:720", "duration": 5},
            {"Authorization": "Bearer any", "X-Runway-Version": "2024-11-06"},
        )
        return str(made["id"])

    def doubtful(self, script: str) -> str:
        """Submit a job whose answer gets lost where nothing can be looked up."""
        self.faults(lost_create=1)
        try:
            outcome = self.run("submit", script, "--model", "runway/gen4.5", "--watch")
        finally:
            self.faults(lost_create=0)
        assert outcome.code == 1
        assert "submission_unknown" in outcome.err
        return outcome.out.splitlines()[0].removeprefix("Job: ")

    def _ask(
        self, path: str, method: str, body: Any, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        request = Request(  # noqa: S310 - loopback
            f"{self.provider.url}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"} | (headers or {}),
            method=method,
        )
        with urlopen(request) as response:  # noqa: S310 - loopback
            told: dict[str, Any] = json.load(response)
        return told


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    quick = ("--render-seconds", "0.5", "--queue-seconds", "0.1")
    (directory / "accounts.toml").write_text(
        '[accounts.fal-two]\nprovider = "fal"\nkey = "k"\nbase_url = "{url}/fal"\njobs_max = 3\n'
        '[aliases]\nquick = "fal/fal-ai/veo3/fast"\n'
    )
    with simulator(directory, *quick) as provider:
        path = directory / "accounts.toml"
        path.write_text(path.read_text().replace("{url}", provider.url))
        keys = {
            "REELHOOK_ACCOUNTS_FILE": str(path),
            "RUNWAYML_API_SECRET": "key",
            "RUNWAYML_BASE_URL": f"{provider.url}/runway/v1",
            "REELHOOK_SUBMIT_SETTLE_SECONDS": "0",
            "ARK_API_KEY": "key",
            "ARK_BASE_URL": f"{provider.url}/ark/api/v3",
        }
        with serve(directory, provider, **keys) as server:
            yield House(provider, server, directory)
            assert server.stop() == 0


# -- requests -------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_request_carries_all_that_a_model_can_be_told(house: House) -> None:
    (house.directory / "fox.png").write_bytes(PNG)
    outcome = house.run(
        *("submit", "The fox runs", "--model", "runway/gen4.5", "--image", "fox.png"),
        *(
            "--aspect-ratio",
            "9:16",
            "--seed",
            "7",
            "--fallback",
            "runway/veo3.1",
            "--fallback",
            "sora-2",
        ),
        *("--option", "audio=false", "--option", "negativePrompt=people", "--watch", "--json"),
    )
    assert (outcome.code, outcome.err) == (0, "")
    job = json.loads(outcome.out.splitlines()[-1])
    assert (job["provider"], job["account"]) == ("runway", "runway")
    assert (job["aspectRatio"], job["seed"]) == ("9:16", 7)
    assert job["fallbacks"] == ["runway/veo3.1", "sora-2"]
    lines = house.run("status", job["jobId"]).out.splitlines()
    assert {"Provider: runway", "Account: runway", "Aspect ratio: 9:16"} <= {*lines}
    assert any(re.fullmatch(r"Cost: \d+ credits", line) for line in lines)


def test_an_image_may_be_a_url(house: House) -> None:
    outcome = house.run(
        *("submit", "The fox runs", "--model", "runway/gen4_turbo", "--json"),
        *("--image", "https://example.com/fox.png"),
    )
    assert outcome.code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--image", "fox.txt"], "neither a URL nor named like an image"),
        (["--image", "missing.png"], "can't be read"),
        (["--image", "large.png"], "shrink it, or give a URL"),
        (["--option", "resolution"], "write it like resolution=1080p"),
        (["--option", "=1"], "write it like resolution=1080p"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_what_can_t_be_sent_is_refused_in_one_line(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    (tmp_path / "fox.txt").write_text("A fox")
    with (tmp_path / "large.png").open("wb") as large:
        large.truncate(FILES_BYTES_MAX + 1)
    outcome = reelhook("submit", "A fox", *arguments, directory=tmp_path)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert says in outcome.err


def test_a_large_image_fits_into_a_request(house: House) -> None:
    (house.directory / "large.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8 " + bytes(674_000))
    outcome = house.run(
        "submit",
        "A fox",
        "--model",
        "ark/seedance-1-5-pro-251215",
        "--json",
        "--image",
        "large.webp",
    )
    assert (outcome.code, outcome.err) == (0, "")


def test_what_a_model_can_t_do_is_told_before_it_is_paid(house: House) -> None:
    outcome = house.run("submit", "A fox", "--model", "quick", "--seconds", "5")
    assert outcome.code == 1
    assert "4, 6, 8" in outcome.err


def test_a_job_of_another_account_is_registered(house: House) -> None:
    task = house.runway_task()
    job = house.run("register", task, "--account", "runway", "--json").json
    assert (job["soraJobId"], job["account"]) == (task, "runway")
    refused = house.run("register", task, "--account", "nobody")
    assert refused.code == 1
    assert "nobody is not an account here" in refused.err


# -- models and costs -----------------------------------------------------------------------------


def test_models_are_listed_by_a_part_of_their_name(house: House) -> None:
    runway, none, document = at_once(
        house.run, ("models", "GEN4"), ("models", "nothing"), ("models", "--json")
    )
    assert [line.split("\t")[0] for line in runway.out.splitlines()] == [
        "MODEL",
        "runway/gen4.5",
        "runway/gen4_turbo",
    ]
    assert "\t2 to 10\t" in runway.out
    assert [line.split("\t")[-1] for line in runway.out.splitlines()] == [
        "PRICE",
        "12 credits a second",
        "5 credits a second",
    ]
    assert none.out.splitlines()[1:] == []
    assert document.json["aliases"] == {"quick": "fal/fal-ai/veo3/fast"}
    assert {one["provider"] for one in document.json["models"]} == {"fal", "ark", "runway"}


def test_a_terminal_tells_providers_aliases_and_the_default_too(house: House) -> None:
    code, shown = house.shown("models", "veo3")
    assert code == 0
    assert "fal/fal-ai/veo3/fast" in shown
    assert "quick is an alias of fal/fal-ai/veo3/fast" in shown
    assert "Default model: the openai server's default" in shown
    assert "No model has 'zzz' in its name" in house.shown("models", "zzz")[1]


def test_costs_are_told_by_day_and_model_with_a_total(house: House) -> None:
    job_id = house.run("submit", "A fox", "--model", "runway/gen4.5", "--json").json["jobId"]
    while house.run("status", job_id, "--json").json["cost"]["kind"] == "estimated":
        pass  # it was not created yet
    today = datetime.now(UTC).date().isoformat()
    table, document, before, wrong = at_once(
        house.run,
        ("costs", "--since", today),
        ("costs", "--json"),
        ("costs", "--until", "2020-01-01"),
        ("costs", "--since", "yesterday"),
    )
    [line] = [line for line in table.out.splitlines() if "\trunway/gen4.5\t" in line]
    assert line.startswith(today)
    assert line.endswith("\tcredits")
    assert {one["unit"] for one in document.json["costs"]} >= {"credits"}
    assert before.out.splitlines() == [
        "DAY\tMODEL\tJOBS\tCOMPLETED\tCHARGED\tQUOTED\tESTIMATED\tUNIT"
    ]
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert re.search(r"Total: [\d.]+ USD", house.shown("costs")[1])


def test_a_price_is_estimated_before_anything_is_paid(house: House) -> None:
    options = ("A fox", "--model", "runway/gen4.5", "--seconds", "6")
    audio = ("--option", "generate_audio=false")
    one, several, document, unknown, wrong = at_once(
        house.run,
        ("estimate", *options),
        ("estimate", *options, "--fallback", "fal/fal-ai/veo3/fast", *audio),
        ("estimate", *options, "--json"),
        ("estimate", "A fox", "--model", "runway/kling_4"),
        ("estimate", "A fox", "--model", "runway/gen4.5", "--seconds", "99"),
    )
    assert one.out.splitlines() == ["MODEL\tPRICE", "runway/gen4.5\t0.72 USD (72 credits)"]
    assert several.out.splitlines()[2:] == ["fal/fal-ai/veo3/fast\t0.6 USD"]
    assert document.json["highest"] == {"amount": 0.72, "unit": "USD"}
    assert unknown.out.splitlines()[1:] == ["runway/kling_4\tunknown"]
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    code, shown = house.shown("estimate", *options, "--fallback", "fal/fal-ai/veo3/fast")
    assert (code, "Highest: 0.9 USD" in shown) == (0, True)


def test_statistics_tell_how_each_account_fares(house: House) -> None:
    lines = house.run("stats").out.splitlines()
    assert "ACCOUNT\tPROVIDER\tIN FLIGHT\tLIMIT\tWAITING\tHEALTH" in lines
    assert "fal-two\tfal\t0\t3\t0\tgood" in lines


# -- doubts ---------------------------------------------------------------------------------------


def test_a_job_in_doubt_is_adopted(house: House) -> None:
    job_id = house.doubtful("Found again")
    assert job_id in house.run("jobs", "--in-doubt").out
    assert f"reelhook adopt {job_id} PROVIDERS_ID" in house.shown("status", job_id)[1]
    unknown = house.run("adopt", job_id, "00000000-0000-4000-8000-000000000000")
    assert unknown.code == 1
    adopted = house.run("adopt", job_id, house.runway_task(), "--json").json
    assert adopted["adoptedFrom"] == job_id
    assert f"Adopted from: {job_id}" in house.run("status", adopted["jobId"]).out
    assert job_id not in house.run("jobs", "--in-doubt").out


@pytest.mark.long
def test_a_job_in_doubt_is_abandoned_once_that_is_confirmed(house: House) -> None:
    job_id = house.doubtful("Lost for good")
    unasked = house.run("abandon", job_id)
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    code, shown = house.shown("abandon", job_id, typed="n\n")
    assert (code, "Have you checked that" in shown) == (1, True)
    assert job_id in house.shown("jobs", "--in-doubt")[1]
    assert house.shown("abandon", job_id, typed="y\n")[0] == 0
    assert house.run("jobs", "--in-doubt", "--json").json["jobs"] == []
    again = house.run("abandon", job_id, "--yes")
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "No job is in doubt." in house.shown("jobs", "--in-doubt")[1]


# -- the simulator --------------------------------------------------------------------------------


@pytest.mark.long
def test_the_simulator_tells_how_serve_is_pointed_at_each_wire(tmp_path: Path) -> None:
    with simulator(tmp_path) as program:
        assert program.process.stdout is not None
        lines = [program.process.stdout.readline() for _ in range(7)]
        assert program.stop() == 0
    assert lines[0] == f"Use it: OPENAI_BASE_URL={program.url}/v1 reelhook serve\n"
    assert f"  FAL_KEY=any FAL_BASE_URL={program.url}/fal reelhook serve\n" in lines
    assert len([line for line in lines if "=any " in line]) == 5


def test_serve_says_whom_it_simulates(tmp_path: Path) -> None:
    arguments = ("serve", "--simulate", "--port", "0")
    code, shown = on_terminal(*arguments, directory=tmp_path, until="reelhook listens on")
    assert code == 0
    assert "Simulated providers: openai, ark, fal, replicate, runway, xai" in shown


@pytest.mark.long
def test_no_key_is_used_where_all_is_simulated(tmp_path: Path) -> None:
    keys = {"FAL_KEY": "real", "FAL_BASE_URL": "http://127.0.0.1:9"}
    arguments = ("serve", "--simulate", "--port", "0")
    with start(*arguments, directory=tmp_path, says="reelhook listens on", **keys) as server:
        stats = reelhook("stats", "--json", directory=tmp_path, REELHOOK_URL=server.url).json
        assert len(stats["accounts"]) == 6
        assert server.stop() == 0


@pytest.mark.long
@pytest.mark.parametrize("providers", [("ark", "fal"), ("replicate", "runway", "xai")], ids=str)
def test_the_demo_shows_every_provider(providers: tuple[str, ...], tmp_path: Path) -> None:
    outcomes = at_once(
        partial(reelhook, directory=tmp_path),
        *(("demo", "--provider", one, "--json", "--output", f"{one}.mp4") for one in providers),
    )
    for provider, outcome in zip(providers, outcomes, strict=True):
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.json["webhooks"][-1]["status"] == "completed"
        assert (tmp_path / f"{provider}.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_demo_knows_no_other_provider(tmp_path: Path) -> None:
    outcome = reelhook("demo", "--provider", "nobody", directory=tmp_path)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "openai, ark, fal, replicate, runway, xai" in outcome.err


def test_the_address_for_a_provider_s_own_webhooks_is_shown(house: House) -> None:
    base_url = f"{house.provider.url}/v1"
    ask = partial(reelhook, "callback", "openai", directory=house.directory)
    shown = ask(OPENAI_BASE_URL=base_url, REELHOOK_PUBLIC_URL=house.server.url)
    assert (shown.code, shown.err) == (0, "")
    path = shown.out.removeprefix(house.server.url).strip()
    assert re.fullmatch(r"/providers/openai/webhook/account\.openai\.[0-9a-f]{32}", path)
    alone = ask("--json", OPENAI_BASE_URL=base_url)
    assert json.loads(alone.out)["url"].endswith(path)
    assert "REELHOOK_PUBLIC_URL is not set" in alone.err
