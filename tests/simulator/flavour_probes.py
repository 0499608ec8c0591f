"""Requests and what each server responds, as recorded from the vendors' own applications.

TensorRT-LLM's were read from its source. `make check-servers` sends the others to the real servers
again; `test_flavours` sends them to the simulator.
"""

from dataclasses import dataclass, field
from typing import Any

import aiohttp

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(8)


@dataclass(frozen=True)
class Probe:
    """A request, and the status and some words of its response. Bytes in a form are files."""

    name: str
    status: int
    words: str = ""
    method: str = "POST"
    path: str = "videos"
    json: dict[str, Any] | None = None
    form: dict[str, str | bytes] | None = None
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer key"})

    async def sent(self, session: aiohttp.ClientSession, base_url: str) -> tuple[int, str]:
        """Send it; return status and body."""
        form = None
        if self.form is not None:
            form = aiohttp.FormData(default_to_multipart=True)
            for name, value in self.form.items():
                file = {"filename": "a.png", "content_type": "image/png"}
                form.add_field(name, value, **(file if isinstance(value, bytes) else {}))
        async with session.request(
            self.method,
            f"{base_url}/{self.path}",
            json=self.json,
            data=form,
            headers=self.headers,
        ) as response:
            return response.status, await response.text()


def get(name: str, path: str, status: int, words: str, **more: Any) -> Probe:
    return Probe(name, status, words, method="GET", path=path, **more)


OBJECT = {"image_url": "https://example.com/fox.png"}
NO_STRING = "input_reference\\n  Input should be a valid string"
NO_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
MODEL = {"litellm": {"model": "wan"}}
"""What a create must say besides its prompt."""

_FASTAPI = (
    get("an unknown job", "videos/none", 404, '{"detail":"Video not found"}'),
    get("an unknown path", "nothing", 404, '{"detail":"Not Found"}'),
    get("too long a page", "videos?limit=101", 422, "less than or equal to 100"),
    Probe("no prompt", 400, "Invalid request body", json={}),
    Probe("no prompt in a form", 400, '{"detail":"prompt is required"}', form={"seconds": "4"}),
    Probe("an image as an object", 400, NO_STRING, json={"prompt": "x", "input_reference": OBJECT}),
    Probe("half a second", 400, NO_INTEGER, json={"prompt": "x", "seconds": "2.5"}),
    Probe("half a second in a form", 422, NO_INTEGER, form={"prompt": "x", "seconds": "2.5"}),
    Probe("another method", 405, "Method Not Allowed", method="PUT"),
)
PROBES: dict[str, tuple[Probe, ...]] = {
    "sglang": (
        *_FASTAPI,
        Probe(
            "an unreadable size",
            400,
            "size must be formatted as positive WIDTHxHEIGHT",
            json={"prompt": "x", "size": "big"},
        ),
        Probe("an unknown option", 200, '"queued"', json={"prompt": "x", "nothing": 1}),
        Probe("any model", 200, '"model":"sora-2"', json={"prompt": "x", "model": "sora-2"}),
        Probe("no seconds", 200, '"seconds":"4"', json={"prompt": "x"}),
        Probe("an odd size", 200, '"size":"833x481"', json={"prompt": "x", "size": "833x481"}),
    ),
    "fastvideo": (
        *_FASTAPI,
        Probe("an unreadable size", 200, '"size":""', json={"prompt": "x", "size": "big"}),
        Probe("an unknown option", 200, '"queued"', json={"prompt": "x", "nothing": 1}),
        Probe("any model", 200, '"model":"sora-2"', json={"prompt": "x", "model": "sora-2"}),
        Probe("no seconds", 200, '"seconds":"0"', json={"prompt": "x"}),
        Probe("no seconds in a form", 200, '"seconds":"4"', form={"prompt": "x"}),
    ),
    "vllm-omni": (
        get("an unknown job", "videos/none", 404, '"message":"Video not found","type":"Not Found"'),
        get("an unknown path", "nothing", 404, '{"detail":"Not Found"}'),
        get("too long a page", "videos?limit=101", 400, '"param":"query.limit"'),
        Probe("JSON", 400, '"param":"body.prompt","code":400', json={"prompt": "x"}),
        Probe(
            "another model",
            400,
            "Model mismatch: request specifies 'sora-2' but server is running",
            form={"prompt": "x", "model": "sora-2"},
        ),
        Probe("half a second", 400, "body.seconds", form={"prompt": "x", "seconds": "2.5"}),
        Probe("an unreadable size", 400, "body.size", form={"prompt": "x", "size": "big"}),
        Probe(
            "an image twice",
            400,
            "Provide only one of input_reference, image_reference",
            form={
                "prompt": "x",
                "input_reference": PICTURE,
                "image_reference": '{"image_url": "https://example.com/fox.png"}',
            },
        ),
        Probe("no seconds", 200, '"seconds":"4"', form={"prompt": "x"}),
        Probe("the prompt is shown", 200, '"prompt":"x"', form={"prompt": "x"}),
    ),
    "aquiles": (
        get("no header", "videos", 401, '{"detail":"Not authenticated"}', headers={}),
        get("an unknown job", "videos/none", 404, '{"detail":"Video not found"}'),
        get("an unknown job's file", "videos/none/content", 500, "Internal Server Error"),
        get("an unknown path", "nothing", 404, '{"detail":"Not Found"}'),
        Probe("no prompt", 500, "Internal Server Error", json={}),
        Probe("any size", 500, "Internal Server Error", json={"prompt": "x", "size": "832x480"}),
        Probe(
            "an image for a model of another name",
            400,
            "'sora-2' does not support input_reference.",
            form={"prompt": "x", "input_reference": PICTURE},
        ),
        Probe("no model", 200, '"model":"sora-2"', json={"prompt": "x"}),
        Probe(
            "another one meanwhile",
            503,
            '"The limit of 1 concurrent tasks has been reached. Please try again later."',
            json={"prompt": "x"},
        ),
    ),
    "tensorrt-llm": (
        get("an unknown job", "videos/none", 404, "Video none not found"),
        Probe("no prompt", 422, "prompt: Field required", json={}),
        Probe(
            "an unknown option",
            422,
            "Unknown request field 'reference_url'",
            json={"prompt": "x", "reference_url": "https://example.com/fox.png"},
        ),
        Probe("an image as an object", 422, "string", json={"prompt": "x", "input_reference": {}}),
        Probe("accepted", 202, '"progress":null', json={"prompt": "x"}),
        Probe("half a second", 202, '"duration":2.5', json={"prompt": "x", "seconds": "2.5"}),
    ),
    "litellm": (
        get("an unknown job", "videos/none", 500, "Cannot connect to host api.openai.com:443"),
        get("the listing", "videos", 400, "LLM Provider NOT provided."),
        get("an unknown path", "nothing", 404, '{"detail":"Not Found"}'),
        Probe("deleting", 405, "Method Not Allowed", method="DELETE", path="videos/none"),
        Probe("no prompt", 400, "Missing required parameter: 'prompt'", json={"model": "wan"}),
        Probe(
            "another model",
            400,
            "Invalid model name passed in model=nope",
            json={"model": "nope", "prompt": "x"},
        ),
        Probe(
            "an image as an object",
            400,
            "'dict' object has no attribute 'read'",
            json={"model": "wan", "prompt": "x", "input_reference": OBJECT},
        ),
        Probe("no seconds", 200, '"seconds":"4"', json={"model": "wan", "prompt": "x"}),
    ),
}
