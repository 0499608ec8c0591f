"""The part of the store that reports: what happened of late, and what is held up."""

from reelhook.storage.forwarding import Forwarding, reading
from reelhook.storage.operations import activity, attention, held_files, held_webhooks, leases


class ReportMethods(Forwarding):
    """Implements the ports of pages and causes, which document these methods."""

    unfinished_counts = reading(activity.unfinished_counts)
    oldest_unfinished = reading(activity.oldest_unfinished)
    deliveries_due = reading(activity.deliveries_due)
    job_tallies = reading(activity.job_tallies)
    attempt_tallies = reading(activity.attempt_tallies)
    latest_render_times = reading(activity.latest_render_times)
    webhook_lags = reading(activity.webhook_lags)
    last_arrival = reading(activity.last_arrival)
    latest_events = reading(activity.latest_events)

    workers = reading(leases.workers)
    shared_state = reading(attention.shared_state)
    accounts_full = reading(attention.accounts_full)
    unfinished_jobs = reading(attention.unfinished)
    jobs_unresolved = reading(attention.unresolved)
    render_times = reading(attention.render_times)
    held_receivers = reading(held_webhooks.receivers)
    exhausted_webhooks = reading(held_webhooks.exhausted)
    webhooks_of_jobs = reading(held_webhooks.of_jobs)
    expiring_files = reading(held_files.expiring)
    files_of_jobs = reading(held_files.of_jobs)
    budgets_in_use = reading(held_files.budgets_in_use)
