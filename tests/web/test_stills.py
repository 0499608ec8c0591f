"""Posters on pages: the latest videos of the overview, and the rows of the jobs."""

import re
from pathlib import Path

from archived import OFF, POSTER, Archive
from browsing import browsing
from gateways import AT_ONCE, gateway

_POSTER = re.compile(r'<img src="([^"]*/poster[^"]*)"')


async def test_a_video_shows_its_poster_once_it_is_made(tmp_path: Path) -> None:
    async with gateway(tmp_path / "data", AT_ONCE, **OFF) as server, browsing(server) as visitor:
        at = Archive(server, tmp_path / "archive")
        job_id = await at.finished()
        for path in ("/", "/jobs"):
            assert not _POSTER.search(await visitor.text(path)), path
        await at.store(job_id)
        await at.make_poster(job_id)
        for path in ("/", "/jobs", "/archive"):
            text = await visitor.text(path)
            found = _POSTER.search(text)
            assert found, path
            reply = await server.get(found[1])
            assert (reply.status, reply.body) == (200, POSTER)
        assert f'href="/jobs/{job_id}"' in text
