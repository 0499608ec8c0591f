"""The public keys of the webhooks' v1a signatures, for any receiver to fetch."""

from fastapi import APIRouter, Request, Response

from reelhook.domain.signing_keys import jwk_set
from reelhook.doors.access import JWKS_PATH
from reelhook.doors.context import options_of

CACHE_SECONDS = 300
router = APIRouter(tags=["operations"])


@router.get(JWKS_PATH, summary="The public keys that webhooks are signed with")
async def jwks(request: Request, response: Response) -> dict[str, list[dict[str, str]]]:
    """Return a JWK Set (RFC 7517), without keys where `REELHOOK_WEBHOOK_PRIVATE_KEY` is not set."""
    response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return jwk_set(options_of(request).public_keys)
