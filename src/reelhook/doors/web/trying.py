"""A form for a video, with only what the chosen model can do, and its price before it is paid."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from reelhook.domain.caller import Scope
from reelhook.domain.catalog import ModelRoute
from reelhook.domain.errors import InvalidRequestError, ReelhookError
from reelhook.domain.request import VideoRequest, check_file
from reelhook.domain.upload import hash_of_upload
from reelhook.doors.access import holder_of
from reelhook.doors.request_messages import WIRE_NAMES
from reelhook.doors.web.actions import Done, Result, Shown, action
from reelhook.doors.web.error_messages import page_message
from reelhook.doors.web.forms import ONCE, Form, whole_number
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.request_body import curl_of
from reelhook.doors.web.view import Banner, View
from reelhook.gateway import IdempotencyKey, ModelEstimate

router = new_router()
EXAMPLE = "A lighthouse at dusk, waves rolling in"
_FIELDS = ("model", "prompt", "seconds", "size", "aspect_ratio", "resolution", "seed", "image")
_KEY_PREFIX = "page:"


@page(router, "/try", "try.html", Scope.SUBMIT)
async def trying(view: View) -> Mapping[str, Any]:
    """Return the form, filled in by the query or by the request of an earlier job."""
    catalog = view.gateway.models.catalog(view.who)
    routes = [route for route in catalog.models() if view.who.allows_model(route.display_name)]
    filled = await _filled(view)
    if not filled["model"] and routes:
        filled["model"] = routes[0].display_name
    chosen = next((one for one in routes if one.display_name == filled["model"]), None)
    offers = _offers(chosen)
    if view.form is None and view.query("again") is None and "seconds" in offers:
        # A first look costs little: the shortest video, unless a length was chosen.
        filled["seconds"] = filled["seconds"] or min(offers["seconds"], key=float)
    return {
        "routes": routes,
        "accounts": list(catalog.accounts),
        "chosen": chosen,
        "limits": None if chosen is None else chosen.limits,
        "offers": offers,
        "filled": filled,
        "estimate": _estimate(view, filled),
        "curl": _curl(view, filled),
        "example": EXAMPLE,
    }


async def _filled(view: View) -> dict[str, str]:
    again = view.query("again")
    if again is not None:
        stored = await view.gateway.jobs.job(view.who, again)
        request, job = stored.request, stored.job
        model = f"{job.provider}/{job.model}" if job.model else job.provider
        values = {**{name: getattr(request, name) for name in _FIELDS[1:]}, "model": model}
        values["image"] = request.image if (request.image or "").startswith("http") else None
        return {name: str(value) if value is not None else "" for name, value in values.items()}
    return {name: (view.form or {}).get(name, view.query(name) or "").strip() for name in _FIELDS}


def _offers(route: ModelRoute | None) -> dict[str, tuple[str, ...]]:
    """Return the choices of each field; a field that the model does not take is left out."""
    if route is None or route.limits is None:
        return {}
    limits = route.limits
    found = {
        "seconds": limits.seconds,
        "size": limits.sizes,
        "aspect_ratio": limits.aspect_ratios,
        "resolution": limits.resolutions,
    }
    return {name: values for name, values in found.items() if values}


def _request(filled: Mapping[str, str]) -> VideoRequest:
    seed = whole_number(filled["seed"])
    if filled["seed"] and seed is None:
        raise InvalidRequestError("seed", "The seed must be a whole number")
    return VideoRequest(
        prompt=filled["prompt"] or EXAMPLE,
        model=filled["model"],
        seed=seed,
        image=filled["image"] or None,
        seconds=filled["seconds"] or None,
        size=filled["size"] or None,
        aspect_ratio=filled["aspect_ratio"] or None,
        resolution=filled["resolution"] or None,
    )


def _estimate(view: View, filled: Mapping[str, str]) -> ModelEstimate | str | None:
    """Return the price of a request; a text if the model can't fulfil it."""
    try:
        found = view.gateway.models.estimate(view.who, _request(filled))
    except ReelhookError as error:
        return page_message(error)
    return found[0] if found else None


def _curl(view: View, filled: Mapping[str, str]) -> str:
    body: dict[str, object] = {
        WIRE_NAMES.get(name, name): whole_number(value) if name == "seed" else value
        for name, value in filled.items()
        if value
    }
    body.setdefault("script", EXAMPLE)
    return curl_of(view, body)


@action(router, "/try", Scope.SUBMIT, trying, files=True)
async def submit(view: View, form: Form) -> Result:
    """Request the video. The form's mark is its idempotency key, so it is paid for once.

    A file for its image is uploaded first, and stays in the form by its id.
    """
    if (file := view.files.get("image_file")) is not None:
        form = {**form, "image": (await view.gateway.uploads.add(view.who, file)).id}
    view.form = form
    filled = {name: form.get(name, "").strip() for name in _FIELDS}
    if form.get("do") == "price":
        estimate = _estimate(view, filled)
        wrong = isinstance(estimate, str)
        return Shown(
            Banner(estimate if isinstance(estimate, str) else "", "bad" if wrong else "good")
        )
    request = _request(filled)
    if request.image is not None and hash_of_upload(request.image) is None:
        check_file(request.image, "image", "image")
        await view.context.options.check_url(request.image, field="image", media=True)
    key = IdempotencyKey(
        holder_of(view.request, view.options.access),
        f"{_KEY_PREFIX}{form.get(ONCE, '')}",
        sha256(json.dumps(filled, sort_keys=True).encode()).hexdigest(),
    )
    created = await view.gateway.new_jobs.submit(view.who, request, None, key)
    return Done(view.to("jobs", created.job_id), "submitted")
