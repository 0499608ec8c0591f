"""Which requests at fal were going on a short while ago."""

from collections import OrderedDict

YOUNG_SECONDS = 15 * 60
"""fal keeps results much longer, whatever an account's settings say."""
_REQUESTS_MAX = 10_000


class Young:
    """The requests of one account that were accepted, queued or running when last looked at.

    Without it a result that is not there could not be told from one that was removed. A restart
    forgets them.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()

    def see(self, provider_job_id: str, now: float) -> None:
        """Note that a request goes on. `now` is in Unix seconds."""
        self._seen[provider_job_id] = now
        self._seen.move_to_end(provider_job_id)
        if len(self._seen) > _REQUESTS_MAX:
            self._seen.popitem(last=False)

    def is_young(self, provider_job_id: str, now: float) -> bool:
        """Whether a request went on within the last quarter of an hour."""
        return now - self._seen.get(provider_job_id, float("-inf")) < YOUNG_SECONDS
