"""What tells one server of `/v1/videos` from another: a record that the one wire goes by.

The records themselves are in `flavours`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from aiohttp import web

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.job import Phase, RenderState, SimulatedJob, VideoSpec

OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 20.00 GiB."
"""What the engine says of a job that breaks."""


@dataclass(frozen=True, slots=True)
class Given:
    """What came with a create: texts and values in `fields`, uploads in `files`, by name.

    An upload is told as `upload:` and its media type. In JSON every value is in `fields`.
    """

    fields: Mapping[str, object]
    files: Mapping[str, str]
    form: bool

    def first(self, *names: str) -> object:
        """Return the first of these fields that says something, or None."""
        return next((self.fields[name] for name in names if self.fields.get(name)), None)


@dataclass(frozen=True, slots=True)
class FlavourRequest:
    """What a create asks for: the video, what reaches the engine, and what the job shows of it."""

    video: VideoSpec
    engine: Mapping[str, object]
    shown: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ListingStyle:
    """How jobs are listed. `limits` are the least and the greatest that are taken, inclusive.

    `limit_default` None lists all. `pages` False: no parameter is looked at, oldest first.
    `from_the_top`: a cursor that is not known begins at the top; else the page is empty.
    """

    limits: tuple[int, int] | None = (1, 100)
    limit_default: int | None = 20
    pages: bool = True
    ordered: bool = True
    from_the_top: bool = False
    told: Sequence[str] = ("first_id", "last_id", "has_more")


@dataclass(frozen=True, slots=True)
class Deleting:
    """What DELETE does: the response that it gives, and whether the engine stops."""

    response: Callable[[str, Mapping[str, object]], Mapping[str, object]]
    stops: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """A server as its clients meet it. Whatever is not named here is as in `openai_wire`."""

    name: str
    models: Sequence[str]
    """What it serves; the first is the one that a create without a model gets."""
    owned_by: str
    make_id: Callable[[Random], str]
    read: Callable[[Given, str], FlavourRequest]
    """Reads a create, given the served model. Raises `SimulatedRefusal` in the server's words."""
    statuses: Mapping[Phase, str]
    progress: Callable[[RenderState], int | None]
    show: Callable[[SimulatedJob, RenderState, str, int | None], dict[str, object]]
    """Shows a job, given its status and progress in the server's words."""
    refuse: Callable[[SimulatedRefusal], web.Response]
    forms_alone: bool = False
    created_status: int = 200
    listing: ListingStyle | None = field(default_factory=ListingStyle)
    """None: it is refused with `no_listing`."""
    no_listing: SimulatedRefusal | None = None
    deleting: Deleting | None = None
    """None: there is no such route."""
    missing: Callable[[str], SimulatedRefusal] = lambda _: SimulatedRefusal(404, "Video not found")
    content_missing: SimulatedRefusal | None = None
    """What a file of an unknown job is answered with, where that differs from `missing`."""
    content_pending: Callable[[str, str], SimulatedRefusal] = lambda *_: SimulatedRefusal(
        404, "Generation is still in-progress"
    )
    """What a file that is not there yet is answered with, given id and status."""
    failed_status: int = 200
    """The HTTP status of a read of a failed job."""
    failed_read: Callable[[Mapping[str, object]], Mapping[str, object]] = dict
    """What the body of that read is, given the video."""
    busy: SimulatedRefusal | None = None
    """How a create is refused while another job renders; None: any number is taken."""
    dead: SimulatedRefusal | None = None
    """How a create is refused without an engine; None: it is taken, and the job fails."""
    ranges: bool = True
    wants_authorization: bool = False
    """Whether a request without any `Authorization` is refused though there are no keys."""
    wrong_key: SimulatedRefusal = field(
        default_factory=lambda: SimulatedRefusal(401, "Unauthorized")
    )
    headers: Mapping[str, str] = field(default_factory=lambda: {"Server": "uvicorn"})
    health: Mapping[str, object] | None = None
    """What `/health` answers; None: an empty body."""
    versioned_health: bool = False
    """Whether `/v1/health` answers as `/health` does."""
