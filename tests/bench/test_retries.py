"""A share of `make bench-retries`."""

import argparse
import asyncio
from pathlib import Path

import pytest
from bench.databases import PostgresServer
from bench.retries import measure


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The Sora API")
def test_the_official_client_pays_once_for_each_call(tmp_path: Path) -> None:
    options = argparse.Namespace(calls=24, at_once=8, seed=1)
    with PostgresServer() as postgres:
        figures = asyncio.run(measure(options, tmp_path, postgres.url))
    # On a busy machine a client may use its id too late, and then share it.
    exact = [one for one in figures.figures if not one.name.startswith("half equal, polling")]
    assert [one for one in exact if one.reached is False] == []
