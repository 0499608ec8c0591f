import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from cli_programs import (
    COMMAND,
    Outcome,
    Program,
    at_once,
    environment,
    on_terminal,
    reelhook,
    serve,
    simulator,
)
from typer import BadParameter

from reelhook.cli.submit_options import file_uri


@dataclass(frozen=True, slots=True)
class House:
    """A simulated provider, a server on top of it, and a directory for commands."""

    provider: Program
    server: Program
    directory: Path

    def run(self, *arguments: str, stdin: str | None = None, **variables: str) -> Outcome:
        given = {"REELHOOK_URL": self.server.url} | variables
        return reelhook(*arguments, directory=self.directory, stdin=stdin, **given)

    def submitted(self, script: str = "A fox") -> str:
        return str(self.run("submit", script, "--json").json["jobId"])

    def faults(self, **changes: Any) -> None:
        body = json.dumps(changes).encode()
        request = Request(f"{self.provider.url}/simulator/faults", body, method="PATCH")  # noqa: S310 - loopback
        urlopen(request).close()  # noqa: S310 - loopback


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    quick = ("--render-seconds", "1", "--queue-seconds", "0.2")
    with simulator(directory, *quick) as provider, serve(directory, provider) as server:
        yield House(provider, server, directory)
        assert server.stop() == 0


def test_a_job_is_submitted_watched_and_read(house: House) -> None:
    watched = house.run("submit", "A fox", "--seconds", "4", "--size", "720x1280", "--watch")
    assert (watched.code, watched.err) == (0, "")
    first, *changes, last = watched.out.splitlines()
    job_id = first.removeprefix("Job: ")
    assert changes[-1] == "completed 100 %"
    assert last == f"Video: {house.server.url}/api/sora/videos/{job_id}/download"
    words = house.run("status", job_id).out.splitlines()
    assert {f"Job: {job_id}", "Status: completed 100 %", "Title: A fox", "Size: 720x1280"} <= {
        *words
    }


def test_a_job_is_found_by_its_labels(house: House) -> None:
    labels = ("--external-id", "order 7", "--metadata", "shop=a=b", "--priority", "low")
    job_id = house.run("submit", "A fox", *labels, "--json").json["jobId"]
    words = house.run("status", job_id).out.splitlines()
    assert {"Your id: order 7", "Metadata: shop=a=b", "Priority: low"} <= {*words}
    wanted = ("--metadata", "shop=a=b", "--created-after", "1h", "--json")
    for external_id, found in (("order 7", [job_id]), ("order 8", [])):
        page = house.run("jobs", "--external-id", external_id, *wanted).json
        assert [job["jobId"] for job in page["jobs"]] == found
    refused = house.run("jobs", "--metadata", "shop")
    assert (refused.code, "write it like order=4711" in refused.err) == (2, True)


def test_json_is_the_servers_own(house: House) -> None:
    job_id = house.submitted()
    with urlopen(f"{house.server.url}/api/jobs/{job_id}") as response:  # noqa: S310 - loopback
        keys = json.load(response).keys()
    assert house.run("status", job_id, "--json").json.keys() == keys


def test_watching_with_json_prints_a_line_for_every_change(house: House) -> None:
    outcome = house.run("submit", "A fox", "--watch", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    jobs = [json.loads(line) for line in outcome.out.splitlines()]
    assert len({job["jobId"] for job in jobs}) == 1
    states = [(job["status"], job["progress"]) for job in jobs]
    assert states[-1] == ("completed", 100)
    assert len(states) == len(set(states))


def test_watching_a_job_that_fails_exits_with_1_and_says_why(house: House) -> None:
    house.faults(moderation=1)
    try:
        outcome = house.run("submit", "A fox", "--watch", "--json")
    finally:
        house.faults(moderation=0)
    assert outcome.code == 1
    assert json.loads(outcome.out.splitlines()[-1])["status"] == "failed"
    assert re.fullmatch(r"reelhook: The job \S+ is failed: .+ \(\w+\)\n", outcome.err)


def test_a_refused_create_is_shown_by_every_command(house: House) -> None:
    house.faults(refused_create=1)
    try:
        job_id = house.submitted("Refused")
        words = "HTTP 503: The limit of 1 concurrent tasks has been reached."
        while words not in (shown := house.run("status", job_id).out):
            assert "Status: " in shown
        assert {"Creates tried: 1"} <= {*shown.splitlines()}
        assert words in house.run("jobs", "--limit", "1").out
        assert f"create 1 of {job_id}: {words}" in house.run("stats").out
    finally:
        house.faults(refused_create=0)


def test_a_terminal_shows_a_progress_bar(house: House) -> None:
    code, shown = on_terminal(
        "submit", "A fox", "--watch", directory=house.directory, REELHOOK_URL=house.server.url
    )
    assert code == 0
    assert "━━━━" in shown
    assert "completed" in shown
    assert "100 %" in shown


def test_leaving_a_watch_leaves_the_job_alone(house: House) -> None:
    house.faults(stuck=1)
    try:
        code, shown = on_terminal(
            *("submit", "Stuck", "--watch"),
            directory=house.directory,
            until="processing",
            REELHOOK_URL=house.server.url,
        )
    finally:
        house.faults(stuck=0)
    assert code == 130
    assert "the job continues" in shown
    newest = house.run("jobs", "--limit", "1", "--json").json["jobs"][0]
    assert (newest["title"], newest["status"]) == ("Stuck", "processing")
    assert house.run("cancel", newest["jobId"], "--json").json["status"] == "canceled"


def test_jobs_are_listed_by_pages_and_status(house: House) -> None:
    ids = [house.submitted(f"Video {number}") for number in range(3)]
    page = house.run("jobs", "--limit", "2", "--json").json
    assert [job["jobId"] for job in page["jobs"]] == [ids[2], ids[1]]
    rest = house.run("jobs", "--cursor", page["nextCursor"], "--limit", "1", "--json").json
    assert rest["jobs"][0]["jobId"] == ids[0]
    house.run("status", ids[2], "--watch")
    table = house.run("jobs", "--status", "completed", "--limit", "500").out.splitlines()
    assert table[0].split("\t") == ["JOB", "STATUS", "PROGRESS", "CREATED", "TITLE"]
    assert set(ids) <= {line.split("\t")[0] for line in table}
    assert {line.split("\t")[1] for line in table[1:]} == {"completed"}


def test_a_filter_that_nothing_matches_suggests_no_new_job(house: House) -> None:
    filtered = ("jobs", "--external-id", "no-such-order")
    code, shown = on_terminal(*filtered, directory=house.directory, REELHOOK_URL=house.server.url)
    assert (code, shown.strip()) == (0, "No jobs match.")


def test_a_table_on_a_terminal_has_columns(house: House) -> None:
    job_id = house.submitted("[red]Not markup[/red]")
    code, shown = on_terminal("jobs", directory=house.directory, REELHOOK_URL=house.server.url)
    assert code == 0
    assert job_id in shown
    assert "[red]Not markup[/red]" in shown
    assert "\t" not in shown


def test_a_script_may_come_from_stdin(house: House) -> None:
    outcome = house.run("submit", "-", "--json", stdin="From a file")
    assert outcome.json["title"] == "From a file"


def test_an_idempotency_key_brings_the_same_job(house: House) -> None:
    first, second = (
        house.run("submit", "Once", "--idempotency-key", "k-1", "--json").json for _ in range(2)
    )
    assert first == second
    other = house.run("submit", "Twice", "--idempotency-key", "k-1")
    assert other.code == 1
    assert other.err.count("\n") == 1


def test_a_job_from_elsewhere_is_registered_polled_and_canceled(house: House) -> None:
    body = json.dumps({"prompt": "Elsewhere", "model": "sora-2"}).encode()
    request = Request(  # noqa: S310 - loopback
        f"{house.provider.url}/v1/videos", body, {"Content-Type": "application/json"}
    )
    with urlopen(request) as response:  # noqa: S310 - loopback
        theirs = json.load(response)["id"]
    arguments = ("register", theirs, "--job-id", "job-9", "--json")
    assert house.run(*arguments).json["soraJobId"] == theirs
    assert house.run(*arguments).json["jobId"] == "job-9"
    assert house.run("poll", "job-9", "--json").json["jobId"] == "job-9"
    assert house.run("status", "job-9", "--watch").code == 0
    late = house.run("cancel", "job-9")
    assert (late.code, late.err.count("\n")) == (1, 1)


def test_the_watcher_is_paused_and_resumed(house: House) -> None:
    assert house.run("watcher", "pause", "--json").json == {"paused": True}
    assert house.run("stats", "--json").json["watcher"]["paused"] is True
    assert "Watcher: paused since " in house.run("stats").out
    assert house.run("watcher", "resume").out == "The watcher is watching.\n"
    assert house.run("stats", "--json").json["watcher"]["paused"] is False


def test_an_unknown_job_is_one_line_with_a_remedy(house: House) -> None:
    for outcome in at_once(
        house.run, ("status", "no-such-job"), ("poll", "no/such?job"), ("cancel", "..")
    ):
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err == "reelhook: Job not found; `reelhook jobs` lists them\n"


def test_what_the_server_refuses_is_told_in_its_words(house: House) -> None:
    outcome = house.run("submit", "A fox", "--webhook-url", "http://user:pw@127.0.0.1/x")
    assert outcome.code == 1
    assert "user name or password" in outcome.err
    assert outcome.err.count("\n") == 1


def test_no_server_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    outcome = reelhook("stats", directory=tmp_path, REELHOOK_URL="http://127.0.0.1:9")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "reelhook: No reelhook server responds at http://127.0.0.1:9; "
        "start one with `reelhook serve` or set REELHOOK_URL\n"
    )


def test_another_server_is_told_from_reelhook(house: House) -> None:
    outcome = house.run("stats", "--url", house.provider.url)
    assert outcome.code == 1
    assert "set REELHOOK_URL" in outcome.err


def test_the_key_goes_along_and_its_lack_is_told(house: House, tmp_path: Path) -> None:
    key = "key-of-the-house"
    with serve(tmp_path, house.provider, REELHOOK_API_KEY=key) as server:
        url = {"REELHOOK_URL": server.url}
        without = reelhook("stats", directory=tmp_path, **url)
        keyed = reelhook("stats", "--json", directory=tmp_path, REELHOOK_API_KEY=key, **url)
    assert without.code == 1
    assert "REELHOOK_API_KEY" in without.err
    assert keyed.json["jobs"]["total"] == 0


@pytest.mark.long
def test_a_watch_outlives_a_server_that_dies_and_comes_back(house: House, tmp_path: Path) -> None:
    house.faults(render_seconds=4)
    server = serve(tmp_path, house.provider)
    port = server.url.rpartition(":")[2]
    again: list[Program] = []

    async def restart_while_watching() -> tuple[int | None, bytes]:
        watch = await asyncio.create_subprocess_exec(
            *(*COMMAND, "submit", "A fox", "--watch"),
            cwd=tmp_path,
            env=environment(REELHOOK_URL=server.url),
            stdout=asyncio.subprocess.PIPE,
        )
        assert watch.stdout is not None
        while b"processing" not in await watch.stdout.readline():  # so that it is no doubt
            assert not watch.stdout.at_eof()
        server.stop(signal.SIGKILL)
        again.append(serve(tmp_path, house.provider, "--port", port))
        rest = await watch.stdout.read()
        return await watch.wait(), rest

    try:
        code, rest = asyncio.run(restart_while_watching())
    finally:
        house.faults(render_seconds=1)
        for program in (server, *again):
            program.stop()
    assert code == 0
    assert b"completed 100 %" in rest


@asynccontextmanager
async def forgetful_proxy(port: int, answers_lost: int) -> AsyncIterator[str]:
    """Pass requests on, but lose the first answers."""
    left = answers_lost

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)
        head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        ours.write(head + body)
        answer = await theirs.read()
        ours.close()
        if left:
            left -= 1
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(("answers_lost", "code"), [(2, 0), (3, 1)])
def test_a_submit_whose_answer_gets_lost_is_sent_again_but_never_paid_twice(
    house: House, answers_lost: int, code: int
) -> None:
    before = house.run("stats", "--json").json["jobs"]["total"]

    async def submit() -> Outcome:
        port = int(house.server.url.rpartition(":")[2])
        async with forgetful_proxy(port, answers_lost) as url:
            return await asyncio.to_thread(house.run, "submit", "Lost", REELHOOK_URL=url)

    outcome = asyncio.run(submit())
    assert outcome.code == code
    assert ("--idempotency-key" in outcome.err) == (code == 1)
    assert house.run("stats", "--json").json["jobs"]["total"] == before + 1


def test_a_job_is_deleted_once_that_is_confirmed(house: House) -> None:
    watched = house.run("submit", "A fox to be forgotten", "--watch", "--json").out
    job_id = json.loads(watched.splitlines()[-1])["jobId"]
    unasked = house.run("delete", job_id)
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert house.run("status", job_id).code == 0
    deleted = house.run("delete", job_id, job_id, "--yes")
    assert (deleted.code, deleted.out, deleted.err) == (0, f"Deleted {job_id}.\n", "")
    again = house.run("delete", job_id, "--yes")
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert f"{job_id}: Job not found" in again.err


def test_a_video_s_files_are_read_by_their_options(tmp_path: Path) -> None:
    sound = tmp_path / "rain.mp3"
    sound.write_bytes(b"abc")
    assert file_uri(str(sound), "--reference-audio", "audio") == "data:audio/mpeg;base64,YWJj"
    assert file_uri("https://h.example/a", "--reference-video", "video") == "https://h.example/a"
    assert file_uri("job:job_1", "--image") == "job:job_1"
    with pytest.raises(BadParameter, match="named like a sound"):
        file_uri("job:job_1", "--reference-audio", "audio")
    with pytest.raises(BadParameter, match="named like a video"):
        file_uri(str(sound), "--reference-video", "video")
    with pytest.raises(BadParameter, match="can't be read"):
        file_uri(str(tmp_path / "no.png"), "--last-frame")
