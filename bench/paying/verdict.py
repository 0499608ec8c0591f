"""What must hold of an act: nothing was paid for twice, and every job came to an end."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.paying.act import Found, Money, Result
from bench.paying.life import MODELS, UNKNOWN_PRICE
from bench.paying.mischief import REFUSED_VIDEO

LISTED = frozenset({"openai", "replicate"})
"""Whose listings show what was asked for: there, no doubt is left."""
LISTING = LISTED | {"ark"}
"""Whose listings can prove that nothing was created."""
RATES: dict[tuple[str, str | None], float] = {
    ("ark", "tokens"): 7.7e-6,
    ("runway", "credits"): 0.01,
}
"""The prices of the units in which providers charge, in USD."""
COLUMNS = (
    "jobs",
    "creates",
    "faults",
    "cut off",
    "completed",
    "unknown",
    "given up",
    "fetching",
    "no image",
    "canceled",
    "created twice",
    "lost",
    "wrong end",
)


@dataclass(slots=True)
class Verdict:
    """Counts by provider, and what is wrong, in words."""

    rows: dict[str, Counter[str]] = field(
        default_factory=lambda: {one: Counter() for one in MODELS}
    )
    listings: dict[str, Counter[str]] = field(default_factory=dict)
    """By kind of listing: the jobs of providers that show prompts, and how many ended unknown."""
    kills: int = 0
    images_struck: int = 0
    """How many fetches of images went wrong."""
    violations: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many creates went wrong."""
        return sum(row["faults"] for row in self.rows.values())

    def add(self, result: Result) -> list[str]:
        """Judge an act; return what is wrong with it."""
        self.kills += result.kills
        for provider, _, count in result.told["struck"]:
            self.rows[provider]["faults"] += count
        for provider, count in result.told["creates"].items():
            self.rows[provider]["creates"] += count
        for provider, count in result.cut_off.items():
            self.rows[provider]["cut off"] += count
        for provider, count in result.fetching.items():
            self.rows[provider]["fetching"] += count
        self.images_struck += result.told["images_struck"]
        wrong = [
            *result.troubles,
            *self._endings(result),
            *self._creations(result),
            *_sums(result),
        ]
        self.violations += wrong
        return wrong

    def _endings(self, result: Result) -> Iterable[str]:
        if len(result.jobs) != len(result.wishes):
            yield f"{len(result.jobs)} jobs for {len(result.wishes)} wishes"
        known = set(result.told["ids"])
        listed = self.listings.setdefault(result.listing, Counter())
        for job in result.jobs:
            row = self.rows[job.provider]
            row["jobs"] += 1
            row["completed"] += job.status == "completed"
            row["unknown"] += job.code == "submission_unknown"
            row["given up"] += job.code == "provider_error"
            row["no image"] += job.code == "image_unavailable"
            row["canceled"] += job.status == "canceled"
            if job.provider in LISTED:
                listed["jobs"] += 1
                listed["unknown"] += job.code == "submission_unknown"
            if not _ended_well(job, result):
                row["wrong end"] += 1
                yield f"{job} is no end for it"
            if job.status == "completed" and _at_provider(job) not in known:
                row["lost"] += 1
                yield f"{job} is not at its provider"

    def _creations(self, result: Result) -> Iterable[str]:
        wanted = Counter((wish.provider, wish.prompt) for wish in result.wishes)
        created = Counter(result.told["created"])
        given_up = Counter(job.prompt for job in result.jobs if _is_unpaid(job))
        held = Counter(job.provider_job_id for job in result.jobs if job.provider_job_id)
        for (provider, prompt), most in wanted.items():
            # What was given up as absent must have left nothing, or it is paid for and lost.
            most_left = most - given_up[prompt]
            if most_left < created[prompt] <= most:
                self.rows[provider]["lost"] += created[prompt] - most_left
                yield f"{prompt}: created {created[prompt]} times for {most_left} jobs not given up"
            if created[prompt] > most:
                self.rows[provider]["created twice"] += created[prompt] - most
                yield f"{prompt}: created {created[prompt]} times for {most} jobs"
        for one, times in held.items():
            if times > 1:
                yield f"{one} is held by {times} jobs"
        for prompt in created.keys() - {prompt for _, prompt in wanted}:
            yield f"{prompt}: nobody asked for it"


def _is_unpaid(job: Found) -> bool:
    """Return True if a job has ended without a video that is paid for."""
    nothing = job.code in {"provider_error", "image_unavailable", "canceled"}
    return nothing and job.provider_job_id is None


def _sums(result: Result) -> Iterable[str]:
    """Only what is in doubt may still be reserved, and only what is paid for is spent."""
    reserved = sum(_price(job) for job in result.jobs if job.code == "submission_unknown")
    spent = sum(
        _price(job)
        for job in result.jobs
        if job.code != "submission_unknown" and not _is_unpaid(job)
    )
    wanted = Money(reserved, spent, 0, reserved)
    if result.money != wanted:
        yield f"the budget has {result.money}, not {wanted}"


def _price(job: Found) -> int:
    for amount, unit in (
        (job.charged_amount, job.charged_unit),
        (job.estimated_amount, job.estimated_unit),
    ):
        rate = 1.0 if unit == "USD" else RATES.get((job.provider, unit))
        if amount is not None and rate is not None:
            return round(amount * rate * 1_000_000)
    return UNKNOWN_PRICE


def _ended_well(job: Found, result: Result) -> bool:
    listing = result.listing
    if job.status == "completed":
        return True
    if job.code in {"image_unavailable", "canceled"}:
        wish = next(one for one in result.wishes if one.prompt == job.prompt)
        return wish.image is not None and (job.code != "canceled" or wish.canceled)
    if job.code == "provider_error":  # refused as often as it may be, and provably absent
        return job.provider in LISTING
    if job.prompt.startswith(REFUSED_VIDEO) and job.status == "completed":
        return False
    told = job.provider in LISTED and listing.honest
    return job.code == "submission_unknown" and not told


def _at_provider(job: Found) -> str | None:
    """Return what the provider calls it; of fal we keep the way there as well."""
    return job.provider_job_id and job.provider_job_id.rpartition("/")[2]
