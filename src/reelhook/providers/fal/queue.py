"""The unfinished requests at fal, as last seen."""

from collections import OrderedDict

from reelhook.providers.http.json_fields import number

YOUNG_SECONDS = 15 * 60
"""fal keeps results much longer than this, whatever the account's settings are."""
_REQUESTS_MAX = 10_000


class Queue:
    """The requests of one account that were accepted, queued or running when last read.

    With them, a result that never existed differs from one that was removed. A restart loses them.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[float, int | None]] = OrderedDict()

    def see(self, provider_job_id: str, now: float, position: object = None) -> None:
        """Record an unfinished request and its `queue_position`. `now` is in Unix seconds."""
        value = number(position)
        ahead = None if value is None or value < 0 else int(value)
        self._seen[provider_job_id] = (now, ahead)
        self._seen.move_to_end(provider_job_id)
        if len(self._seen) > _REQUESTS_MAX:
            self._seen.popitem(last=False)

    def is_young(self, provider_job_id: str, now: float) -> bool:
        """Return True if a request was unfinished within the last 15 minutes."""
        seen_at, _ = self._seen.get(provider_job_id, (float("-inf"), None))
        return now - seen_at < YOUNG_SECONDS

    def ahead(self, provider_job_id: str) -> int | None:
        """Return the number of requests before this one; None if it is not known."""
        return self._seen.get(provider_job_id, (0.0, None))[1]
