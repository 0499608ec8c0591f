"""The public keys of the webhooks' v1a signatures, for any receiver to fetch."""

from fastapi import APIRouter, Response

from reelhook.domain.signing_keys import jwk_set
from reelhook.doors.context import ContextOf
from reelhook.doors.policy import OpenRoute

CACHE_SECONDS = 300
router = APIRouter(tags=["operations"], route_class=OpenRoute)


@router.get(
    "/.well-known/webhooks/jwks.json", summary="The public keys that webhooks are signed with"
)
async def jwks(context: ContextOf, response: Response) -> dict[str, list[dict[str, str]]]:
    """Return a JWK Set (RFC 7517). Without `REELHOOK_WEBHOOK_PRIVATE_KEY` it has no keys."""
    response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return jwk_set(context.options.public_keys)
