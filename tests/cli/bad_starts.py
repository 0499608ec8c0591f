"""Starting the program where it can't start: it says one sentence, and no more."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import forked_commands
from cli_programs import WAIT_SECONDS, environment

SERVE = ("serve", "--port", "0", "--openai-base-url", "http://127.0.0.1:9/v1")
SENTENCE_CHARACTERS_MAX = 600
NOBODY = 65534


async def refused(
    directory: Path,
    *words: str,
    arguments: Sequence[str] = SERVE,
    exit_code: str = "1",
    **variables: str,
) -> str:
    """Start it; check that it ends with one sentence that has these words, and return that."""
    return await refused_as(
        None, directory, *words, arguments=arguments, exit_code=exit_code, **variables
    )


async def refused_as(
    user: int | None,
    directory: Path,
    *words: str,
    arguments: Sequence[str] = SERVE,
    exit_code: str = "1",
    **variables: str,
) -> str:
    """Do as `refused` does, with the rights of this user."""
    code, out, sentence = await asyncio.to_thread(
        partial(
            forked_commands.run,
            arguments,
            cwd=directory,
            env=environment(REELHOOK_DATABASE_WAIT_SECONDS="0") | variables,
            stdin=None,
            timeout=WAIT_SECONDS,
            user=user,
        )
    )
    assert (str(code), sentence.count("\n")) == (exit_code, 1), out + sentence
    assert "Traceback" not in out + sentence
    assert len(sentence) < SENTENCE_CHARACTERS_MAX
    for one in words:
        assert one in sentence
    return sentence


def is_root() -> bool:
    return os.geteuid() == 0
