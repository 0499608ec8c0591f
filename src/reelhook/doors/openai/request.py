"""The domain's request for a video, made from a body."""

from collections.abc import Iterator

from reelhook.domain.request import (
    SHORT_CHARACTERS_MAX,
    VideoRequest,
    check_file,
    check_text,
)
from reelhook.domain.request_media import MEDIA_FIELDS, is_url
from reelhook.doors.context import HttpOptions
from reelhook.doors.media_urls import naming, with_video
from reelhook.doors.openai.body import OwnBody, VideoBody


def video_request(body: VideoBody, default_model: str | None) -> VideoRequest:
    """Return the request. Raises `InvalidRequestError` for faults that the domain can't see."""
    if body.model is not None:
        check_text("model", body.model, SHORT_CHARACTERS_MAX)
    _, image = body.first_image
    return VideoRequest(
        body.prompt,
        model=body.model or default_model or "",
        seconds=body.seconds,
        size=body.size,
        aspect_ratio=body.aspect_ratio,
        resolution=body.resolution,
        seed=body.seed,
        negative_prompt=body.negative_prompt,
        audio=body.audio,
        image=image,
        last_frame=body.last_frame,
        reference_images=tuple(body.reference_images),
        reference_videos=tuple(with_video(body.video, body.reference_videos)),
        reference_audios=tuple(body.reference_audios),
        options=body.provider_options,
        fallbacks=tuple(body.fallbacks),
    )


async def check_own_url(options: HttpOptions, body: OwnBody) -> None:
    """Raise `InvalidRequestError` if no webhook may go to the request's own URL."""
    if body.own_url is not None:
        field = "callback_url" if body.webhook_url is None else "webhook_url"
        await options.check_url(body.own_url, field=field)


async def check_files(options: HttpOptions, body: VideoBody, request: VideoRequest) -> None:
    """Raise `InvalidRequestError` if a file's URL may not be dialled."""
    names = body.names
    for field, kind, file in _files(request):
        if file.startswith("data:"):
            continue
        with naming(names):
            check_file(file, field, kind)
            if not is_url(file):
                continue
            await options.check_url(file, field=field, media=True)


def _files(request: VideoRequest) -> Iterator[tuple[str, str, str]]:
    """Iterate over the files of a request: the field, the kind, and the URL."""
    for field, kind in MEDIA_FIELDS.items():
        given = getattr(request, field)
        if isinstance(given, str):
            yield field, kind, given
        elif given is not None:
            yield from ((f"{field}.{number}", kind, one) for number, one in enumerate(given))
