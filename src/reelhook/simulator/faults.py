"""The simulator's faults and their rates. Randomness is an argument."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from random import Random
from typing import TypeVar

from reelhook.simulator.job import Ending
from reelhook.simulator.prompts import Prompts
from reelhook.simulator.refusals import CreateRefusal

Outcome = TypeVar("Outcome")


class RequestFault(StrEnum):
    """The faults of a request, of which at most one happens."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    RESET = "reset"
    MALFORMED = "malformed"
    GARBLED = "garbled"
    HUGE = "huge"


LOST_CREATE = "lost_create"
"""The create is carried out, and its response is lost."""
REFUSED_CREATE = "refused_create"
"""The create is refused and not carried out."""
REFUSED_AFTER = "refused_after"
"""The create is carried out, although the response is a refusal."""
FOREIGN_REDIRECT = "foreign_redirect"
"""A download is redirected to another server."""

_SECONDS = (
    "latency_seconds",
    "queue_seconds",
    "render_seconds",
    "retry_after_seconds",
    "poll_after_seconds",
)
_FLAGS = ("listing", "engine_dead")
_SIGNED = ("clock_offset_seconds",)
_TEXTS = ("foreign_url",)
_EXCLUSIVE = (
    tuple(RequestFault),
    ("moderation", "stuck", "broken"),
    (REFUSED_CREATE, REFUSED_AFTER),
)


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults. Rates are 0..1, durations are in seconds. Raises a `ValueError` with the field.

    At most one fault of a request happens, so these rates may add up to at most 1; so may the rates
    of a job's bad endings. A job's durations and ending are drawn when it is created, so a change
    affects only later jobs.
    """

    rate_limited: float = 0.0
    """The response is 429 with Retry-After; not carried out."""
    server_error: float = 0.0
    """The response is 500; not carried out."""
    reset: float = 0.0
    """The connection is reset (RST) without a response; not carried out."""
    malformed: float = 0.0
    """Carried out; the response is half of the JSON. Refusals and videos stay complete."""
    garbled: float = 0.0
    """Carried out; the response is 200 with an HTML page of a proxy. Videos stay complete."""
    huge: float = 0.0
    """Carried out; the response is 60 MiB of JSON. Refusals and videos are unchanged."""
    lost_create: float = 0.0
    """The create is carried out, and the connection closed without a response."""
    refused_create: float = 0.0
    """The create is refused with `refusal`; not carried out."""
    refused_after: float = 0.0
    """The create is carried out, but the response is `refusal`."""
    refusal: str = CreateRefusal.UNAVAILABLE
    """The response to a refused create, one of `CreateRefusal`: a status, or a gateway's page."""
    moderation: float = 0.0
    """The job fails instead of completing."""
    stuck: float = 0.0
    """The job reaches 99 % and never ends."""
    broken: float = 0.0
    """The job fails because the engine does."""
    engine_dead: bool = False
    """True: the engine has died; creates are refused or their jobs fail, as the server does."""
    foreign_file: float = 0.0
    """The job names `foreign_url` as its finished file."""
    foreign_redirect: float = 0.0
    """The video's address redirects to `foreign_url`."""
    foreign_url: str = "http://169.254.169.254/latest/meta-data/"
    """An address that a gateway must not fetch; by default that of cloud credentials."""
    latency_seconds: float = 0.0
    """The delay before every request is processed."""
    listing: bool = True
    """False: the listing responds with 405."""
    queue_seconds: float = 1.0
    """The part of `render_seconds` for which a job is queued."""
    render_seconds: float = 8.0
    """The time from creation to completion."""
    retry_after_seconds: float = 1.0
    """The `Retry-After` of a 429."""
    poll_after_seconds: float = 0.0
    """The hint in a job's responses how long to wait before the next poll; 0: no hint."""
    clock_offset_seconds: float = 0.0
    """The lead of the provider's clock; negative if it is slow."""
    prompts: str = Prompts.SHOWN
    """The form of prompts in the listing, one of `Prompts`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))
        for names in _EXCLUSIVE:
            if math.fsum(getattr(self, name) for name in names) > 1:
                raise ValueError(f"{' + '.join(names)} must be at most 1")

    def of_request(self, random: Random) -> RequestFault | None:
        """Draw the fault of one request, or None."""
        return _draw({fault: getattr(self, fault.value) for fault in RequestFault}, random)

    def loses_create(self, random: Random) -> bool:
        """Draw whether the response to one create is lost."""
        return _draw({LOST_CREATE: self.lost_create}, random) is not None

    def refuses_create(self, random: Random) -> str | None:
        """Draw whether one create is refused, and before or after it is carried out."""
        if not self.refused_create and not self.refused_after:
            return None
        rates = {REFUSED_CREATE: self.refused_create, REFUSED_AFTER: self.refused_after}
        return _draw(rates, random)

    def shown(self, prompt: str) -> str | None:
        """Return a prompt as the listing shows it."""
        return Prompts(self.prompts).show(prompt)

    def names_foreign_file(self, random: Random) -> bool:
        """Draw whether one job names a foreign address as its file."""
        return self.foreign_file > 0 and random.random() < self.foreign_file

    def redirects(self, random: Random) -> bool:
        """Draw whether one download is redirected."""
        return self.foreign_redirect > 0 and random.random() < self.foreign_redirect

    def ending(self, random: Random) -> Ending:
        """Draw the ending of one job."""
        rates = {
            Ending.MODERATION: self.moderation,
            Ending.NEVER: self.stuck,
            Ending.BROKEN: self.broken,
        }
        ending = _draw(rates, random) or Ending.VIDEO
        return Ending.BROKEN if self.engine_dead else ending


def _draw(rates: Mapping[Outcome, float], random: Random) -> Outcome | None:
    point = random.random()
    for outcome, rate in rates.items():
        if point < rate:
            return outcome
        point -= rate
    return None


def _check(name: str, value: object) -> None:
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
    elif name == "prompts":
        if value not in list(Prompts):
            raise ValueError(f"prompts must be one of {', '.join(Prompts)}")
    elif name == "refusal":
        if value not in list(CreateRefusal):
            raise ValueError(f"refusal must be one of {', '.join(CreateRefusal)}")
    elif name in _TEXTS:
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ValueError(f"{name} must be printable ASCII")
    else:
        _check_number(name, value)


def _check_number(name: str, value: object) -> None:
    # bool is a subclass of int, and `reset: true` is more likely a mistake than a rate of 1.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number")
    if name in _SIGNED:
        return
    if value < 0:
        raise ValueError(f"{name} must not be negative")
    if name not in _SECONDS and value > 1:
        raise ValueError(f"{name} must be between 0 and 1")
