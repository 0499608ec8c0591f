"""Refusals as each provider writes them, with a code and words to choose."""

import json
from collections.abc import Callable, Mapping

from reelhook.providers.ark.provider import Ark
from reelhook.providers.fal.provider import Fal
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.openai.provider import OpenAI
from reelhook.providers.replicate.provider import Replicate
from reelhook.providers.runway.provider import Runway
from reelhook.providers.xai.provider import XAI

Body = Callable[[str, str], object]


def _openai(code: str, words: str) -> object:
    return {"error": {"message": words, "type": "some_error", "param": None, "code": code}}


def _new_api(code: str, words: str) -> object:
    return {"code": "fail_to_fetch_task", "message": json.dumps(_openai(code, words)), "data": None}


def _ark(code: str, words: str) -> object:
    return {"error": {"code": code, "message": words, "param": "", "type": "BadRequest"}}


def _fal(code: str, words: str) -> object:
    return {"detail": [{"loc": ["body", "prompt"], "msg": words, "type": code}]}


def _fal_own(code: str, words: str) -> object:
    return {"detail": words, "error_type": code}


def _replicate(code: str, words: str) -> object:
    return {"title": "Refused", "detail": words, "status": 400, "type": code}


def _runway(code: str, words: str) -> object:
    issue = {"code": code, "path": ["promptText"], "message": words}
    return {"error": "Validation of body failed", "issues": [issue], "docUrl": "https://docs"}


def _runway_details(code: str, words: str) -> object:
    return {"error": "Not accepted", "details": words, "code": code}


def _xai(code: str, words: str) -> object:
    return {"code": code, "error": words}


BODIES: Mapping[type[HttpProvider], tuple[Body, ...]] = {
    OpenAI: (_openai, _new_api),
    Ark: (_ark,),
    Fal: (_fal, _fal_own),
    Replicate: (_replicate,),
    Runway: (_runway, _runway_details),
    XAI: (_xai,),
}
IDS: Mapping[type[HttpProvider], str] = {
    OpenAI: "video_1",
    Ark: "cgt-1",
    Fal: "fal-ai/veo3/requests/r-1",
    Replicate: "p1",
    Runway: "t-1",
    XAI: "x-1",
}
MODELS: Mapping[type[HttpProvider], str] = {
    OpenAI: "sora-2",
    Ark: "seedance-1-0-pro-250528",
    Fal: "fal-ai/veo3/fast",
    Replicate: "minimax/video-01",
    Runway: "gen4.5",
    XAI: "grok-imagine-video",
}
