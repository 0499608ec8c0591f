"""xAI's videos: what a request for one says, and what its answers mean.

Names and values as in xai-sdk 1.21.0 (`video.py`, `types/model.py`, `types/video.py`, `cost.py`,
`proto/v6/video_pb2.pyi`); what they are called in JSON, 1 to 15 seconds, and that there is no seed,
from docs.x.ai, REST API reference.
"""

from collections.abc import Mapping

from reelhook.domain.model import Model, aspect_ratio_for
from reelhook.domain.report import Cost, Failed, Finished, Progress, Report
from reelhook.domain.request import VideoRequest
from reelhook.providers.http.error_mapping import NO_REASON, failed
from reelhook.providers.http.json_fields import (
    absent,
    encodable,
    number,
    percent,
    unknown,
    web_address,
)
from reelhook.providers.http.resolution import nearest

Fields = Mapping[str, object]

RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
PIXELS = {"480p": 848 * 480, "720p": 1280 * 720, "1080p": 1920 * 1080}
TICKS_PER_USD = 1e10
_SECONDS = tuple(map(str, range(1, 16)))
_FILTERED = "The video did not respect xAI's moderation rules."
_NO_FILE = "The request is done, but it shows no video."
_EXPIRED = "The request expired at xAI before it was done."

MODELS = tuple(
    Model(name, seconds=_SECONDS, sizes=(), aspect_ratios=RATIOS, seed=False)
    for name in ("grok-imagine-video", "grok-imagine-video-1.5")
)


def body(request: VideoRequest) -> dict[str, object]:
    """Return what creates a video request: the common parameters over the user's own.

    A size is understood as its ratio and the nearest resolution.
    """
    given: Mapping[str, object] = {
        "model": request.model,
        "prompt": encodable(request.prompt),
        "duration": None if request.seconds is None else int(request.seconds),
        "aspect_ratio": aspect_ratio_for(request),
        "resolution": None if request.size is None else nearest(request.size, PIXELS),
        "image": None if request.image is None else {"url": request.image},
    }
    common = {name: value for name, value in given.items() if value is not None}
    return {**request.options, **common}


def report(answer: Fields) -> Report | None:
    """Return what an answer says; None if it says no status, or names its file in a way that can't
    be read.
    """
    match answer.get("status"):
        case "pending":
            progress = percent(answer.get("progress"))
            return Progress(running=bool(progress), percent=progress)
        case "done":
            return _done(answer)
        case None if _url(answer) is not None:
            return _done(answer)
        case "failed":
            told = failed(_error(answer))
            return Failed(told.code, told.message, cost(answer))
        case "expired":
            return Failed("expired", _said(answer, _EXPIRED), cost(answer))
        case status:
            return unknown(status)


def _error(answer: Fields) -> object:
    """Return what went wrong; words may have their code beside them, as in xAI's refusals."""
    error = answer.get("error")
    return {"code": answer.get("code"), "message": error} if isinstance(error, str) else error


def _said(answer: Fields, otherwise: str) -> str:
    said = failed(_error(answer)).message
    return otherwise if said == NO_REASON else said


def _done(answer: Fields) -> Finished | Failed | None:
    if _video(answer).get("respect_moderation") is False:
        return Failed("moderation", _said(answer, _FILTERED), cost(answer))
    url = _url(answer)
    if url is None:
        empty = all(map(absent, _addresses(answer)))
        return Failed("content_missing", _NO_FILE, cost(answer)) if empty else None
    return Finished(url, cost=cost(answer))


def _video(answer: Fields) -> Fields:
    video = answer.get("video")
    return video if isinstance(video, Mapping) else {}


def _url(answer: Fields) -> str | None:
    """Return where the video lies: at xAI for a while, or where it was asked to store it."""
    return next(filter(None, map(web_address, _addresses(answer))), None)


def _addresses(answer: Fields) -> list[object]:
    """Return what stands where addresses stand."""
    video = answer.get("video")
    if not isinstance(video, Mapping):
        return [] if absent(video) else [{"in place of a video": video}]
    stored = video.get("file_output")
    return [video.get("url"), stored.get("public_url") if isinstance(stored, Mapping) else stored]


def cost(answer: Fields) -> Cost | None:
    """Return what was charged, as `usage.cost_in_usd_ticks` tells it, of a refused video too."""
    usage = answer.get("usage")
    ticks = number(usage.get("cost_in_usd_ticks")) if isinstance(usage, Mapping) else None
    return None if ticks is None or ticks < 0 else Cost(ticks / TICKS_PER_USD, "USD")
