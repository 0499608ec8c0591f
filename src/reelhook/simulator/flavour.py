"""The differences between servers of `/v1/videos`, as a record that one wire follows.

The records themselves are in `flavours`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from aiohttp import web

from reelhook.simulator.fault_injector import SimulatedRefusal
from reelhook.simulator.job import Phase, RenderState, SimulatedJob, VideoSpec

OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 20.00 GiB."
"""The engine's message for a job that breaks."""


@dataclass(frozen=True, slots=True)
class CreateBody:
    """The contents of a create: texts and values in `fields`, uploads in `files`, by name.

    An upload is represented as `upload:` and its media type. In JSON every value is in `fields`.
    """

    fields: Mapping[str, object]
    files: Mapping[str, str]
    form: bool

    def first(self, *names: str) -> object:
        """Return the first of these fields that has a value, or None."""
        return next((self.fields[name] for name in names if self.fields.get(name)), None)


@dataclass(frozen=True, slots=True)
class FlavourRequest:
    """A parsed create: the video, the engine's parameters, and the parameters the job shows."""

    video: VideoSpec
    engine: Mapping[str, object]
    shown: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ListingStyle:
    """The listing of jobs. `limits` are the lowest and the highest accepted limit, inclusive.

    `limit_default` None lists all. `pages` False: parameters are ignored, oldest first.
    `from_the_top`: an unknown cursor starts at the top; otherwise the page is empty.
    """

    limits: tuple[int, int] | None = (1, 100)
    limit_default: int | None = 20
    pages: bool = True
    ordered: bool = True
    from_the_top: bool = False
    cursors: Sequence[str] = ("first_id", "last_id", "has_more")


@dataclass(frozen=True, slots=True)
class DeleteEffect:
    """The effect of DELETE: its response, and whether the engine stops."""

    response: Callable[[str, Mapping[str, object]], Mapping[str, object]]
    stops: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """A server as its clients see it. Everything else is as in `openai_wire`."""

    name: str
    models: Sequence[str]
    """Its models; a create without a model uses the first."""
    owned_by: str
    make_id: Callable[[Random], str]
    read: Callable[[CreateBody, str], FlavourRequest]
    """Reads a create, given the served model. Raises `SimulatedRefusal`."""
    statuses: Mapping[Phase, str]
    progress: Callable[[RenderState], int | None]
    show: Callable[[SimulatedJob, RenderState, str, int | None], dict[str, object]]
    """Returns the body of a job, given its status and progress in the server's terms."""
    refuse: Callable[[SimulatedRefusal], web.Response]
    forms_alone: bool = False
    created_status: int = 200
    listing: ListingStyle | None = field(default_factory=ListingStyle)
    """None: a listing is refused with `no_listing`."""
    no_listing: SimulatedRefusal | None = None
    deleting: DeleteEffect | None = None
    """None: the route does not exist."""
    missing: Callable[[str], SimulatedRefusal] = lambda _: SimulatedRefusal(404, "Video not found")
    content_missing: SimulatedRefusal | None = None
    """The refusal of a file of an unknown job, if it differs from `missing`."""
    content_pending: Callable[[str, str], SimulatedRefusal] = lambda *_: SimulatedRefusal(
        404, "Generation is still in-progress"
    )
    """The refusal of a file that does not exist yet, given id and status."""
    failed_status: int = 200
    """The HTTP status of a read of a failed job."""
    failed_read: Callable[[Mapping[str, object]], Mapping[str, object]] = dict
    """The body of that read, given the video."""
    busy: SimulatedRefusal | None = None
    """The refusal of a create while another job renders; None: there is no limit."""
    dead: SimulatedRefusal | None = None
    """The refusal of a create without an engine; None: it is accepted, and the job fails."""
    ranges: bool = True
    wants_authorization: bool = False
    """True: a request without `Authorization` is refused even if there are no keys."""
    wrong_key: SimulatedRefusal = field(
        default_factory=lambda: SimulatedRefusal(401, "Unauthorized")
    )
    headers: Mapping[str, str] = field(default_factory=lambda: {"Server": "uvicorn"})
    health: Mapping[str, object] | None = None
    """The body of `/health`; None: an empty one."""
    versioned_health: bool = False
    """True: `/v1/health` exists too."""
