"""`reelhook doctor --orphans`: what providers list and no job owns."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from cli_programs import Outcome, Program, reelhook, serve, simulator

pytestmark = pytest.mark.long


def run(directory: Path, *arguments: str, **variables: str) -> Outcome:
    return reelhook(*arguments, directory=directory, **variables)


def created_elsewhere(provider: Program, prompt: str) -> str:
    """Create a video as another program would; return its id."""
    body = json.dumps({"prompt": prompt, "model": "sora-2"}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{provider.url}/v1/videos", body, headers)  # noqa: S310 - loopback
    with urlopen(request) as answer:  # noqa: S310 - loopback
        return str(json.load(answer)["id"])


def orphans(directory: Path, provider: Program, *arguments: str) -> Outcome:
    return run(
        directory,
        *("doctor", "--orphans", "--data-dir", "data", *arguments),
        OPENAI_BASE_URL=f"{provider.url}/v1",
    )


def test_what_no_job_owns_is_listed_and_adopted_by_the_command_that_is_told(
    tmp_path: Path,
) -> None:
    with (
        simulator(tmp_path, "--render-seconds", "600") as provider,
        serve(tmp_path, provider, "--data-dir", "data") as server,
    ):
        ours = run(tmp_path, "submit", "A fox", "--json", REELHOOK_URL=server.url)
        assert ours.code == 0
        theirs = created_elsewhere(provider, "An owl " * 40)
        found = orphans(tmp_path, provider, "--json")
        assert found.code == 0
        [orphan] = found.json["orphans"]
        command = f"reelhook register {theirs} --account openai"
        assert (orphan["soraJobId"], orphan["command"]) == (theirs, command)
        assert (orphan["account"], orphan["jobId"]) == ("openai", None)
        assert orphan["prompt"].startswith("An owl An owl")
        assert len(orphan["prompt"]) == 80
        assert orphan["createdAt"].endswith("Z")
        words = orphans(tmp_path, provider)
        assert command in words.out.splitlines()
        assert "openai: 1 of 2 entries belong to no job here" in words.out
        adopted = run(tmp_path, *command.split()[1:], REELHOOK_URL=server.url)
        assert adopted.code == 0
        assert orphans(tmp_path, provider, "--json").json["orphans"] == []


def test_one_that_a_job_in_doubt_asked_for_is_adopted_for_that_job(tmp_path: Path) -> None:
    with (
        simulator(tmp_path, "--render-seconds", "600") as provider,
        serve(tmp_path, provider, "--data-dir", "data") as server,
    ):
        ours = run(tmp_path, "submit", "A fox", "--json", REELHOOK_URL=server.url).json["jobId"]
        run(tmp_path, "cancel", ours, "--force", REELHOOK_URL=server.url)
        assert server.stop() == 0
        theirs = created_elsewhere(provider, "A fox")
        with closing(sqlite3.connect(tmp_path / "data" / "reelhook.db")) as database, database:
            database.execute(
                "UPDATE jobs SET status = 'failed', code = 'submission_unknown',"
                " provider_job_id = NULL"
            )
        found = orphans(tmp_path, provider, "--json").json["orphans"]
        by_id = {one["soraJobId"]: one for one in found}
        assert by_id[theirs]["command"] == f"reelhook adopt {ours} {theirs}"
        assert by_id[theirs]["jobId"] == ours


def test_a_listing_that_is_not_there_or_does_not_answer_is_told(tmp_path: Path) -> None:
    with (
        simulator(tmp_path) as provider,
        serve(tmp_path, provider, "--data-dir", "data") as server,
    ):
        assert server.stop() == 0
        told = run(
            tmp_path,
            *("doctor", "--orphans", "--data-dir", "data"),
            FAL_KEY="any",
            FAL_BASE_URL=f"{provider.url}/fal",
            OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        )
    assert told.code == 1
    lines = told.out.splitlines()
    assert any(one.startswith("openai: its listing could not be read:") for one in lines)
    assert any(one.startswith("fal: its provider has no listing") for one in lines)


def test_without_a_provider_or_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    nothing = run(tmp_path, "doctor", "--orphans")
    assert nothing.code == 1
    assert "No provider is configured" in nothing.err
    no_database = run(tmp_path, "doctor", "--orphans", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert no_database.code == 1
    assert "There is no database" in no_database.err
    both = run(tmp_path, "doctor", "--orphans", "--send")
    assert both.code == 2
