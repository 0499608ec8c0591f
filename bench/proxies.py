"""Refused uploads and idle connections, directly and through each proxy of `deploy/`.

    python -m bench.proxies                          # all of it; or the names of some acts
    python -m bench.proxies calls --base REELHOOK    # create, retrieve and stop beside another one

BENCH_REELHOOK names another program to measure. What is not installed is left out, and said so.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.figures import Figures
from bench.processes import REELHOOK, Server
from bench.proxy_loads import (
    KEY,
    UPLOADS,
    Way,
    after_pauses,
    innocent,
    late_body,
    refused_uploads,
    timed_calls,
)
from bench.proxy_programs import COMMANDS, program_of, proxy
from bench.stage import RESULTS
from reelhook.bootstrap.descriptors import raise_soft_limit

UPLOADS_EACH = 120
ALONE_SECONDS = 5.0
LATE_SECONDS = (0.5, 1.5, 3.0)
INNOCENT_SECONDS_MAX = 1.0
PAUSES = {"4 to 6 s": ((4.0, 6.0), 250, 4), "59 to 61 s": ((59.0, 61.0), 1000, 1)}
APART_SECONDS = 8.0
"""The ways begin one after the other, or this client would be the slowest part of them all."""
CALLS = 400
ROUNDS = 5
Act = Callable[[list[Way], Figures, Path], Awaitable[None]]


@asynccontextmanager
async def serving(
    folder: Path, program: str | None = None, **variables: str
) -> AsyncIterator[Server]:
    environment = {
        "REELHOOK_API_KEY": KEY,
        "REELHOOK_PUBLIC_URL": "https://video.example.com",
        "REELHOOK_TRUSTED_PROXIES": "127.0.0.1",
        **variables,
    }
    command = (str(REELHOOK) if program is None else program,)
    server = Server(folder, environment, ("serve", "--simulate"), command)
    try:
        await server.start()
        yield server
    finally:
        server.close()


@asynccontextmanager
async def ways(folder: Path, names: list[str]) -> AsyncIterator[list[Way]]:
    """Serve, directly and behind each proxy that is installed."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(folder / "server"))
        found = [Way("directly", server.port, tls=False)]
        for name in names:
            if program_of(name) is None:
                print(f"{name} is not installed, so nothing is sent through it")
                continue
            place = folder / name.replace(" ", "_")
            one = stack.enter_context(proxy(name, place, server.port))
            found.append(Way(name, int(one.url.rpartition(":")[2]), tls=True))
        yield found


async def uploads(found: list[Way], figures: Figures, folder: Path) -> None:
    for way in found:
        async with innocent(way) as alone:
            await asyncio.sleep(ALONE_SECONDS)
        figures.tell(f"{way.name}: longest wait without uploads", f"{max(alone.seconds):.3g} s")
        for name, upload in UPLOADS.items():
            statuses, seen = await refused_uploads(way, upload, UPLOADS_EACH, folder)
            figures.equal(
                f"{way.name}: {name}: statuses",
                ", ".join(f"{count} x {status}" for status, count in statuses.most_common()),
                f"{UPLOADS_EACH} x {upload.status}",
            )
            what = f"{way.name}: {name}: the innocent"
            figures.at_most(f"{what}'s longest wait", max(seen.seconds), INNOCENT_SECONDS_MAX, " s")
            figures.none(f"{what}'s failures of {len(seen.seconds)}", seen.wrong)
            waits = f"another waited {max(seen.seconds):.3g} s (alone {max(alone.seconds):.3g} s)"
            print(f"{way.name}: {name}: {dict(statuses)}, {waits}", file=sys.stderr, flush=True)


async def late(found: list[Way], figures: Figures, folder: Path) -> None:
    for way in found:
        for name, upload in UPLOADS.items():
            told = await asyncio.gather(
                *(late_body(way, upload, seconds) for seconds in LATE_SECONDS for _ in range(5))
            )
            wrong = [one for one in told if one != str(upload.status)]
            figures.none(f"{way.name}: {name}, late: wrong of {len(told)}", wrong)


async def idle(found: list[Way], figures: Figures, folder: Path) -> None:
    for name, (seconds, connections, requests) in PAUSES.items():
        each = await asyncio.gather(
            *(
                after_pauses(
                    way, seconds, connections, requests, later_seconds=APART_SECONDS * place
                )
                for place, way in enumerate(found)
            )
        )
        for way, broken in zip(found, each, strict=True):
            what = f"{way.name}: after {name}: broken of {connections * requests}"
            figures.none(what, broken)
            print(f"{what}: {len(broken)}", file=sys.stderr, flush=True)


ACTS: Mapping[str, Act] = {"uploads": uploads, "late": late, "idle": idle}


async def calls(figures: Figures, folder: Path, base: str | None) -> None:
    """Time what everybody does, in turns with `base`, so that both have the same machine."""
    took: dict[str, list[list[float]]] = {}
    for number in range(ROUNDS):
        for name, program in (("base", base), ("this", None)):
            if name == "base" and base is None:
                continue
            async with serving(folder / f"{name}{number}", program) as server:
                way = Way(name, server.port, tls=False)
                creates, reads = await timed_calls(way, CALLS)
                stop, code = await server.stop()
                assert code == 0
            rows = took.setdefault(name, [[], [], []])
            for row, one in zip(rows, (creates, reads, [stop]), strict=True):
                row.append(statistics.median(one) * 1000)
    for place, what in enumerate(("create", "retrieve", "stop")):
        mine = statistics.median(took["this"][place])
        figures.tell(f"{what}: median", f"{mine:.3g} ms")
        if base is not None:
            before = statistics.median(took["base"][place])
            figures.tell(f"{what}: median of the other program", f"{before:.3g} ms")
            figures.at_most(f"{what}: times as long", mine / before, 1.1)


async def main() -> int:
    raise_soft_limit()
    parser = argparse.ArgumentParser()
    parser.add_argument("acts", nargs="*", choices=[[], *ACTS, "calls"], default=[])
    parser.add_argument("--base", help="another reelhook, to compare `calls` with")
    parser.add_argument("--proxies", default=",".join(COMMANDS), help="separated by commas")
    given = parser.parse_args()
    acts, figures = given.acts or [*ACTS, "calls"], Figures("proxies")
    with tempfile.TemporaryDirectory(prefix="reelhook-proxies-") as name:
        folder = Path(name)
        if chosen := [act for act in acts if act != "calls"]:
            async with ways(folder, [one for one in given.proxies.split(",") if one]) as found:
                for act in chosen:
                    await ACTS[act](found, figures, folder)
        if "calls" in acts:
            await calls(figures, folder, given.base)
    figures.show()
    figures.write(RESULTS)
    return 0 if figures.reached else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
