"""xAI's videos: the body of a request, and the report from a response.

Names and values as in xai-sdk 1.21.0 (`video.py`, `types/model.py`, `types/video.py`, `cost.py`,
`proto/v6/video_pb2.pyi`). From docs.x.ai, REST API reference: the names in JSON, 1 to 15 seconds,
no seed.

From xai-sdk 1.21.0, `sync/video.py`: only 1.5 takes a last frame, and only 1.5 takes a first frame
together with references; reference audios are preset voices, so no file fits. @ai-sdk/xai 4.0.36
sends references as `reference_images`; WaveSpeed's page of the model names seven as their limit.
"""

from collections.abc import Mapping
from dataclasses import replace

from reelhook.domain.model import Model, aspect_ratio_for
from reelhook.domain.report import Cost, Failed, Finished, Progress, Refused, Report
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.error_mapping import failure_from, failure_message
from reelhook.providers.http.json_fields import (
    Fields,
    absent,
    encodable,
    number,
    percent,
    unknown,
    web_address,
)
from reelhook.providers.http.request_fields import merged, nearest_resolution, refusal
from reelhook.providers.xai.prices import PRICES

RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
PIXELS = {"480p": 848 * 480, "720p": 1280 * 720, "1080p": 1920 * 1080}
TICKS_PER_USD = 1e10
_SECONDS = tuple(map(str, range(1, 16)))
_FILTERED = "The video did not respect xAI's moderation rules."
_NO_FILE = "The request is done, but it has no video."
_EXPIRED = "The request expired at xAI before it was done."

_NAMES = {
    "resolution": "resolution",
    "audio": "generate_audio",
    "last_frame": "last_frame",
    "reference_images": "reference_images",
}


def _model(name: str, resolutions: tuple[str, ...], *, frames_and_references: bool) -> Model:
    return Model(
        name,
        seconds=_SECONDS,
        sizes=(),
        aspect_ratios=RATIOS,
        seed=False,
        resolutions=resolutions,
        negative_prompt=False,
        last_frame=frames_and_references,
        reference_images_max=7,
        reference_videos_max=0,
        reference_audios_max=0,
        references_or_frames=not frames_and_references,
        price=PRICES.get(name),
    )


MODELS = (
    _model("grok-imagine-video", ("480p", "720p"), frames_and_references=False),
    _model("grok-imagine-video-1.5", ("480p", "720p", "1080p"), frames_and_references=True),
)


def refusal_before_sending(request: VideoRequest) -> Refused | None:
    """Return why xAI's API can't express a request."""
    return refusal(request, "xAI", _NAMES, _common(request))


def body(request: VideoRequest) -> dict[str, object]:
    """Return the body that creates a video request: the common parameters over the user's options.

    A size becomes its ratio and the nearest resolution.
    """
    return merged(request.options, _common(request))


def _common(request: VideoRequest) -> dict[str, object]:
    resolution = request.resolution
    if resolution is None and request.size is not None:
        resolution = nearest_resolution(request.size, PIXELS)
    return {
        "model": request.model,
        "prompt": encodable(request.prompt),
        "duration": None if request.seconds is None else int(request.seconds),
        "aspect_ratio": aspect_ratio_for(request),
        "resolution": resolution,
        "image": None if request.image is None else {"url": request.image},
        "generate_audio": request.audio,
        "last_frame": None if request.last_frame is None else {"url": request.last_frame},
        "reference_images": [{"url": url} for url in request.reference_images] or None,
    }


def report(response: Fields) -> Report | None:
    """Return the report in a body; None without a status, or if its video can't be read."""
    match response.get("status"):
        case "pending":
            progress = percent(response.get("progress"))
            return Progress(running=bool(progress), percent=progress)
        case "done":
            return _done(response)
        case None if _url(response) is not None:
            return _done(response)
        case "failed":
            return replace(failure_from(_error(response)), cost=cost(response))
        case "expired":
            return Failed("expired", failure_message(_error(response), _EXPIRED), cost(response))
        case status:
            return unknown(status)


def _error(response: Fields) -> object:
    """Return the error. If it is a text, its code is in the field next to it, as in refusals."""
    error = response.get("error")
    return {"code": response.get("code"), "message": error} if isinstance(error, str) else error


def _done(response: Fields) -> Finished | Failed | None:
    if _video(response).get("respect_moderation") is False:
        return Failed("moderation", failure_message(_error(response), _FILTERED), cost(response))
    url = _url(response)
    if url is None:
        empty = all(map(absent, _addresses(response)))
        return Failed("content_missing", _NO_FILE, cost(response)) if empty else None
    return Finished(url, cost=cost(response))


def _video(response: Fields) -> Fields:
    video = response.get("video")
    return video if isinstance(video, Mapping) else {}


def _url(response: Fields) -> str | None:
    """Return the video's address: at xAI for a while, or at the storage that was requested."""
    return next(filter(None, map(web_address, _addresses(response))), None)


def _addresses(response: Fields) -> list[object]:
    """Return the values of the fields that hold addresses."""
    video = response.get("video")
    if not isinstance(video, Mapping):
        return [] if absent(video) else [{"in place of a video": video}]
    stored = video.get("file_output")
    return [video.get("url"), stored.get("public_url") if isinstance(stored, Mapping) else stored]


def cost(response: Fields) -> Cost | None:
    """Return the charge in `usage.cost_in_usd_ticks`; a filtered video may be charged too."""
    usage = response.get("usage")
    ticks = number(usage.get("cost_in_usd_ticks")) if isinstance(usage, Mapping) else None
    return None if ticks is None or ticks < 0 else Cost(ticks / TICKS_PER_USD, "USD")
