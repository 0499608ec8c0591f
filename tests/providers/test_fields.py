"""Every field of a request is where docs/providers/fields.md says, or refused before paying."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from providers.upstreams import Seen, Upstream
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Image
from reelhook.domain.report import Accepted, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.ark.provider import Ark
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.providers.xai.provider import XAI

PAGE = Path(__file__).parents[2] / "docs/providers/fields.md"
FIRST, OTHER = "https://i.example/first.png", "https://i.example/other.file"
SAMPLES: Mapping[str, object] = {
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "seed": 7,
    "image": FIRST,
    "negative_prompt": "blur",
    "audio": True,
    "last_frame": OTHER,
    "reference_images": (OTHER,),
    "reference_videos": (OTHER,),
    "reference_audios": (OTHER,),
}
FORMS: Mapping[str, tuple[object, ...]] = {
    "aspect_ratio": ("16:9", "1280x720", "1280:720", "1920:1080", "3840:2160"),
    "audio": (True, "true"),
    "seed": (7, "7"),
}
"""The forms in which providers expect the samples, if not unchanged."""


RESOLUTIONS: Mapping[str, tuple[str, ...]] = {
    "720p": ("720p", "1280x720", "1280:720", "standard"),
    "1080p": ("1080p", "1920:1080"),
    "4k": ("4k", "3840:2160"),
}
"""The forms of resolutions, if not unchanged."""
LISTED: tuple[type[HttpProvider], ...] = (XAI, Ark, Fal, Replicate, Runway)
NEED_IMAGE = {
    model for adapter in LISTED for model in adapter.models if model.image is Image.REQUIRED
}
REFERENCES_NEED_IMAGE = {model.name for model in NEED_IMAGE if not model.references_or_frames} | {
    "klingO3_standard",
    "klingO3_pro",
    "klingO3_4k",
}


@dataclass(frozen=True)
class Case:
    provider: str
    model: str
    field: str
    wire: str
    """Empty: refused."""


def _rows() -> Iterator[tuple[str, list[str], str, str, str]]:
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[2].startswith("`"):
            provider, models, *others = cells
            field, wire, test = (cell.strip("`") for cell in others)
            yield provider, re.findall("`(.+?)`", models), field, wire, test


CASES = [
    Case(provider, model, field, "" if wire == "refused" else wire)
    for provider, models, field, wire, _ in _rows()
    for model in models
]
_ANSWERS = {
    "openai": {"id": "v", "status": "queued"},
    "xai": {"request_id": "v"},
    "ark": {"id": "v"},
    "fal": {"request_id": "v"},
    "replicate": {"id": "v", "status": "starting"},
    "runway": {"id": "v"},
}


def _openai(url: str, kind: str) -> OpenAI:
    wire = OpenAI(url, "key")
    wire.learnt = json.dumps({"kind": kind})
    return wire


_ADAPTERS: Mapping[str, Callable[[str, str], HttpProvider]] = {
    "openai": _openai,
    "xai": lambda url, _: XAI(url, "key"),
    "ark": lambda url, _: Ark(url, "key"),
    "fal": lambda url, _: Fal(url, "key"),
    "replicate": lambda url, _: Replicate(url, "key"),
    "runway": lambda url, _: Runway(url, "key"),
}
_UNKNOWN = {"fal": "owner/any", "replicate": "owner/any"}
"""A model that the catalogue does not know, in the form that the provider expects."""


def _sample(case: Case) -> object:
    """Return the value of the field: of resolutions the first that the model takes."""
    known = [model for adapter in LISTED for model in adapter.models if model.name == case.model]
    offered = known[0].resolutions if known and case.field == "resolution" else None
    sample = SAMPLES[case.field]
    return sample if not offered or sample in offered else offered[0]


def _needs_image(case: Case) -> bool:
    if case.field == "reference_images":
        return case.model in REFERENCES_NEED_IMAGE
    return case.field == "last_frame" or case.model in {model.name for model in NEED_IMAGE}


def _request(case: Case) -> VideoRequest:
    fields = {case.field: _sample(case)}
    if _needs_image(case):
        fields["image"] = FIRST
    if case.provider == "openai" and case.field == "resolution":
        fields["aspect_ratio"] = "16:9"
    if case.model == "kwaivgi/kling-v2.1" and case.field == "last_frame":
        fields["resolution"] = "1080p"
    model = "m" if case.provider == "openai" else case.model
    if model == "any":
        model = _UNKNOWN.get(case.provider, model)
    return VideoRequest(prompt="A fox", model=model, **fields)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.provider}-{case.field}-{case.model}"
)
async def test_a_field_is_where_the_table_says(server: Upstream, case: Case) -> None:
    server.answers(200, _ANSWERS[case.provider])
    request = _request(case)
    async with _ADAPTERS[case.provider](server.url, case.model) as provider:
        refused = await _refusal(provider, request)
    if not case.wire:
        assert refused
        assert server.posts == 0
        return
    assert not refused
    [seen] = server.seen
    body = _body(seen)
    sample = _sample(case)
    wanted = sample if isinstance(sample, tuple) else (sample,)
    forms = RESOLUTIONS.get(str(sample)) if case.field == "resolution" else FORMS.get(case.field)
    assert set(_found(body, case.wire)) & set(forms or wanted), body


def _body(seen: Seen) -> Any:
    content_type = seen.headers["Content-Type"]
    if content_type == "application/json":
        return seen.json()
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + seen.body)
    parts = [part for part in form.walk() if not part.is_multipart()]
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()  # type: ignore[union-attr]  # it is no message
        for part in parts
    }


async def _refusal(provider: HttpProvider, request: VideoRequest) -> str | None:
    model = provider.model(request.model)
    try:
        if model is not None:
            model.check(request, request.model)
    except InvalidRequestError as error:
        return error.message
    outcome = await provider.submit(request, lambda: True)
    assert isinstance(outcome, Accepted | Refused)
    return outcome.message if isinstance(outcome, Refused) else None


def _found(body: object, path: str) -> list[Any]:
    """Return the values at a path such as `content[role=last_frame].image_url.url`."""
    values: list[Any] = [body]
    for name, selector in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", path):
        if name:
            values = [_plain(value[name]) for value in values if name in value]
            continue
        key, _, wanted = selector.partition("=")
        items = [item for value in values for item in value]
        values = [item for item in items if not key or item.get(key) == wanted]
    return values


def _plain(value: Any) -> Any:
    """Return a value of a form as it was before; forms have only texts."""
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "["} else value


def test_the_table_has_every_field_of_every_listed_model_once() -> None:
    named = [(case.provider, case.model, case.field) for case in CASES]
    assert len(named) == len(set(named))
    for adapter in LISTED:
        for model in adapter.models:
            of = (adapter.name, model.name)
            fields = {field for *called, field in named if tuple(called) == of}
            assert fields == SAMPLES.keys(), of


def test_each_row_names_its_tests() -> None:
    for provider, _, field, _, test in _rows():
        assert test == f"-k {provider}-{field}"


async def test_a_field_and_another_value_among_the_options_are_refused(server: Upstream) -> None:
    server.answers(200, {"request_id": "v"})
    options = {"resolution": "1080p"}
    async with XAI(server.url, "key") as xai:
        both = VideoRequest("A fox", "m", resolution="720p", options=options)
        outcome = await xai.submit(both)
        assert isinstance(outcome, Refused)
        assert outcome.message == (
            "resolution and resolution in providerOptions contradict each other; give only one"
        )
        assert server.posts == 0
        assert isinstance(await xai.submit(replace(both, resolution="1080p")), Accepted)
