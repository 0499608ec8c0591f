"""A cause: the reason why something is not done, as facts. Each door makes its sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, StrEnum

from reelhook.domain.caller import Scope
from reelhook.domain.errors import Fact
from reelhook.domain.event import Instant

COUNTED_MAX = 1000
"""The most things that one cause counts; more are shown as `1,000+`."""
EXAMPLES_MAX = 5
"""The most jobs that one cause names."""


class Harm(IntEnum):
    """The harm of a cause. The worst comes first."""

    MONEY = 1
    """Money may be lost: a create in doubt, a video that may expire."""
    STOPPED = 2
    """Nothing moves until somebody acts, or a provider recovers."""
    WEBHOOKS = 3
    """Webhooks are held back."""
    SLOW = 4
    """It moves, but slower than it could, or it waits for its turn."""


class Remedy(Enum):
    """The action that ends a cause, and the scope that it needs."""

    SETTLE = "settle", Scope.OPERATE
    SAVE_FILE = "save_file", Scope.READ
    FIX_ARCHIVE = "fix_archive", Scope.OPERATOR
    CHECK_NOW = "check_now", Scope.OPERATE
    START_WORKER = "start_worker", Scope.OPERATOR
    RESUME = "resume", Scope.OPERATOR
    FIX_KEY = "fix_key", Scope.OPERATOR
    FIX_STORE = "fix_store", Scope.OPERATOR
    FIX_MACHINE = "fix_machine", Scope.OPERATOR
    RAISE_BUDGET = "raise_budget", Scope.OPERATOR
    RAISE_KEY_BUDGET = "raise_key_budget", Scope.ADMIN
    ENABLE_ENDPOINT = "enable_endpoint", Scope.OPERATE
    CHANGE_ENDPOINT = "change_endpoint", Scope.OPERATE
    TEST_ENDPOINT = "test_endpoint", Scope.OPERATE
    RESEND = "resend", Scope.OPERATE
    SHOW_DELIVERY = "show_delivery", Scope.READ
    RAISE_LIMIT = "raise_limit", Scope.OPERATOR
    WAIT = "wait", Scope.READ

    def __init__(self, action: str, scope: Scope) -> None:
        self.action = action
        self.scope = scope


class CauseName(StrEnum):
    """The name of a cause: stable, and part of the API. The order is that of their harm."""

    IN_DOUBT = "in_doubt"
    """A create may have been paid for, and only a person can settle it."""
    IN_DOUBT_LOOKING = "in_doubt_looking"
    """A create may have been paid for, and is being looked up at its provider."""
    EXPIRING = "expiring"
    """A provider deletes a file soon that is not in the archive yet."""
    NEAR_MAX_AGE = "near_max_age"
    """A job ends as failed soon, because of its age."""
    STORE_SLOW = "store_slow"
    """The database takes too long to confirm writes."""
    NO_WORKER = "no_worker"
    """No process works for an account."""
    PAUSED = "paused"
    """The operator has paused watching."""
    ACCOUNT_REFUSED = "account_refused"
    """The provider refuses the account's key."""
    PROVIDER_DOWN = "provider_down"
    """The provider does not respond, or responds with errors."""
    OVER_BUDGET = "over_budget"
    """A budget has no room, so new jobs are refused."""
    ARCHIVE_PAUSED = "archive_paused"
    """Files are not stored, because the archive takes none."""
    ENDPOINT_REFUSED = "endpoint_refused"
    """A rule for addresses forbids the endpoint's address."""
    ENDPOINT_DISABLED = "endpoint_disabled"
    """Nothing is sent to an endpoint until it is enabled."""
    ENDPOINT_OPEN = "endpoint_open"
    """An endpoint fails, so only probes are sent to it."""
    EXHAUSTED = "exhausted"
    """Webhooks failed at every attempt."""
    RETRYING = "retrying"
    """Webhooks failed, and are sent again later."""
    FILES_AWAITED = "files_awaited"
    """The files that a request names are still being fetched."""
    RATE_LIMITED = "rate_limited"
    """The provider has asked for a pause."""
    ACCOUNT_FULL = "account_full"
    """An account has as many jobs at its provider as it may have."""
    ROUND_STRETCHED = "round_stretched"
    """Reading the jobs of an account takes longer than the interval between two rounds."""
    PROVIDER_SLOW = "provider_slow"
    """A provider has changed nothing for longer than its model usually takes."""

    @property
    def harm(self) -> Harm:
        """The harm that it does."""
        return _HARM[self]

    @property
    def things(self) -> "Thing | None":
        """The kind of thing that it holds up; None: nothing that exists, but new jobs."""
        if self in {CauseName.EXPIRING, CauseName.ARCHIVE_PAUSED}:
            return Thing.FILES
        if self is CauseName.OVER_BUDGET:
            return None
        return Thing.WEBHOOKS if self.harm is Harm.WEBHOOKS else Thing.JOBS

    @property
    def rank(self) -> int:
        """Its place among all causes, the worst first."""
        return _RANK[self]


_MONEY = (
    CauseName.IN_DOUBT,
    CauseName.IN_DOUBT_LOOKING,
    CauseName.EXPIRING,
    CauseName.NEAR_MAX_AGE,
)
_STOPPED = (
    CauseName.STORE_SLOW,
    CauseName.NO_WORKER,
    CauseName.PAUSED,
    CauseName.ACCOUNT_REFUSED,
    CauseName.PROVIDER_DOWN,
    CauseName.OVER_BUDGET,
    CauseName.ARCHIVE_PAUSED,
)
_WEBHOOKS = (
    CauseName.ENDPOINT_REFUSED,
    CauseName.ENDPOINT_DISABLED,
    CauseName.ENDPOINT_OPEN,
    CauseName.EXHAUSTED,
    CauseName.RETRYING,
)
_SLOW = (
    CauseName.FILES_AWAITED,
    CauseName.RATE_LIMITED,
    CauseName.ACCOUNT_FULL,
    CauseName.ROUND_STRETCHED,
    CauseName.PROVIDER_SLOW,
)
_HARM = {
    **dict.fromkeys(_MONEY, Harm.MONEY),
    **dict.fromkeys(_STOPPED, Harm.STOPPED),
    **dict.fromkeys(_WEBHOOKS, Harm.WEBHOOKS),
    **dict.fromkeys(_SLOW, Harm.SLOW),
}
_RANK = {name: place for place, name in enumerate(CauseName)}


class Thing(StrEnum):
    """The kind of thing that a cause holds up."""

    JOBS = "jobs"
    WEBHOOKS = "webhooks"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why something is not done.

    `since` is None if its beginning is not known. `next_at` is the time of the next thing that
    happens by itself; None: the time is not known, or nothing happens. `about` names the account,
    endpoint or budget: causes of the same name that are about the same are one. `variant` is a more
    precise name where a cause has several wordings. `facts` are those of the sentences, and
    `private` the names of those that only the operator sees. `job_id` is the only job that it holds
    up; None: there may be others.
    """

    name: CauseName
    remedy: Remedy
    since: Instant | None = None
    next_at: Instant | None = None
    about: str | None = None
    variant: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    private: frozenset[str] = frozenset()
    job_id: str | None = None

    def public(self) -> "Cause":
        """Return the cause without the facts that only the operator sees."""
        if not self.private:
            return self
        facts = {name: fact for name, fact in self.facts.items() if name not in self.private}
        return replace(self, facts=facts, private=frozenset())


@dataclass(frozen=True, slots=True)
class HeldUp:
    """A cause, and all that it holds up.

    `count` is the number of `things`; None: not counted. `more`: there are more than that.
    `job_ids` are examples.
    """

    cause: Cause
    things: Thing = Thing.JOBS
    count: int | None = None
    more: bool = False
    job_ids: tuple[str, ...] = ()
