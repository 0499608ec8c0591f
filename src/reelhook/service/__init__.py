"""The use cases: what clients, the command line and embedding programs can ask for."""

from dataclasses import dataclass

from reelhook.domain.catalog import Catalog
from reelhook.service.deliveries import Deliveries
from reelhook.service.endpoints import EndpointFields, Endpoints
from reelhook.service.in_doubt import Doubts
from reelhook.service.jobs import Service, ServiceOptions
from reelhook.service.operations import Operations
from reelhook.service.provider_servers import Server, Servers
from reelhook.service.provider_webhooks import Notices
from reelhook.service.waiting import Waits

__all__ = [
    "Deliveries",
    "Doubts",
    "EndpointFields",
    "Endpoints",
    "Notices",
    "Operations",
    "Server",
    "Servers",
    "Service",
    "ServiceOptions",
    "UseCases",
    "Waits",
]


@dataclass(frozen=True, slots=True)
class UseCases:
    """All of them."""

    jobs: Service
    endpoints: Endpoints
    deliveries: Deliveries
    doubts: Doubts
    notices: Notices
    operations: Operations
    catalog: Catalog
    waits: Waits
    servers: Servers
