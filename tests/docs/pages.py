"""What the pages show, and a server to try it on."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from migrated_database import prepare
from simulated import running
from structlog.testing import capture_logs
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from reelhook import bootstrap
from reelhook.config import Settings
from reelhook.simulator.faults import Faults

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "a secret of the tests"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, section: str | None = None) -> Iterator[tuple[str, str]]:
    """Return language and text of a page's blocks, or of those below one heading."""
    text = (DOCS / page).read_text()
    if section is not None:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for match in _BLOCK.finditer(text):
        yield match[1], match[2]


def block(page: str, section: str, language: str) -> str:
    """Return the one block of that language below a heading."""
    [text] = [text for given, text in blocks(page, section) if given == language]
    return text


def namespace(page: str) -> dict[str, Any]:
    """Run a page's Python; return what it defined."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(DOCS / page)
    for example in document.examples():
        example.evaluate()
    return document.namespace


@asynccontextmanager
async def server(data_dir: Path, **given: Any) -> AsyncIterator[str]:
    """Serve until the block ends; yield the URL."""
    prepare(data_dir / "reelhook.db")
    with capture_logs():
        async with running(Faults(queue_seconds=0, render_seconds=0)) as simulator:
            settings = Settings.of(
                openai_base_url=simulator.base_url,
                xai_base_url=f"{simulator.root_url}/xai/v1",
                xai_api_key="any",
                data_dir=data_dir,
                port=0,
                webhook_secret=SECRET,
                poll_seconds=0.05,
                **given,
            )
            async with bootstrap.server(settings) as one:
                yield one.url
