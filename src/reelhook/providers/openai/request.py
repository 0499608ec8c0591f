"""The body of a create at a server of `/v1/videos`, as JSON and as a form.

`input_reference` as in openai-python 3.54 (`types/video_create_params.py`). A form names the URL of
an image twice: SGLang and FastVideo read `reference_url`, vLLM-Omni `image_reference`
(`helpers.py:864`), and each ignores the other field. The API has no aspect ratio: it becomes a size
of that ratio, from the sizes that OpenAI's documentation lists. See `fields` for the others.
"""

import json
from io import BytesIO

from aiohttp import FormData

from reelhook.core.offload import convert_in_thread_if_large
from reelhook.domain.media import File, file_of
from reelhook.domain.report import Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.json_body import json_content
from reelhook.providers.http.json_fields import encodable
from reelhook.providers.http.request_fields import merged
from reelhook.providers.openai.fields import parameters_of, refusal_of_fields, size_of
from reelhook.providers.openai.server import OpenAIServer
from reelhook.providers.openai.server_kind import Encoding, ServerKind

_LENGTHS = frozenset({"seconds", "num_frames"})
"""Options that set the length of the video."""
_NO_IMAGE = "image is not valid base64: give it as data:image/png;base64,... or by its URL"
_NO_URL = "{title} takes images as files only, not by URL: give it as data:image/png;base64,..."
_NO_NAME = "providerOptions has a name with control characters; remove them"


class _NotBase64Error(ValueError):
    """An image in the request is not valid base64."""


def refusal_before_sending(request: VideoRequest, server: OpenAIServer) -> Refused | None:
    """Return why this API can't express a request. Omitting a field would cost money as well."""
    facts = server.facts
    if refused := refusal_of_fields(request, server.kind):
        return refused
    if not all(encodable(name).isprintable() for name in request.options):
        return Refused("invalid_request", _NO_NAME)
    is_url = request.image is not None and not request.image.startswith("data:")
    if is_url and facts.image_urls is False:
        return Refused("invalid_request", _NO_URL.format(title=facts.title))
    return None


def encoding_of(request: VideoRequest, server: OpenAIServer) -> Encoding:
    """Return the encoding of a create: the server's if known, else a form if it has an image."""
    if len(server.facts.encodings) == 1:
        return server.facts.encodings[0]
    if server.encoding is not None:
        return server.encoding
    if request.image is None or _needs_json(request.image, server):
        return Encoding.JSON
    return Encoding.FORM


def _needs_json(image: str, server: OpenAIServer) -> bool:
    """Return True if only JSON can name this image: TensorRT-LLM's forms take files."""
    return server.kind is ServerKind.TENSORRT_LLM and not image.startswith("data:")


async def content_of(
    request: VideoRequest, server: OpenAIServer, encoding: Encoding
) -> bytes | BytesIO | FormData | Refused:
    """Return a create's content in this encoding, or why there is none.

    A large image is converted in a thread.
    """
    form = _json_of if encoding is Encoding.JSON else _form_of
    try:
        size = len(request.image or "")
        return await convert_in_thread_if_large(size, lambda: form(request, server))
    except _NotBase64Error:
        return Refused("invalid_request", _NO_IMAGE)


def _json_of(request: VideoRequest, server: OpenAIServer) -> bytes | BytesIO:
    """Return a create's JSON: the common parameters over the user's options."""
    _decoded_image(request)  # the server gets it as it is, but not a wrong one
    common = _common(request, server)
    if request.image is not None:
        if server.kind is ServerKind.TENSORRT_LLM:  # openai_protocol.py: a text, or a list of them
            common["image_reference"] = request.image
        else:
            common["input_reference"] = {"image_url": request.image}
    return json_content(merged(request.options, common))


def _form_of(request: VideoRequest, server: OpenAIServer) -> FormData:
    """Return a create's form. An image in the request becomes a file, a URL stays a URL."""
    merged_fields = merged(request.options, _common(request, server))
    # With a last frame, both are already in one list.
    image = request.image if request.last_frame is None else None
    if image is not None and not image.startswith("data:"):
        merged_fields["reference_url"] = image
        merged_fields["image_reference"] = {"image_url": image}
    fields = {encodable(name): _text(value) for name, value in merged_fields.items()}
    form = FormData(fields, default_to_multipart=True)
    file = _decoded_image(request)
    if file is not None and image is not None:
        kind = file.content_type
        filename = f"image.{kind.rpartition('/')[2].partition('+')[0]}"
        form.add_field("input_reference", BytesIO(file.body), filename=filename, content_type=kind)
    return form


def _common(request: VideoRequest, server: OpenAIServer) -> dict[str, object]:
    seconds = request.seconds
    if seconds is None and _LENGTHS.isdisjoint(request.options):
        seconds = server.facts.default_seconds
    return {
        "model": encodable(request.model) or None,
        "prompt": encodable(request.prompt),
        "seconds": seconds,
        "size": size_of(request),
        "seed": request.seed,
        **parameters_of(request, server.kind),
    }


def _text(value: object) -> str:
    return encodable(value) if isinstance(value, str) else json.dumps(value)


def _decoded_image(request: VideoRequest) -> File | None:
    """Return the image that the request contains; None if it has none. Raises `_NotBase64Error`."""
    if request.image is None or not request.image.startswith("data:"):
        return None
    if (file := file_of(request.image)) is None:
        raise _NotBase64Error
    return file
