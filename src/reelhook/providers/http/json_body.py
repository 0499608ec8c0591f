"""JSON bodies with large files in them, made without a pause of the event loop.

`json.dumps` holds up all other threads while it goes through a text. The URI of a file needs no
escapes, so it is put in piece by piece.
"""

import json
from functools import partial
from io import BytesIO
from typing import Any
from uuid import uuid4

from reelhook.core.offload import THREAD_FROM_BYTES, convert_in_thread_if_large
from reelhook.domain.media import FileUri

PIECE_CHARACTERS = 256 * 1024


async def json_body(value: Any) -> bytes | BytesIO:
    """Return the JSON of a value, made in a thread if it has a large file."""
    uris: dict[str, FileUri] = {}
    short = _shortened(value, uris, uuid4().hex)
    size = sum(map(len, uris.values()))
    return await convert_in_thread_if_large(size, partial(_spliced, short, uris))


def json_content(value: Any) -> bytes | BytesIO:
    """Return the JSON of a value, in a thread of the caller."""
    uris: dict[str, FileUri] = {}
    return _spliced(_shortened(value, uris, uuid4().hex), uris)


def _shortened(value: Any, uris: dict[str, FileUri], unique: str) -> Any:
    """Return the value with a mark in place of each large file; `uris` gets these in order."""
    if isinstance(value, FileUri) and len(value) >= THREAD_FROM_BYTES:
        mark = f"{unique}-{len(uris)}"
        uris[mark] = value
        return mark
    if isinstance(value, dict):
        return {name: _shortened(one, uris, unique) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(one, uris, unique) for one in value]
    return value


def _spliced(short: Any, uris: dict[str, FileUri]) -> bytes | BytesIO:
    text = json.dumps(short)
    if not uris:
        return text.encode()
    body = BytesIO()
    for mark, uri in uris.items():
        before, _, text = text.partition(mark)
        body.write(before.encode())
        for start in range(0, len(uri), PIECE_CHARACTERS):
            body.write(uri[start : start + PIECE_CHARACTERS].encode())
    body.write(text.encode())
    body.seek(0)
    return body
