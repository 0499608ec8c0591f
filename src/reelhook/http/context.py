"""What every route is given: the service and the options of its application."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from reelhook.service import Service

if TYPE_CHECKING:
    from reelhook.http.app import HttpOptions


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def options_of(request: Request) -> "HttpOptions":
    """Return the options of the request's application."""
    options: HttpOptions = request.app.state.options
    return options


ServiceOf = Annotated[Service, Depends(_service)]
