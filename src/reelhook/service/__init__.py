"""The use cases: what clients, the command line and embedding programs can ask for."""

from dataclasses import dataclass

from reelhook.domain.catalog import Catalog
from reelhook.service.deliveries import Deliveries
from reelhook.service.endpoints import EndpointFields, Endpoints
from reelhook.service.in_doubt import InDoubtSubmissions
from reelhook.service.jobs import Jobs, ServiceOptions
from reelhook.service.operations import Operations
from reelhook.service.provider_servers import ProviderServer, ProviderServers
from reelhook.service.provider_webhooks import ProviderWebhooks
from reelhook.service.waiting import WaitingReasons

__all__ = [
    "Deliveries",
    "EndpointFields",
    "Endpoints",
    "InDoubtSubmissions",
    "Jobs",
    "Operations",
    "ProviderServer",
    "ProviderServers",
    "ProviderWebhooks",
    "ServiceOptions",
    "UseCases",
    "WaitingReasons",
]


@dataclass(frozen=True, slots=True)
class UseCases:
    """All of them."""

    jobs: Jobs
    endpoints: Endpoints
    deliveries: Deliveries
    in_doubt: InDoubtSubmissions
    provider_webhooks: ProviderWebhooks
    operations: Operations
    catalog: Catalog
    waits: WaitingReasons
    servers: ProviderServers
