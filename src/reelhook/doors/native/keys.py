"""Keys of projects: create, list, read, rotate, revoke; and browser tokens."""

from fastapi import APIRouter

from reelhook.domain.browser_token import LIFETIME_SECONDS_MAX, BrowserToken
from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import iso
from reelhook.doors.context import ContextOf
from reelhook.doors.native.key_schemas import (
    KeyResponse,
    KeysResponse,
    NewKeyBody,
    RotateKeyBody,
    SecretKeyResponse,
    TokenBody,
    TokenResponse,
    key_response,
    seconds_of,
    secret_key_response,
)
from reelhook.doors.policy import KeyRoute, needs

router = APIRouter(prefix="/api/keys", tags=["keys"], route_class=KeyRoute)
token_router = APIRouter(prefix="/api/jobs", tags=["keys"], route_class=KeyRoute)


@router.post("", status_code=201, summary="Create a key")
@needs(Scope.ADMIN)
async def create(context: ContextOf, body: NewKeyBody) -> SecretKeyResponse:
    """Create a key of a project. Its text, `key`, is shown only now. No key creates one with more
    scopes, a later expiry, more models or weaker rates than its own.
    """
    context = await context.within(body.project)
    key, token = await context.gateway.keys.create(
        context.caller,
        body.name,
        body.scopes,
        lifetime_seconds=None if body.expires is None else seconds_of(body.expires),
        models=body.models,
        rates=body.rates.limits() if body.rates is not None else (),
    )
    context.options.access.key_made.known = True
    return secret_key_response(key, token)


@router.get("", summary="List keys")
@needs(Scope.ADMIN)
async def list_keys(context: ContextOf) -> KeysResponse:
    """Return the keys, oldest first, including those that have ended."""
    keys = await context.gateway.keys.all(context.caller)
    return KeysResponse(keys=[key_response(key) for key in keys])


@router.get("/{key_id}", summary="Read a key")
@needs(Scope.ADMIN)
async def read(key_id: str, context: ContextOf) -> KeyResponse:
    """Return one key, without its text."""
    return key_response(await context.gateway.keys.one(context.caller, key_id))


@router.post("/{key_id}/revoke", summary="Revoke a key")
@needs(Scope.ADMIN)
async def revoke(key_id: str, context: ContextOf) -> KeyResponse:
    """End a key and its browser tokens, in every process within a second."""
    return key_response(await context.gateway.keys.revoke(context.caller, key_id))


@router.post("/{key_id}/rotate", summary="Rotate a key")
@needs(Scope.ADMIN)
async def rotate(
    key_id: str, context: ContextOf, body: RotateKeyBody | None = None
) -> SecretKeyResponse:
    """Give a key a new text. The present one is accepted for the overlap; id and budgets stay."""
    overlap = (body or RotateKeyBody()).overlap
    key, token = await context.gateway.keys.rotate(context.caller, key_id, seconds_of(overlap))
    return secret_key_response(key, token)


@token_router.post("/{job_id}/token", status_code=201, summary="Make a browser token")
@needs(Scope.READ)
async def make_token(
    job_id: str, context: ContextOf, body: TokenBody | None = None
) -> TokenResponse:
    """Make a token that reads the status, the events and the video of this job, and nothing else.
    Send it as a Bearer, or as `?token=` where a browser can send no header.
    """
    seconds = seconds_of((body or TokenBody()).expires)
    if seconds > LIFETIME_SECONDS_MAX:
        raise InvalidRequestError("expires", "expires must be at most 24h")
    job = (await context.gateway.jobs.job(context.caller, job_id)).job
    expires_at = context.options.clock.now() + seconds * 1000
    if context.caller.expires_at is not None:
        expires_at = min(expires_at, context.caller.expires_at)
    token = BrowserToken(job.id, job.project, context.caller.key_id, expires_at)
    return TokenResponse(
        token=context.options.access.browser_token(token), expires_at=iso(expires_at)
    )
