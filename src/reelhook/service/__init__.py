"""The use cases: what clients, the command line and embedding programs can ask for."""

from dataclasses import dataclass

from reelhook.service.deliveries import Deliveries
from reelhook.service.endpoints import EndpointFields, Endpoints
from reelhook.service.jobs import Service, ServiceOptions

__all__ = ["Deliveries", "EndpointFields", "Endpoints", "Service", "ServiceOptions", "UseCases"]


@dataclass(frozen=True, slots=True)
class UseCases:
    """All of them."""

    jobs: Service
    endpoints: Endpoints
    deliveries: Deliveries
