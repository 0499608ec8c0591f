"""The request for a remix: a new video made from a finished one by a changed prompt."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Status
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest
from reelhook.ports import JobReads, JobStore, Provider, StoredJob
from reelhook.service.providers import provider_of


@dataclass(frozen=True, slots=True)
class Remix:
    """The request, and the account that has the video and so alone can remix it.

    `priced` False: its price is not known, because the length and the shape of the video are not.
    """

    request: VideoRequest
    account: str
    priced: bool


async def remix_of(
    store: JobStore, providers: Mapping[str, Provider], caller: Caller, job_id: str, prompt: str
) -> Remix:
    """Return the request to remix a job's video.

    Its length, shape and options are those of the video, for estimates and listings; only the
    prompt is sent. Raises `JobNotFoundError`, or `InvalidRequestError` if the video is not
    completed or its provider has no remix. Raises `ProviderError` if the account was removed.
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
        options=video.options,
    )
    return Remix(request, job.account, priced=not _is_unpriced(stored))


def _is_unpriced(source: StoredJob) -> bool:
    """Return True if a video was registered, so its request is not known, or remixes such a one."""
    remixed = source.request.remix_of is not None
    return not source.request.prompt or (remixed and source.job.estimated_amount is None)


class Remixes:
    """The videos that others remix."""

    def __init__(self, store: JobReads) -> None:
        self._store = store

    async def source(self, caller: Caller, remix: StoredJob) -> str | None:
        """Return the id of the job whose video this one remixes.

        None: it is no remix, or the caller does not see that job.
        """
        caller.require(Scope.READ)
        if remix.request.remix_of is None:
            return None
        found = await self._store.job_of_provider([remix.job.account], remix.request.remix_of)
        return found.job.id if found is not None and caller.may_see(found.job.project) else None
