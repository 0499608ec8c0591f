"""The gateway: one face of all use cases, for every door.

Doors import only from here and from the domain, so the types that use cases take and return are
exported here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from reelhook.core.billing import Billing
from reelhook.core.facts import Emit
from reelhook.core.followers import Follower
from reelhook.core.payloads import Formats
from reelhook.core.recording import Recording
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.callback import CallbackAddresses
from reelhook.domain.catalog import Catalog
from reelhook.domain.file_address import FileAddresses
from reelhook.domain.keeping import FileLimits
from reelhook.ports import (
    ALL_JOBS,
    SOLE_HOLDER,
    ActivityStore,
    ApiKeyStore,
    ArchivedFileReads,
    AttemptTally,
    AttentionStore,
    AuditFilter,
    AuditStore,
    BudgetStore,
    CallbackStore,
    ClientCallStore,
    Clock,
    Content,
    CostLine,
    Created,
    DeliveryFilter,
    DeliveryLogStore,
    DeliveryPage,
    EndpointStore,
    EventPage,
    IdempotencyKey,
    InDoubtStore,
    JobFilter,
    JobPage,
    JobStore,
    JobTally,
    KeepingStore,
    Lag,
    LatestEvent,
    ListedJob,
    Objects,
    OperationsStore,
    ProjectStore,
    Provider,
    ReencryptedBatch,
    RefusedJob,
    RenderTime,
    Resend,
    SecretsStore,
    Sender,
    StoredDelivery,
    StoredEvent,
    StoredJob,
    Undecryptable,
    Undelivered,
    UploadStore,
)
from reelhook.service.activity import Activity, InWork, LastDay, Percentiles, percentiles
from reelhook.service.attention import Attention
from reelhook.service.audit import Audit
from reelhook.service.authentication import Authentication, AuthenticationStore
from reelhook.service.budgets import Budgets, BudgetStatus
from reelhook.service.cause_facts import CauseFacts, CauseSettings
from reelhook.service.client_calls import ClientCalls
from reelhook.service.content import Contents
from reelhook.service.credentials import Lifetime, RequestCredential
from reelhook.service.deliveries import Deliveries
from reelhook.service.destinations import Destinations
from reelhook.service.endpoints import EndpointFields, Endpoints
from reelhook.service.feed import Feed, FeedReads
from reelhook.service.finished_file import FinishedFile
from reelhook.service.followers import Followers
from reelhook.service.in_doubt import InDoubtSubmissions
from reelhook.service.jobs import Jobs
from reelhook.service.keys import Keys
from reelhook.service.models import ModelEstimate, Models, ProviderServer
from reelhook.service.new_jobs import NewJobs
from reelhook.service.operations import AccountStats, Operations, Stats, WatcherStats
from reelhook.service.projects import ProjectFields, Projects
from reelhook.service.provider_files import ProviderFiles
from reelhook.service.provider_webhooks import ProviderWebhooks
from reelhook.service.pruning import Pruning
from reelhook.service.reading_back import read_back
from reelhook.service.remixes import Remixes
from reelhook.service.request_files import RequestFiles
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
    "build_gateway",
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


class GatewayStore(
    JobStore,
    ClientCallStore,
    InDoubtStore,
    CallbackStore,
    EndpointStore,
    DeliveryLogStore,
    OperationsStore,
    ActivityStore,
    ProjectStore,
    SecretsStore,
    FeedReads,
    ApiKeyStore,
    AuthenticationStore,
    AuditStore,
    BudgetStore,
    AttentionStore,
    ArchivedFileReads,
    UploadStore,
    KeepingStore,
    Protocol,
):
    """The store, as far as the use cases need it."""


def build_gateway(
    *,
    store: GatewayStore,
    providers: Mapping[str, Provider],
    catalog: Catalog,
    callbacks: CallbackAddresses,
    file_addresses: FileAddresses,
    sender: Sender,
    signing: Signing,
    formats: Formats,
    recording: Recording,
    fetches_media: bool,
    uploads_bytes_max: int,
    billing: Billing,
    signals: Signals,
    emit: Emit,
    has_default_endpoint: bool,
    submit_wait_seconds: float,
    overlap_hours: float,
    causes: CauseSettings,
    archive_limits: FileLimits,
    clock: Clock,
    random: Random,
    process: str | None = None,
    objects: Objects | None = None,
    redirects_to_objects: bool = False,
) -> Gateway:
    """Build the use cases. `process` names this process, if others use the database too.

    `fetches_media`: files at addresses that requests name are fetched by us. The uploads of one
    project have `uploads_bytes_max` together.

    `objects` is the archive, if there is one; `redirects_to_objects`: clients may be sent there.

    `submit_wait_seconds` limits a cancel's wait for a create in flight. After a rotation, an
    endpoint's previous secret also signs for `overlap_hours`.
    """
    followers = Followers(store, signals, clock=clock)
    authentication = Authentication(store, clock=clock)
    uploads = Uploads(store, bytes_max=uploads_bytes_max, clock=clock)
    client_calls = ClientCalls(store, process, clock=clock, random=random)
    jobs = Jobs(
        store,
        providers,
        recording,
        signals,
        followers,
        submit_wait_seconds=submit_wait_seconds,
        clock=clock,
    )
    operations = Operations(store, catalog, signals, poll_seconds=causes.poll_seconds, clock=clock)
    in_doubt = InDoubtSubmissions(store, providers, signals, emit=emit, clock=clock, random=random)
    return Gateway(
        new_jobs=NewJobs(
            store,
            providers,
            catalog,
            recording,
            signals,
            client_calls,
            files=RequestFiles(
                store, uploads, providers, served=file_addresses.public_url is not None
            ),
            fetches_media=fetches_media,
            destinations=Destinations(formats, has_default_endpoint=has_default_endpoint),
            clock=clock,
            random=random,
        ),
        jobs=jobs,
        client_calls=client_calls,
        remixes=Remixes(store),
        waiting=WaitingReasons(store, clock),
        activity=Activity(store, operations.costs, clock),
        attention=Attention(store, CauseFacts(store, catalog, causes, clock), clock),
        content=Contents(store, providers, objects, redirects=redirects_to_objects),
        feed=Feed(store, signals, followers),
        in_doubt=in_doubt,
        endpoints=Endpoints(
            store,
            sender,
            signing,
            formats,
            signals,
            overlap_hours=overlap_hours,
            clock=clock,
            random=random,
        ),
        deliveries=Deliveries(store, signals, signing, clock=clock, random=random),
        operations=operations,
        audit=Audit(store),
        models=Models(providers, catalog),
        keys=Keys(store, authentication, catalog, clock=clock, random=random),
        authentication=authentication,
        budgets=Budgets(store, catalog, bill=billing.bill, clock=clock),
        projects=Projects(store, signals, overlap_hours=overlap_hours, clock=clock, random=random),
        provider_webhooks=ProviderWebhooks(
            store, providers, catalog, callbacks, jobs, in_doubt, recording, clock=clock
        ),
        secrets_at_rest=SecretsAtRest(store),
        uploads=uploads,
        provider_files=ProviderFiles(store, file_addresses, clock=clock),
        pruning=Pruning(store, archive_limits, signals, clock=clock),
    )
