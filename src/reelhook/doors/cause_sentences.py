"""The sentences of causes: one place for the API, the pages and the command line.

Each has a message, what happens next, a remedy and the command that applies it.
`docs/runbook.md` has a section for each cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentences:
    """The templates of one cause. The names in braces are facts.

    `next` says what happens by itself. `command` applies the remedy; `command_for_many` does so if
    several jobs are held up.
    """

    message: str
    next: str
    remedy: str
    command: str
    command_for_many: str | None = None


_ENABLE = "reelhook endpoints enable {endpoint}"
_RAISE = "reelhook budgets raise --{owner} {owner_id}"

WORDS: Mapping[str, Sentences] = {
    # By `name.variant`, or by `name` if there is none.
    "in_doubt": Sentences(
        "It is not known whether {account} accepted the create, so it may have been paid for",
        "Nothing more happens by itself: it is never sent again without you",
        "Look for the video at the provider, then adopt it; or abandon it if it is not there",
        "reelhook adopt {job} PROVIDERS_ID",
        "reelhook jobs --in-doubt",
    ),
    "in_doubt_looking": Sentences(
        "The response to the create at {account} was lost; it may have been accepted",
        "The provider's listing decides: the video is adopted, or the create is sent again",
        "Wait: a create is repeated only if the provider provably does not have it",
        "reelhook status {job}",
        "reelhook jobs --in-doubt",
    ),
    "expiring": Sentences(
        "{account} deletes this video soon, and it is not in the archive yet",
        "The archive tries again before that, the soonest to expire first",
        "Download the video now, to be safe",
        "reelhook status {job}",
        "reelhook doctor",
    ),
    "expiring.failing": Sentences(
        "{account} deletes this video soon, and storing it has failed",
        "The archive tries again before that, the soonest to expire first",
        "Download the video now, and check the archive",
        "reelhook status {job}",
        "reelhook doctor",
    ),
    "near_max_age": Sentences(
        "No provider has accepted the job in nearly {hours:g} hours, the most allowed",
        "The job fails as expired, and nothing is paid for",
        "End what holds it up, or raise REELHOOK_MAX_AGE_HOURS",
        "reelhook status {job}",
        "reelhook attention",
    ),
    "near_max_age.watched": Sentences(
        "The provider has not finished the job in nearly {hours:g} hours, the most allowed",
        "The job fails as expired, even if the provider finishes it later",
        "Check it at the provider now, or raise REELHOOK_MAX_AGE_HOURS",
        "reelhook poll {job}",
        "reelhook jobs --status processing",
    ),
    "store_slow": Sentences(
        "The database takes too long to confirm writes: {seconds:g} s at worst",
        "Everything goes on, but later; nothing is lost",
        "Look at the database's disk and load",
        "reelhook doctor",
    ),
    "no_worker": Sentences(
        "No process works for the account {account}",
        "Its jobs go on as soon as a worker takes the account; nothing is lost until then",
        "Start a worker, or a server without --no-worker",
        "reelhook worker",
    ),
    "no_worker.all": Sentences(
        "No worker is running, so no job is created or watched",
        "Everything goes on as soon as a worker runs; nothing is lost until then",
        "Start a worker, or a server without --no-worker",
        "reelhook worker",
    ),
    "no_worker.removed": Sentences(
        "The account {account} is not configured here any more",
        "Its jobs wait until the account is back, and expire at their greatest age",
        "Configure the account again, or cancel its jobs",
        "reelhook doctor",
    ),
    "paused": Sentences(
        "Watching is paused, so no provider is asked about its jobs",
        "Nothing, until it is resumed; new jobs are still created, and webhooks still sent",
        "Resume watching",
        "reelhook watcher resume",
    ),
    "account_refused": Sentences(
        "The provider refuses the key of {account}",
        "Requests are tried again at intervals, and go on once the key works",
        "Replace the key in the settings, and restart",
        "reelhook doctor",
    ),
    "provider_down.reads": Sentences(
        "{account} can't be asked about its jobs",
        "It is asked again in every round",
        "Check the account with the command, look at the provider's status page, or wait",
        "reelhook doctor",
    ),
    "provider_down.creates": Sentences(
        "{account} did not accept the create, after {tries} tries",
        "It is sent again: the provider definitely did not accept it",
        "Check the account with the command, look at the provider's status page, or wait",
        "reelhook doctor",
    ),
    "provider_down.missing": Sentences(
        "{account} does not know the job any more",
        "If it stays unknown for ten minutes, the job fails",
        "Check the job at the provider",
        "reelhook poll {job}",
        "reelhook stats",
    ),
    "provider_down.job": Sentences(
        "{account} does not report the state of the job",
        "It is asked again in every round",
        "Check the job at the provider now",
        "reelhook poll {job}",
        "reelhook stats",
    ),
    "over_budget.money_per_day": Sentences(
        "The {owner}'s budget of this day has no room: {used:g} of {limit:g} {unit} are used",
        "New jobs are refused until the day ends (UTC)",
        "Raise the budget for a while",
        f"{_RAISE} --money-per-day {{unit}}=AMOUNT --for 2h",
    ),
    "over_budget.money_per_month": Sentences(
        "The {owner}'s budget of this month has no room: {used:g} of {limit:g} {unit} are used",
        "New jobs are refused until the month ends (UTC)",
        "Raise the budget for a while",
        f"{_RAISE} --money-per-month {{unit}}=AMOUNT --for 2h",
    ),
    "over_budget.jobs_per_day": Sentences(
        "The {owner} has had {used:g} of its {limit:g} jobs of this day",
        "New jobs are refused until the day ends (UTC)",
        "Raise the budget for a while",
        f"{_RAISE} --jobs-per-day N --for 2h",
    ),
    "over_budget.jobs_in_flight": Sentences(
        "The {owner} has {used:g} of its {limit:g} jobs in flight",
        "New jobs are refused until one of them ends",
        "Wait, or raise the budget for a while",
        f"{_RAISE} --jobs-in-flight N --for 2h",
    ),
    "archive_paused.disk_full": Sentences(
        "The archive takes no files for now: too little of a disk is free",
        "It goes on once there is room; videos stay at their providers until then",
        "Make room on the disk of the archive and of the data directory",
        "reelhook doctor",
    ),
    "archive_paused.store_unavailable": Sentences(
        "The archive takes no files for now: its store refuses them or does not respond",
        "It is tried again within half a minute; videos stay at their providers until then",
        "Check the address and the key of the archive's store",
        "reelhook doctor",
    ),
    "endpoint_refused": Sentences(
        "A rule for addresses forbids {receiver}, so nothing is sent there",
        "The webhooks are tried again as their schedule has it",
        "Change the endpoint's URL, or allow its network with REELHOOK_ALLOW_NETWORKS",
        "reelhook endpoints update {endpoint} --url URL",
    ),
    "endpoint_disabled.operator": Sentences(
        "{receiver} was disabled by hand; its webhooks wait",
        "Nothing, until the endpoint is enabled",
        "Enable the endpoint: what waits is sent first",
        _ENABLE,
    ),
    "endpoint_disabled.failing": Sentences(
        "{receiver} failed for five days, so nothing is sent there; its webhooks wait",
        "Nothing, until the endpoint is enabled",
        "Repair the receiver, then enable the endpoint: what waits is sent first",
        _ENABLE,
    ),
    "endpoint_disabled.gone": Sentences(
        "{receiver} responded with 410, so nothing is sent there; its webhooks wait",
        "Nothing, until the endpoint is enabled",
        "Enable the endpoint if the receiver is back: what waits is sent first",
        _ENABLE,
    ),
    "endpoint_open": Sentences(
        "{receiver} fails, so only probes are sent there; its webhooks wait",
        "A probe is sent; once one succeeds, everything that waits is sent",
        "Repair the receiver, then test the endpoint",
        "reelhook endpoints test {endpoint}",
    ),
    "exhausted": Sentences(
        "{receiver} did not take the webhook at any attempt",
        "Nothing: it is not sent again by itself",
        "Repair the receiver, then send again what failed",
        "reelhook deliveries resend {delivery}",
        "reelhook deliveries resend --failed-since 3d --endpoint {endpoint}",
    ),
    "retrying": Sentences(
        "{receiver} did not take the webhook; attempt {attempt} of {attempts_max} is next",
        "It is sent again, with the same id",
        "Look at the last response, and repair the receiver",
        "reelhook deliveries attempts {delivery}",
        "reelhook deliveries list --endpoint {endpoint}",
    ),
    "files_awaited": Sentences(
        "The files of the request are still being fetched, so no provider has the job yet",
        "An address is tried four times; if a file can't be had, the job fails unpaid",
        "Wait, or look whether the addresses of its files respond",
        "reelhook status {job}",
        "reelhook jobs --status accepted",
    ),
    "files_awaited.kept_back": Sentences(
        "The files of the request can't be fetched or kept on this machine",
        "They are tried again every 15 s, and nothing is paid meanwhile",
        "Repair what the response names: often a full disk, or too few open files",
        "reelhook doctor",
    ),
    "rate_limited.creates": Sentences(
        "{account} takes no new jobs for now: its provider has asked for a pause",
        "Creates go on after the pause",
        "Wait, or add another account",
        "reelhook stats",
    ),
    "rate_limited.reads": Sentences(
        "{account} is not asked about its jobs for now: its provider has asked for a pause",
        "Its jobs are read again after the pause",
        "Wait, or read less often: raise REELHOOK_POLL_SECONDS",
        "reelhook stats",
    ),
    "account_full": Sentences(
        "{account} has as many jobs at its provider as it may have",
        "The next job is created as soon as one of them ends",
        "Wait, raise the account's limit of jobs, or add another account",
        "reelhook stats",
    ),
    "account_full.place": Sentences(
        "{account} has as many jobs at its provider as it may have; {ahead} others come first",
        "The next job is created as soon as one of them ends",
        "Wait, raise the account's limit of jobs, or add another account",
        "reelhook stats",
    ),
    "round_stretched": Sentences(
        "A round over the jobs of {account} takes {seconds:g} s instead of {wanted_seconds:g} s",
        "Every job is still read, but less often",
        "Add another account, or raise REELHOOK_POLL_SECONDS",
        "reelhook stats",
    ),
    "provider_slow": Sentences(
        "{account} has reported nothing new for longer than {model} usually takes",
        "It is asked again in every round, until the job's greatest age",
        "Check the job at the provider now, or cancel it",
        "reelhook poll {job}",
        "reelhook jobs --status processing --model {model}",
    ),
}
