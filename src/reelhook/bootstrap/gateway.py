"""Builds the gateway: every use case, from the parts of the program."""

from reelhook.bootstrap.components import Components
from reelhook.gateway import CauseSettings, Gateway
from reelhook.service.activity import Activity
from reelhook.service.attention import Attention
from reelhook.service.audit import Audit
from reelhook.service.authentication import Authentication
from reelhook.service.budgets import Budgets
from reelhook.service.cause_facts import CauseFacts
from reelhook.service.client_calls import ClientCalls
from reelhook.service.content import Contents
from reelhook.service.deliveries import Deliveries
from reelhook.service.destinations import Destinations
from reelhook.service.endpoints import Endpoints
from reelhook.service.feed import Feed
from reelhook.service.followers import Followers
from reelhook.service.in_doubt import InDoubtSubmissions
from reelhook.service.jobs import Jobs
from reelhook.service.keys import Keys
from reelhook.service.models import Models
from reelhook.service.new_jobs import NewJobs
from reelhook.service.operations import Operations
from reelhook.service.projects import Projects
from reelhook.service.provider_files import ProviderFiles
from reelhook.service.provider_webhooks import ProviderWebhooks
from reelhook.service.pruning import Pruning
from reelhook.service.remixes import Remixes
from reelhook.service.request_files import RequestFiles
from reelhook.service.secrets_at_rest import SecretsAtRest
from reelhook.service.uploads import Uploads
from reelhook.service.waiting import WaitingReasons

CANCEL_MARGIN_SECONDS = 5.0
"""A cancel waits for a create in flight, and this much longer than the create may take."""


def build_gateway(parts: Components, process: str | None = None) -> Gateway:
    """Return the gateway that doors and embedding programs call.

    `process` names this process, if others use the database too.
    """
    settings, store, signals = parts.settings, parts.store, parts.signals
    clock, random = parts.clock, parts.random
    providers, catalog = parts.accounts.providers, parts.accounts.catalog
    overlap_hours = settings.secret_overlap_hours
    followers = Followers(store, signals, clock=clock)
    authentication = Authentication(store, clock=clock)
    client_calls = ClientCalls(store, process, clock=clock, random=random)
    uploads = Uploads(store, bytes_max=settings.uploads_max_gib * 1024**3, clock=clock)
    jobs = Jobs(
        store,
        providers,
        parts.recording,
        signals,
        followers,
        submit_wait_seconds=settings.submit_timeout_seconds + CANCEL_MARGIN_SECONDS,
        clock=clock,
    )
    operations = Operations(
        store, catalog, signals, poll_seconds=settings.poll_seconds, clock=clock
    )
    in_doubt = InDoubtSubmissions(
        store, providers, signals, emit=parts.emit, clock=clock, random=random
    )
    return Gateway(
        new_jobs=_new_jobs(parts, client_calls, uploads),
        jobs=jobs,
        client_calls=client_calls,
        remixes=Remixes(store),
        waiting=WaitingReasons(store, clock),
        activity=Activity(store, operations.costs, clock),
        attention=Attention(store, CauseFacts(store, catalog, _causes(parts), clock), clock),
        content=Contents(store, providers, parts.objects, redirects=settings.archive_redirect),
        feed=Feed(store, signals, followers),
        in_doubt=in_doubt,
        endpoints=Endpoints(
            store,
            parts.sender,
            parts.signing,
            parts.formats,
            signals,
            overlap_hours=overlap_hours,
            clock=clock,
            random=random,
        ),
        deliveries=Deliveries(store, signals, parts.signing, clock=clock, random=random),
        operations=operations,
        audit=Audit(store),
        models=Models(providers, catalog),
        keys=Keys(store, authentication, catalog, clock=clock, random=random),
        authentication=authentication,
        budgets=Budgets(store, catalog, bill=parts.billing.bill, clock=clock),
        projects=Projects(store, signals, overlap_hours=overlap_hours, clock=clock, random=random),
        provider_webhooks=ProviderWebhooks(
            store, providers, catalog, parts.callbacks, jobs, in_doubt, parts.recording, clock=clock
        ),
        secrets_at_rest=SecretsAtRest(store),
        uploads=uploads,
        provider_files=ProviderFiles(store, parts.file_addresses, clock=clock),
        pruning=Pruning(store, settings.archive_limits, signals, clock=clock),
    )


def _new_jobs(parts: Components, client_calls: ClientCalls, uploads: Uploads) -> NewJobs:
    served = parts.file_addresses.public_url is not None
    has_default_endpoint = parts.settings.webhook_url is not None
    return NewJobs(
        parts.store,
        parts.accounts.providers,
        parts.accounts.catalog,
        parts.recording,
        parts.signals,
        client_calls,
        files=RequestFiles(parts.store, uploads, parts.accounts.providers, served=served),
        fetches_media=parts.fetch is not None,
        destinations=Destinations(parts.formats, has_default_endpoint=has_default_endpoint),
        clock=parts.clock,
        random=parts.random,
    )


def _causes(parts: Components) -> CauseSettings:
    settings = parts.settings
    return CauseSettings(
        poll_seconds=settings.poll_seconds,
        hours_max=settings.max_age_hours,
        settle_seconds=settings.submit_settle_seconds,
        attempts_max=len(settings.retry_schedule.waits_seconds) + 1,
        archiving=parts.objects is not None,
    )
