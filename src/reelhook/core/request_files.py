"""Files of requests: stored apart from the request, and put back for the provider."""

from collections.abc import Mapping

from reelhook.core.offload import convert_in_thread_if_large
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.media import FORMATS, File, file_of, hash_in, judged, reference
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.domain.request_media import kind_of, media_of, stored_files, with_media


async def taken_out(request: VideoRequest) -> tuple[VideoRequest, tuple[File, ...]]:
    """Return the request with a reference in place of each `data:` URI, and the files of these.

    A file's bytes decide its type. Raises `InvalidRequestError` for a URI whose base64 is wrong, or
    whose bytes are not of the kind that its field takes.
    """
    size = sum(len(text) for _, text in media_of(request) if text.startswith("data:"))
    if not size:
        return request, ()
    return await convert_in_thread_if_large(size, lambda: _taken_out(request))


def _taken_out(request: VideoRequest) -> tuple[VideoRequest, tuple[File, ...]]:
    files: dict[str, File] = {}

    def reference_of(name: str, text: str) -> str:
        if not text.startswith("data:"):
            return text
        file = file_of(text)
        if file is None:
            raise _wrong(name)
        kind = kind_of(name)
        file = judged(file, kind)
        if file is None:
            formats = FORMATS[kind]
            raise InvalidRequestError(name, Problem.OTHER_BYTES, kind=kind, formats=formats)
        file_hash = file.hash
        files[file_hash] = file
        return reference(file_hash)

    return with_media(request, reference_of), tuple(files.values())


def _wrong(name: str) -> InvalidRequestError:
    kind = kind_of(name)
    if kind == "image":
        return InvalidRequestError(name, Problem.NOT_AN_IMAGE)
    return InvalidRequestError(name, Problem.NOT_A_FILE, kind=kind)


async def put_back(request: VideoRequest, files: Mapping[str, File]) -> VideoRequest:
    """Return the request with its files as `data:` URIs. Raises `KeyError` if one is missing."""
    needed = [files[file_hash] for file_hash in stored_files(request)]
    if not needed:
        return request
    size = sum(len(file.body) for file in needed)

    def uri_of(_: str, text: str) -> str:
        file_hash = hash_in(text)
        return text if file_hash is None else files[file_hash].uri

    return await convert_in_thread_if_large(size, lambda: with_media(request, uri_of))
