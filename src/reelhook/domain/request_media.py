"""The media of a request: its images, videos and audio."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from reelhook.domain.media import hash_in
from reelhook.domain.request import VideoRequest

Change = Callable[[str, str], str]
"""Returns the text in place of another one. It gets the field's name and the text."""
_OF_JOB = "job:"
_SINGLE = ("image", "last_frame")
_LISTS = ("reference_images", "reference_videos", "reference_audios")
MEDIA_FIELDS = {
    "image": "image",
    "last_frame": "image",
    "reference_images": "image",
    "reference_videos": "video",
    "reference_audios": "audio",
}
"""The fields of a request with media, and the kind of each."""


def media_of(request: VideoRequest) -> Iterator[tuple[str, str]]:
    """Yield the name of each field that has a medium, and its text."""
    for name in _SINGLE:
        if (text := getattr(request, name)) is not None:
            yield name, text
    for name in _LISTS:
        for number, text in enumerate(getattr(request, name)):
            yield f"{name}.{number}", text


def kind_of(name: str) -> str:
    """Return the kind of a field's media; a part of it follows a dot, as in `media_of`."""
    return MEDIA_FIELDS[name.partition(".")[0]]


def with_media(request: VideoRequest, change: Change) -> VideoRequest:
    """Return the request with each of its media changed."""
    changed = {name: change(name, text) for name, text in media_of(request)}
    single = {name: changed.get(name) for name in _SINGLE}
    lists = {
        name: tuple(changed[f"{name}.{number}"] for number in range(len(getattr(request, name))))
        for name in _LISTS
    }
    return replace(
        request,
        image=single["image"],
        last_frame=single["last_frame"],
        reference_images=lists["reference_images"],
        reference_videos=lists["reference_videos"],
        reference_audios=lists["reference_audios"],
    )


def is_url(text: str) -> bool:
    """Return True if a medium is an address from which it can be fetched."""
    return text.startswith(("http://", "https://"))


def text_of_job(job_id: str) -> str:
    """Return the text that stands for the video of a job, or for its last frame."""
    return f"{_OF_JOB}{job_id}"


def job_in(text: str) -> str | None:
    """Return the id of the job whose video a medium is, or a frame of it; None for other media."""
    return text.removeprefix(_OF_JOB) if text.startswith(_OF_JOB) else None


def is_unprepared(request: VideoRequest, *, fetches: bool) -> bool:
    """Return True if media must be stored before the provider gets the request.

    `fetches`: those that are addresses are fetched by us, and not by the provider.
    """
    texts = [text for _, text in media_of(request)]
    return any(job_in(text) is not None or (fetches and is_url(text)) for text in texts)


def stored_files(request: VideoRequest) -> list[str]:
    """Return the hashes of the stored files to which the request refers, each once."""
    hashes = (hash_in(text) for _, text in media_of(request))
    return list(dict.fromkeys(found for found in hashes if found is not None))
