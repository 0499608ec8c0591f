"""`reelhook copy` as users run it: killed half-way, run again, and the copy served afterwards."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import forked_commands
import pytest
from aiohttp import ClientSession, web
from cleaning_up import clean_up

from .installations import dump, fill, grow, run_on
from .postgres_databases import fresh_database

pytestmark = pytest.mark.long

T = TypeVar("T")
COMMAND = (sys.executable, "-m", "reelhook")
WAIT_SECONDS = 60.0


@pytest.fixture
async def target(postgres_url: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_url) as url:
        yield url


def environment(**variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return kept | {"PYTHONUTF8": "1"} | variables


async def reelhook(*arguments: str, **variables: str) -> tuple[int, str, str]:
    return await asyncio.to_thread(
        forked_commands.run,
        arguments,
        cwd=Path.cwd(),
        env=environment(**variables),
        stdin=None,
        timeout=WAIT_SECONDS,
    )


ONLOOKER = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'onlooker') THEN
    CREATE ROLE onlooker SUPERUSER LOGIN;
  END IF;
END $$
"""


async def kill_when_it_copies(process: asyncio.subprocess.Process, url: str, table: str) -> None:
    """Kill a copy as soon as rows of this table have arrived, as another user sees it."""
    await run_on(url, ONLOOKER)
    connection = await asyncpg.connect(url, user="onlooker")

    async def some_are_there() -> bool:
        count: int = await connection.fetchval("SELECT count(*) FROM " + table)  # noqa: S608 - a name of ours
        return count > 0 or process.returncode is not None

    try:
        await until(some_are_there, 0.005)
        process.kill()
        await process.wait()
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[T]], pause_seconds: float = 0.05) -> T:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(pause_seconds)


async def test_a_copy_that_was_killed_goes_on_and_leaves_no_duplicates(
    tmp_path: Path, target: str
) -> None:
    path = tmp_path / "reelhook.db"
    await fill(path)
    grow(path, 60_000)
    before = dump(path)
    arguments = ("copy", "--to", target, "--data-dir", str(tmp_path), "--json")
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await kill_when_it_copies(process, target, "attempts")
    ((arrived,),) = await run_on(target, "SELECT count(*) FROM attempts")
    assert 0 < arrived < 60_000
    for command in (("serve", "--simulate", "--port", "0"), ("worker", "--migrate")):
        code, out, err = await reelhook(
            *command, DATABASE_URL=target, OPENAI_BASE_URL="http://127.0.0.1:9/v1"
        )
        assert (code, out.strip(), "a copy that is not finished" in err) == (1, "", True)

    code, out, err = await reelhook(*arguments)
    assert (code, err.count("Traceback")) == (0, 0)
    copied = json.loads(out)
    assert copied["resumed"]
    for table, rows in before.items():
        if table != "workers":
            assert copied["tables"][table]["rows"] == len(rows)
            assert await run_on(target, f"SELECT count(*) FROM {table}") == [(len(rows),)]  # noqa: S608 - as above
    # All moved: the old one is closed, and a second copy is refused.
    code, _, err = await reelhook("serve", "--simulate", "--port", "0", "--data-dir", str(tmp_path))
    assert (code, "--reopen" in err, err.count("\n")) == (1, True, 1)
    code, _, err = await reelhook(*arguments)
    assert (code, err.count("\n")) == (1, 1)
    code, out, _ = await reelhook("copy", "--reopen", "--data-dir", str(tmp_path))
    assert (code, out) == (0, "The database is open again.\n")


async def test_wrong_usage_is_told_in_one_line(tmp_path: Path) -> None:
    for arguments, words in (
        ((), "--to"),
        (("--to", "mysql://x"), "--to must be"),
        (("--to", "sqlite:///x.db", "--reopen"), "either"),
        (("--to", f"sqlite:///{tmp_path}/x.db"), "There is no database"),
    ):
        code, out, err = await reelhook("copy", "--data-dir", str(tmp_path / "none"), *arguments)
        assert code in {1, 2}
        assert (out, err.count("\n"), words in err) == ("", 1, True)
    assert list(tmp_path.iterdir()) == []


# -- the life of an installation, across its move --------------------------------------------------


@asynccontextmanager
async def running(
    *arguments: str, says: str, **variables: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run a command until the block ends; yield it with the URL that it printed."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment(**variables), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while says not in (line := (await process.stdout.readline()).decode()):
                assert line, "it has ended"
        url = "http://" + line.partition("http://")[2].split()[0].strip(';",')
        drained = asyncio.create_task(process.stdout.read())
        yield process, url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await drained


class Receiver:
    """A receiver that is down until it is switched on, and keeps what it accepted."""

    def __init__(self) -> None:
        self.up = False
        self.taken: list[dict[str, Any]] = []

    async def on_post(self, request: web.Request) -> web.Response:
        if not self.up:
            return web.Response(status=503)
        self.taken.append(await request.json())
        return web.Response(status=204)


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receiver, str]]:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.on_post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield receiver, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await clean_up(runner)


async def test_an_installation_goes_on_where_it_was_after_its_move(
    tmp_path: Path, target: str
) -> None:
    simulator = ("simulate", "--port", "0", "--render-seconds", "6", "--queue-seconds", "0.2")
    async with (
        receiving() as (receiver, hook),
        running(*simulator, says="provider runs") as (_, provider),
        ClientSession() as http,
    ):
        serve = ("serve", "--port", "0", "--poll-seconds", "0.1", "--data-dir", str(tmp_path))
        variables = {
            "OPENAI_BASE_URL": provider,
            "WEBHOOK_URL": hook,
            "REELHOOK_RETRY_SCHEDULE": ",".join(["0.5s"] * 100),
        }

        async def jobs(url: str, status: str) -> list[str]:
            async with http.get(f"{url}/api/jobs", params={"status": status}) as answer:
                return [job["jobId"] for job in (await answer.json())["jobs"]]

        async with running(*serve, says="reelhook listens on", **variables) as (_, url):
            for _ in range(3):
                async with http.post(f"{url}/api/generate", json={"script": "a fox"}) as answer:
                    assert answer.status < 300, await answer.text()
            await until(lambda: _all(jobs(url, "processing"), 3))
        _, secret, _ = await reelhook("secret", "--data-dir", str(tmp_path))
        code, _, err = await reelhook("copy", "--to", target, "--data-dir", str(tmp_path))
        assert code == 0, err

        receiver.up = True
        moved = {**variables, "DATABASE_URL": target}
        async with running(*serve, says="reelhook listens on", **moved) as (_, url):
            done = await until(lambda: _all(jobs(url, "completed"), 3))
            await until(lambda: _ends(receiver, done))
        _, after, _ = await reelhook("secret", DATABASE_URL=target)
    assert secret == after != ""
    ended = [one["jobId"] for one in receiver.taken if one["status"] == "completed"]
    assert sorted(ended) == sorted(done)


async def _all(found: Any, count: int) -> list[str]:
    jobs: list[str] = await found
    return jobs if len(jobs) == count else []


async def _ends(receiver: Receiver, jobs: list[str]) -> bool:
    return {one["jobId"] for one in receiver.taken if one["status"] == "completed"} == set(jobs)
