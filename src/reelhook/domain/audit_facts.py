"""The facts that the audit trail keeps of endpoints, jobs, projects, keys and budgets."""

from reelhook.domain.api_key import ApiKey
from reelhook.domain.audit import Facts, Hidden, Value
from reelhook.domain.budget import Budget, BudgetLimits
from reelhook.domain.endpoint import Endpoint, shown_url
from reelhook.domain.event import maybe_iso
from reelhook.domain.job import Job
from reelhook.domain.money import whole
from reelhook.domain.project import Project


def endpoint_facts(endpoint: Endpoint) -> Facts:
    """Return the fields of an endpoint that callers change."""
    secrets = {f"headers.{name}": Hidden(value) for name, value in endpoint.headers}
    return {
        "url": _url(endpoint.url),
        "description": endpoint.description,
        "events": tuple(sorted(endpoint.events)),
        "concurrency": endpoint.concurrency,
        "broadcast": endpoint.broadcast,
        "format": endpoint.format,
        "enabled": endpoint.disabled is None,
        **secrets,
        **_secret(endpoint.secret),
    }


def job_facts(job: Job) -> Facts:
    """Return the fields of a job that callers change."""
    return {"status": job.status.value, "code": job.code}


def project_facts(project: Project) -> Facts:
    """Return the fields of a project that callers change."""
    return {
        "name": project.name,
        "webhook_url": None if project.webhook_url is None else _url(project.webhook_url),
        "models": project.models,
        "weight": project.weight,
        "priority_max": project.priority_max,
        "archive_keep_days": project.archive_keep_days,
        "archive_bytes_max": project.archive_bytes_max,
        "closed": project.closed_at is not None,
        "delete_data": project.delete_data,
        **_secret(project.secret),
    }


def key_facts(key: ApiKey) -> Facts:
    """Return the fields of a key that callers change. `hint` changes with its text."""
    return {
        "name": key.name,
        "hint": key.hint,
        "scopes": tuple(sorted(scope.value for scope in key.scopes)),
        "models": key.models,
        "rates": tuple(f"{rate.requests} in {rate.window_seconds} s" for rate in key.rates),
        "expires_at": maybe_iso(key.expires_at),
        "revoked": key.revoked_at is not None,
    }


def budget_facts(budget: Budget) -> Facts:
    """Return the limits of a budget, and those to which they are raised."""
    raised = {} if budget.raised is None else _limits(budget.raised)
    return {
        **_limits(budget.limits),
        **{f"raised.{name}": value for name, value in raised.items()},
        "raised_until": maybe_iso(budget.raised_until),
    }


def _limits(limits: BudgetLimits) -> dict[str, Value]:
    unknown = limits.unknown_price
    named: dict[str, Value] = {
        "jobs_in_flight": limits.jobs_in_flight,
        "jobs_per_day": limits.jobs_per_day,
        **{f"money_per_day.{unit}": whole(amount) for unit, amount in limits.money_per_day.items()},
        **{
            f"money_per_month.{unit}": whole(amount)
            for unit, amount in limits.money_per_month.items()
        },
    }
    if unknown is not None:
        named[f"unknown_price.{unknown.unit}"] = whole(unknown.amount)
    return {name: value for name, value in named.items() if value is not None}


def _url(url: str) -> Hidden:
    return Hidden(url, shown_url(url))


def _secret(secret: str | None) -> dict[str, Hidden]:
    return {} if secret is None else {"secret": Hidden(secret)}
