"""A finished video for the client: a signed URL, or the file in base64.

The client downloads a URL without a key, and none that leads to a private address
(`validate-download-url.ts` of `@ai-sdk/provider-utils` 5.0.81). Where reelhook's own address is
private, the file is in the response itself.
"""

import ipaddress
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from reelhook.doors.context import Context
from reelhook.doors.file_response import OPAQUE, file_download
from reelhook.doors.limits import MIB

BASE64_BYTES_MAX = 32 * MIB
"""The largest file that is sent in base64. The client holds it as one text."""
DEFAULT_TYPE = "video/mp4"
_PRIVATE_NAMES = ("localhost", ".localhost", ".local", ".internal")
_PLACE = '"\\u0000"'
"""The place of the file in a body; no other text has this character."""
_HIDDEN_FROM_CLIENTS = (
    # Networks that the client refuses, although `ipaddress` calls some of them global.
    *(ipaddress.ip_network(text) for text in ("192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3")),
    *(ipaddress.ip_network(text) for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")),
)


def is_private(url: str) -> bool:
    """Return True if the client refuses to download from this address."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if not host or host == _PRIVATE_NAMES[0] or host.endswith(_PRIVATE_NAMES[1:]):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not address.is_global or any(
        address.version == network.version and address in network
        for network in _HIDDEN_FROM_CLIENTS
    )


@dataclass(frozen=True, slots=True)
class Videos:
    """The part of a response that has the video, and warnings about it.

    `file` is sent in the place of `data`, which is then a placeholder. Its first bytes are there.
    """

    data: Mapping[str, str]
    warnings: tuple[dict[str, str], ...] = ()
    file: AsyncIterator[bytes] | None = None


async def videos_of(stack: AsyncExitStack, context: Context, job_id: str) -> Videos:
    """Return a finished video. A file is open until the stack is closed. Raises `ProviderError`.

    A file that may be too large is not begun: no response could be finished that has a part of it.
    """
    url = context.video_url(job_id)
    by_url = {"type": "url", "url": url, "mediaType": DEFAULT_TYPE}
    if not is_private(url):
        return Videos(by_url)
    video = await context.gateway.content.video(context.caller, job_id)
    file = file_download(await stack.enter_async_context(video.open()), None)
    length = file.headers.get("Content-Length")
    if length is None or int(length) > BASE64_BYTES_MAX:
        size = f"larger than {BASE64_BYTES_MAX // MIB} MiB"
        message = (
            f"The file is {size if length else 'of unknown size'}, so it comes as a URL. "
            "REELHOOK_PUBLIC_URL is private; give the call a download function that allows it"
        )
        return Videos(by_url, ({"type": "other", "message": message},))
    named = file.headers["Content-Type"]
    kind = DEFAULT_TYPE if named == OPAQUE else named
    first = await anext(file.chunks, b"")  # an error is still answered in the door's form
    data = {"type": "base64", "data": "\0", "mediaType": kind}
    return Videos(data, file=_after(first, file.chunks))


async def _after(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk


async def written(body: Mapping[str, Any], videos: Videos) -> AsyncIterator[bytes]:
    """Yield a body as JSON, with the file in base64 in its place. Raises `ProviderError`."""
    text = json.dumps(body, separators=(",", ":"))
    if videos.file is None:
        yield text.encode()
        return
    before, _, after = text.partition(_PLACE)
    yield before.encode() + b'"'
    async for piece in _base64(videos.file):
        yield piece
    yield b'"' + after.encode()


async def _base64(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        whole = rest + chunk
        end = len(whole) - len(whole) % 3
        rest = whole[end:]
        yield b64encode(whole[:end])
    yield b64encode(rest)
