"""Endpoints: register, list, change, rotate, test, remove."""

from fastapi import APIRouter, Response

from reelhook.domain.caller import Scope
from reelhook.doors.context import Context, ContextOf
from reelhook.doors.native.endpoint_schemas import (
    EndpointChangeBody,
    EndpointResponse,
    EndpointsResponse,
    NewEndpointBody,
    RotateBody,
    SecretResponse,
    TestResponse,
    endpoint_response,
    secret_response,
    test_response,
)
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(prefix="/api/endpoints", tags=["endpoints"], route_class=KeyRoute)


async def checked_url(context: Context, url: str, *, field: str = "url") -> bool:
    """Check a URL; return True if the operator chose it, so that it is trusted."""
    options, request = context.options, context.request
    trusted = await options.access.is_operator(request, request.body, options.clock.now())
    await options.check_url(url, field=field, trusted=trusted)
    return trusted


@router.post("", status_code=201, summary="Register an endpoint")
@needs(Scope.OPERATE)
async def register(context: ContextOf, body: NewEndpointBody) -> SecretResponse:
    """Register an endpoint. The response shows its secret; later only a rotation shows one."""
    context = await context.within(body.project)
    trusted = await checked_url(context, body.url)
    endpoint = await context.gateway.endpoints.register(
        context.caller, body.url, body.fields(), secret=body.secret, trusted=trusted
    )
    return secret_response(endpoint)


@router.get("", summary="List endpoints")
@needs(Scope.READ)
async def list_endpoints(context: ContextOf, failing: bool = False) -> EndpointsResponse:
    """Return registered endpoints and the default one. With `failing`, return all that are held
    back, including URLs of single jobs.
    """
    endpoints, caller = context.gateway.endpoints, context.caller
    listed = await (endpoints.held_back(caller) if failing else endpoints.all(caller))
    return EndpointsResponse(endpoints=[endpoint_response(endpoint) for endpoint in listed])


@router.get("/{endpoint_id}", summary="Read an endpoint")
@needs(Scope.READ)
async def read(endpoint_id: str, context: ContextOf) -> EndpointResponse:
    """Return an endpoint's present state, with its health."""
    return endpoint_response(await context.gateway.endpoints.one(context.caller, endpoint_id))


@router.patch("/{endpoint_id}", summary="Change an endpoint")
@needs(Scope.OPERATE)
async def change(
    endpoint_id: str, context: ContextOf, body: EndpointChangeBody
) -> EndpointResponse:
    """Change the given fields. `enabled: true` sends the events that were held back."""
    endpoints, caller = context.gateway.endpoints, context.caller
    await endpoints.one(caller, endpoint_id)
    fields, trusted = body.fields(), False
    if body.url is not None:
        trusted = await checked_url(context, body.url)
        fields["url"] = body.url
    changed = await endpoints.change(
        caller, endpoint_id, fields, enabled=body.enabled, trusted=trusted
    )
    return endpoint_response(changed)


@router.delete("/{endpoint_id}", status_code=204, summary="Remove an endpoint")
@needs(Scope.OPERATE)
async def remove(endpoint_id: str, context: ContextOf) -> Response:
    """Remove an endpoint and its waiting events. The record of past deliveries stays."""
    await context.gateway.endpoints.remove(context.caller, endpoint_id)
    return Response(status_code=204)


@router.post("/{endpoint_id}/rotate", summary="Rotate an endpoint's secret")
@needs(Scope.OPERATE)
async def rotate(
    endpoint_id: str, context: ContextOf, body: RotateBody | None = None
) -> SecretResponse:
    """Sign with a new secret. For a while `webhook-signature` also has the old one's signature,
    and `X-Signature`, a single value, stays on the old one.
    """
    body = body or RotateBody()
    endpoint = await context.gateway.endpoints.rotate(
        context.caller, endpoint_id, body.secret, body.overlap_hours
    )
    return secret_response(endpoint)


@router.post("/{endpoint_id}/test", summary="Send a test event")
@needs(Scope.OPERATE)
async def send_test(endpoint_id: str, context: ContextOf) -> TestResponse:
    """Send a signed test event now, once, and return the receiver's response."""
    return test_response(await context.gateway.endpoints.test(context.caller, endpoint_id))
