"""What fal last said of the requests that wait or run."""

from collections import OrderedDict

from reelhook.providers.http.json_fields import number

YOUNG_SECONDS = 15 * 60
"""fal keeps results much longer, whatever an account's settings say."""
_REQUESTS_MAX = 10_000


class Queue:
    """The requests of one account that were accepted, queued or running when last looked at.

    Without it a result that is not there could not be told from one that was removed. A restart
    forgets them.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[float, int | None]] = OrderedDict()

    def see(self, provider_job_id: str, now: float, position: object = None) -> None:
        """Note that a request goes on, and its `queue_position`. `now` is in Unix seconds."""
        read = number(position)
        ahead = None if read is None or read < 0 else int(read)
        self._seen[provider_job_id] = (now, ahead)
        self._seen.move_to_end(provider_job_id)
        if len(self._seen) > _REQUESTS_MAX:
            self._seen.popitem(last=False)

    def is_young(self, provider_job_id: str, now: float) -> bool:
        """Whether a request went on within the last quarter of an hour."""
        seen_at, _ = self._seen.get(provider_job_id, (float("-inf"), None))
        return now - seen_at < YOUNG_SECONDS

    def ahead(self, provider_job_id: str) -> int | None:
        """Return how many requests stood before this one; None where that is not known."""
        return self._seen.get(provider_job_id, (0.0, None))[1]
