"""Bodies with large files: the same JSON as always, made without holding up other threads."""

import json
from io import BytesIO
from typing import Any

import pytest

from reelhook.core.offload import THREAD_FROM_BYTES
from reelhook.domain.media import File
from reelhook.providers.http.json_body import json_body, json_content

LARGE = File("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (THREAD_FROM_BYTES // 100))
SMALL = File("image/png", b"\x89PNG\r\n\x1a\n fox")


def written(body: bytes | BytesIO) -> bytes:
    return body if isinstance(body, bytes) else body.read()


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": 'a "fox" \\ \u2028 ü'},
        {"image": {"url": SMALL.uri}},
        {"prompt": "ü", "image": {"url": LARGE.uri}, "n": 1, "x": None},
        {"list": [LARGE.uri, {"b": (LARGE.uri, SMALL.uri)}], LARGE.content_type: LARGE.uri},
    ],
    ids=["none", "small", "one", "several"],
)
async def test_it_is_the_json_of_the_fields(fields: dict[str, Any]) -> None:
    expected = json.dumps(fields).encode()
    assert written(await json_body(fields)) == expected
    assert written(json_content(fields)) == expected


async def test_a_large_file_is_put_in_and_never_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped: list[str] = []
    encoder = json.JSONEncoder.encode

    def encode(self: json.JSONEncoder, value: Any) -> str:
        dumped.append(encoder(self, value))
        return dumped[-1]

    monkeypatch.setattr(json.JSONEncoder, "encode", encode)
    body = await json_body({"image": LARGE.uri, "prompt": "A fox"})
    assert isinstance(body, BytesIO)
    assert max(map(len, dumped)) < 1000
