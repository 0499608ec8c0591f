"""projects: projects, their keys, budgets and audit trail; labels, priority and estimate of jobs

Processes of the previous version must not run at the same time: they would create jobs that no
budget has counted, and show one project's jobs to another.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from reelhook.storage.operations.secrets_at_rest import decrypt_all
from reelhook.storage.schema.migrations.dialects import Counter, where
from reelhook.storage.schema.migrations.ending import end_jobs
from reelhook.storage.schema.migrations.operations import at_rest, run

revision = "0015"
down_revision = "0014"
previous_may_run = False
"""True if processes of the previous version may run while this revision is applied, and later."""
_OTHERS = "project <> 'default'"
LOSSES = {
    "projects": "SELECT count(*) FROM projects WHERE id <> 'default'",
    "keys": "SELECT count(*) FROM api_keys",
    "budgets": "SELECT count(*) FROM budgets",
    "labels": "SELECT count(*) FROM jobs WHERE external_id IS NOT NULL OR metadata IS NOT NULL",
    "broadcasts": f"SELECT count(*) FROM endpoints WHERE {_OTHERS} AND broadcast",
    "audit": "SELECT count(*) FROM audit",
}
"""Queries for the numbers of things that the downgrade drops. `labels` counts the jobs with any."""
UNFINISHED = f"""
SELECT j.id, coalesce(p.name, j.project), j.account, j.provider_job_id, j.status
FROM jobs j LEFT JOIN projects p ON p.id = j.project
WHERE j.{_OTHERS} AND j.status NOT IN ('completed', 'failed', 'canceled')
ORDER BY j.created_at, j.id
"""
"""The unfinished jobs of other projects. The downgrade ends those that wait (`accepted`)."""
_NO_BROADCAST = f"UPDATE endpoints SET broadcast = FALSE WHERE {_OTHERS}"


_ONLY_EVENTS_OF_JOBS = """
UPDATE endpoints SET events = replace(replace(events, 'budget.reached', ''), 'budget.warning', '')
"""


def _project() -> sa.Column[Any]:
    return sa.Column("project", sa.Text, nullable=False, server_default="default")


def _job_columns() -> list[sa.Column[Any]]:
    return [
        _project(),
        sa.Column("key_id", sa.Text),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("external_id", sa.Text),
        sa.Column("metadata", sa.Text),
        sa.Column("estimated_amount", sa.Double),
        sa.Column("estimated_unit", sa.Text),
    ]


def upgrade() -> None:
    """Add the tables, and the columns of jobs, events and endpoints. What exists is `default`'s."""
    _create_projects()
    _create_keys()
    _create_budgets()
    _create_audit()
    _create_processes()
    for column in _job_columns():
        op.add_column("jobs", column)
    op.create_index("jobs_by_project", "jobs", ["project", "created_at", "id"])
    op.create_index("jobs_by_project_status", "jobs", ["project", "status", "created_at", "id"])
    _create_filters()
    _create_turns()
    op.add_column("events", _project())
    op.create_index("events_by_project", "events", ["project", "position"])
    op.add_column("endpoints", _project())
    op.create_index("endpoints_by_project", "endpoints", ["project", "created_at", "id"])
    op.add_column("resends", sa.Column("project", sa.Text))


def _create_filters() -> None:
    """Add the indexes by which jobs are found, newest first.

    The project is their last column: it is compared in the index, and without it, as the operator
    lists jobs, the order is still that of the list. Rows of `job_metadata` repeat `jobs.metadata`.
    """
    by_age = ["created_at", "id", "project"]
    op.create_index("jobs_by_model", "jobs", ["model", *by_age])
    op.create_index("jobs_by_code", "jobs", ["code", *by_age], **where("code IS NOT NULL"))
    op.create_index(
        "jobs_by_external_id",
        "jobs",
        ["external_id", *by_age],
        **where("external_id IS NOT NULL"),
    )
    op.create_table(
        "job_metadata",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, primary_key=True),
        sa.Column(
            "job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("project", sa.Text, primary_key=True),
    )
    op.create_index("job_metadata_by_job", "job_metadata", ["job_id"])


def _create_turns() -> None:
    """Add the index of waiting jobs, in the order of their project, and the projects' turns.

    `turn` is the place in an account's order at which a project's last job was taken. The index
    that had jobs being submitted as well now has only those, so that a create costs no more.
    """
    op.drop_index("jobs_unsubmitted", "jobs")
    op.create_index(
        "jobs_submitting",
        "jobs",
        ["account", "created_at"],
        **where("status = 'submitting'"),
    )
    op.create_index(
        "jobs_waiting",
        "jobs",
        ["account", "project", sa.text("priority DESC"), "created_at", "id", "submit_due_at"],
        **where("status = 'accepted'"),
    )
    op.create_table(
        "turns",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("turn", sa.BigInteger, nullable=False),
    )


def _create_projects() -> None:
    """Add the table. `default` exists without a row, until something of it is set."""
    op.create_table(
        "projects",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("delete_data", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("secret", sa.Text),
        sa.Column("previous_secret", sa.Text),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("webhook_url", sa.Text),
        sa.Column("models", sa.Text),
        sa.Column("weight", sa.Integer, nullable=False, server_default="1"),
        sa.Column("priority_max", sa.Integer, nullable=False, server_default="1"),
        sa.Column("data_deleted_at", sa.BigInteger),
    )
    # The costs of jobs that were removed with their project. A job without a unit has the unit "".
    op.create_table(
        "closed_costs",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sa.Column("completed", sa.BigInteger, nullable=False),
        sa.Column("quoted", sa.Double),
        sa.Column("charged", sa.Double),
        sa.Column("estimated", sa.Double),
    )


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("previous_hash", sa.Text, unique=True),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("models", sa.Text),
        sa.Column("rates", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
    )
    op.create_index("api_keys_by_project", "api_keys", ["project", "created_at", "id"])


def _create_budgets() -> None:
    """Add the limits, the sums that they limit, and the reservations of unfinished jobs.

    `owner` is `project:ID` or `key:ID`. Amounts are millionths of `unit`, or numbers of jobs.
    `warned_at` and `reached_at` are the times of the events that report a sum.
    """
    op.create_table(
        "budgets",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("raised", sa.Text),
        sa.Column("raised_until", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "spending",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("period", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("spent", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("warned_at", sa.BigInteger),
        sa.Column("reached_at", sa.BigInteger),
    )
    op.create_table(
        "reservations",
        sa.Column(
            "job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("amount", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("in_flight", sa.Boolean, nullable=False, server_default=sa.true()),
    )
    _create_notices()


def _create_notices() -> None:
    """Add the events of no job. Each has a delivery of its own at each endpoint."""
    op.create_table(
        "notices",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "endpoint_id",
            sa.Text,
            sa.ForeignKey("endpoints.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("notices_due", "notices", ["due_at"], **where("due_at IS NOT NULL"))


def _create_processes() -> None:
    """Add the processes that have the database open, and the oldest schema that they may have."""
    op.create_table(
        "processes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seen_until", sa.BigInteger, nullable=False),
    )
    op.add_column("alembic_version", sa.Column("oldest", sa.Text))


def _create_audit() -> None:
    """Add the trail. `project` NULL: the change concerns the whole installation."""
    op.create_table(
        "audit",
        sa.Column("id", Counter, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("key_name", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
    )
    op.create_index("audit_by_project", "audit", ["project", "id"])


def downgrade() -> None:
    """Remove them. Jobs and endpoints of all projects stay, as those of the one installation.

    But an endpoint that got every job of another project must not get those of all.
    Earlier versions encrypt nothing, so secrets are decrypted first.
    """
    run(decrypt_all(at_rest()))
    end_jobs(
        f"status = 'accepted' AND {_OTHERS}",
        code="rolled_back",
        error="The database was rolled back to a version without projects; "
        "nothing was created, ask for it again",
        next_at=True,
    )
    op.execute(_NO_BROADCAST)
    op.execute(
        "UPDATE resends SET finished_at = until WHERE project IS NOT NULL AND finished_at IS NULL"
    )
    op.drop_column("resends", "project")
    op.drop_column("alembic_version", "oldest")
    op.drop_table("processes")
    op.drop_index("endpoints_by_project", "endpoints")
    op.drop_column("endpoints", "project")
    op.drop_index("events_by_project", "events")
    op.drop_column("events", "project")
    for table in ("turns", "job_metadata"):
        op.drop_table(table)
    op.create_index(
        "jobs_unsubmitted",
        "jobs",
        ["account", "created_at"],
        **where("status IN ('accepted', 'submitting')"),
    )
    for index in (
        "jobs_submitting",
        *("jobs_waiting", "jobs_by_external_id", "jobs_by_code", "jobs_by_model"),
        *("jobs_by_project_status", "jobs_by_project"),
    ):
        op.drop_index(index, "jobs")
    for column in reversed(_job_columns()):
        op.drop_column("jobs", column.name)
    op.execute(_ONLY_EVENTS_OF_JOBS)
    for table in (
        *("notices", "audit", "reservations", "spending", "budgets", "api_keys"),
        *("closed_costs", "projects"),
    ):
        op.drop_table(table)
