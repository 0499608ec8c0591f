"""The request for a remix: a new video made from a finished one by a changed prompt."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.caller import Caller
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Status
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.ports import JobStore, Provider
from reelhook.service.providers import provider_of


@dataclass(frozen=True, slots=True)
class Remix:
    """The request, and the account that has the video and so alone can remix it."""

    request: VideoRequest
    account: str


async def remix_of(
    store: JobStore, providers: Mapping[str, Provider], caller: Caller, job_id: str, prompt: str
) -> Remix:
    """Return the request to remix a job's video.

    Its length and shape are those of the video, for estimates and listings; only the prompt is
    sent. Raises `JobNotFoundError`, or `InvalidRequestError` if the video is not completed or its
    provider has no remix. Raises `ProviderError` if the account was removed.
    """
    stored = await store.job(job_id, caller.sees)
    job, video = stored.job, stored.request
    provider = provider_of(providers, job)
    lacking = await provider.lacks_remix() if provider.traits.remixes else provider.name
    if lacking is not None:
        raise InvalidRequestError("job_id", Problem.NO_REMIX, provider=lacking)
    if job.status is not Status.COMPLETED or job.provider_job_id is None:
        raise InvalidRequestError("job_id", Problem.NOT_COMPLETED, status=job.status.value)
    request = VideoRequest(
        prompt,
        model=job.model,
        seconds=video.seconds,
        size=video.size,
        aspect_ratio=video.aspect_ratio,
        resolution=video.resolution,
        audio=video.audio,
        remix_of=job.provider_job_id,
    )
    return Remix(request, job.account)
