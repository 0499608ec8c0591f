"""Unresolved creates, and our knowledge of the listing entries of resolved ones."""

from dataclasses import dataclass

from reelhook.domain.event import Instant
from reelhook.domain.request import VideoRequest


@dataclass(frozen=True, slots=True)
class Known:
    """Our knowledge of an entry that belongs to one of our jobs.

    `created`: the response to our create had this id, so the times and the request show how this
    server lists a job. `marked`: that create carried `job_id` as its mark.
    """

    created: bool
    sent_at: Instant | None
    accepted_at: Instant | None
    request: VideoRequest
    job_id: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """An unresolved create, sent at `sent_at` and in doubt since `since`.

    `after` has the newest entries that were known before; empty: the listing had none; None: not
    known. `same_server`: it was sent to the listed server, with the same credential. `marked`: it
    carried its job's id as a mark. `ended`: the server itself refused it, so it is no longer in
    flight.
    """

    job_id: str
    request: VideoRequest
    sent_at: Instant
    since: Instant
    after: tuple[str, ...] | None = None
    same_server: bool = True
    marked: bool = False
    ended: bool = False
