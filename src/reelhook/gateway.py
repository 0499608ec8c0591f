"""The gateway: one face of all use cases, for every door.

Doors import only from here and from the domain, so the types that use cases take and return are
exported here too. `bootstrap/gateway.py` builds it.
"""

from dataclasses import dataclass

from reelhook.core.followers import Follower
from reelhook.ports import (
    ALL_JOBS,
    SOLE_HOLDER,
    AttemptTally,
    AuditFilter,
    Clock,
    Content,
    CostLine,
    Created,
    DeliveryFilter,
    DeliveryPage,
    EventPage,
    IdempotencyKey,
    JobFilter,
    JobPage,
    JobTally,
    Lag,
    LatestEvent,
    ListedJob,
    ReencryptedBatch,
    RefusedJob,
    RenderTime,
    Resend,
    StoredDelivery,
    StoredEvent,
    StoredJob,
    Undecryptable,
    Undelivered,
)
from reelhook.service.activity import (
    Activity,
    InWork,
    LastDay,
    Percentiles,
    percentiles,
)
from reelhook.service.attention import Attention
from reelhook.service.audit import Audit
from reelhook.service.authentication import Authentication
from reelhook.service.budgets import Budgets, BudgetStatus
from reelhook.service.cause_facts import CauseSettings
from reelhook.service.client_calls import ClientCalls
from reelhook.service.content import Contents
from reelhook.service.credentials import Lifetime, RequestCredential
from reelhook.service.deliveries import Deliveries
from reelhook.service.endpoints import EndpointFields, Endpoints
from reelhook.service.feed import Feed
from reelhook.service.finished_file import FinishedFile
from reelhook.service.in_doubt import InDoubtSubmissions
from reelhook.service.jobs import Jobs
from reelhook.service.keys import Keys
from reelhook.service.models import ModelEstimate, Models, ProviderServer
from reelhook.service.new_jobs import NewJobs
from reelhook.service.operations import (
    AccountStats,
    Operations,
    Stats,
    WatcherStats,
)
from reelhook.service.projects import ProjectFields, Projects
from reelhook.service.provider_files import ProviderFiles
from reelhook.service.provider_webhooks import ProviderWebhooks
from reelhook.service.pruning import Pruning
from reelhook.service.reading_back import read_back
from reelhook.service.remixes import Remixes
from reelhook.service.secrets_at_rest import SecretsAtRest
from reelhook.service.uploads import Uploads
from reelhook.service.waiting import WaitingReasons

__all__ = [
    "ALL_JOBS",
    "SOLE_HOLDER",
    "AccountStats",
    "Activity",
    "AttemptTally",
    "AuditFilter",
    "Authentication",
    "BudgetStatus",
    "CauseSettings",
    "Clock",
    "Content",
    "CostLine",
    "Created",
    "DeliveryFilter",
    "DeliveryPage",
    "EndpointFields",
    "EventPage",
    "FinishedFile",
    "Follower",
    "Gateway",
    "IdempotencyKey",
    "InWork",
    "JobFilter",
    "JobPage",
    "JobTally",
    "Lag",
    "LastDay",
    "LatestEvent",
    "Lifetime",
    "ListedJob",
    "ModelEstimate",
    "Percentiles",
    "ProjectFields",
    "ProviderServer",
    "ReencryptedBatch",
    "RefusedJob",
    "RenderTime",
    "RequestCredential",
    "Resend",
    "Stats",
    "StoredDelivery",
    "StoredEvent",
    "StoredJob",
    "Undecryptable",
    "Undelivered",
    "WatcherStats",
    "percentiles",
    "read_back",
]


@dataclass(frozen=True, slots=True)
class Gateway:
    """All use cases. The caller is the first argument of each."""

    new_jobs: NewJobs
    jobs: Jobs
    client_calls: ClientCalls
    remixes: Remixes
    waiting: WaitingReasons
    activity: Activity
    attention: Attention
    content: Contents
    feed: Feed
    in_doubt: InDoubtSubmissions
    endpoints: Endpoints
    deliveries: Deliveries
    operations: Operations
    audit: Audit
    models: Models
    keys: Keys
    authentication: Authentication
    projects: Projects
    budgets: Budgets
    provider_webhooks: ProviderWebhooks
    secrets_at_rest: SecretsAtRest
    uploads: Uploads
    provider_files: ProviderFiles
    pruning: Pruning
