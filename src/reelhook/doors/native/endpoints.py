"""Endpoints: register, list, change, rotate, test, remove."""

from fastapi import APIRouter, Request, Response

from reelhook.doors.context import EndpointsOf, options_of
from reelhook.doors.native.endpoint_schemas import (
    EndpointChangeBody,
    EndpointResponse,
    EndpointsResponse,
    NewEndpointBody,
    RotateBody,
    SecretResponse,
    TestResponse,
    endpoint_answer,
    secret_answer,
    test_answer,
)

router = APIRouter(prefix="/api/endpoints", tags=["endpoints"])


async def _checked(request: Request, url: str) -> bool:
    """Judge a URL; return whether the operator named it, so that it is trusted."""
    options = options_of(request)
    trusted = options.access.is_operator(request, await request.body(), options.clock.now())
    await options.check_url(url, field="url", trusted=trusted)
    return trusted


@router.post("", status_code=201, summary="Register an endpoint")
async def register(
    request: Request, endpoints: EndpointsOf, body: NewEndpointBody
) -> SecretResponse:
    """Register where events go. The answer shows its secret: the only time but for a rotation."""
    trusted = await _checked(request, body.url)
    endpoint = await endpoints.register(
        body.url, body.fields(), secret=body.secret, trusted=trusted
    )
    return secret_answer(endpoint)


@router.get("", summary="List endpoints")
async def list_endpoints(endpoints: EndpointsOf, failing: bool = False) -> EndpointsResponse:
    """Return registered endpoints and the default one. With `failing`, all that are held back,
    URLs that jobs brought along too.
    """
    found = await (endpoints.held_back() if failing else endpoints.all())
    return EndpointsResponse(endpoints=[endpoint_answer(one) for one in found])


@router.get("/{endpoint_id}", summary="Read an endpoint")
async def read(endpoint_id: str, endpoints: EndpointsOf) -> EndpointResponse:
    """Return an endpoint as it stands, with its health."""
    return endpoint_answer(await endpoints.one(endpoint_id))


@router.patch("/{endpoint_id}", summary="Change an endpoint")
async def change(
    endpoint_id: str, request: Request, endpoints: EndpointsOf, body: EndpointChangeBody
) -> EndpointResponse:
    """Change what is given. `enabled: true` sends again what was held back."""
    await endpoints.one(endpoint_id)
    fields, trusted = body.fields(), False
    if body.url is not None:
        trusted = await _checked(request, body.url)
        fields["url"] = body.url
    changed = await endpoints.change(endpoint_id, fields, enabled=body.enabled, trusted=trusted)
    return endpoint_answer(changed)


@router.delete("/{endpoint_id}", status_code=204, summary="Remove an endpoint")
async def remove(endpoint_id: str, endpoints: EndpointsOf) -> Response:
    """Remove an endpoint with all that waits for it. What was sent stays on record."""
    await endpoints.remove(endpoint_id)
    return Response(status_code=204)


@router.post("/{endpoint_id}/rotate", summary="Rotate an endpoint's secret")
async def rotate(
    endpoint_id: str, endpoints: EndpointsOf, body: RotateBody | None = None
) -> SecretResponse:
    """Sign with a new secret. For a while `webhook-signature` carries the old one's signature too,
    and `X-Signature`, a single value, stays on the old one.
    """
    body = body or RotateBody()
    return secret_answer(await endpoints.rotate(endpoint_id, body.secret, body.overlap_hours))


@router.post("/{endpoint_id}/test", summary="Send a test event")
async def send_test(endpoint_id: str, endpoints: EndpointsOf) -> TestResponse:
    """Send a signed test event now, once, and return how the receiver answered."""
    return test_answer(await endpoints.test(endpoint_id))
