"""Encryption of secrets at rest: encrypt all of them with the newest key."""

from fastapi import APIRouter
from pydantic import Field

from reelhook.domain.caller import Scope
from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Schema, Text
from reelhook.doors.policy import KeyRoute, needs
from reelhook.gateway import ReencryptedBatch

router = APIRouter(prefix="/api/encryption", tags=["operations"], route_class=KeyRoute)


class ReencryptBody(Schema):
    """The position of a batch."""

    cursor: Text | None = Field(None, description="nextCursor of the previous batch")


class UndecryptableResponse(Schema):
    """A record whose secrets the server can't decrypt. It was left as it is."""

    table: str
    id: str = Field(description="Its id; that of the job for `deliveries`")
    key_id: str = Field(description="The key that is missing in REELHOOK_ENCRYPTION_KEYS")


class ReencryptResponse(Schema):
    """The result of one batch."""

    key_id: str = Field(description="The newest key, which encrypts")
    records: int = Field(description="How many were read")
    changed: int = Field(description="How many of them were not encrypted with the newest key yet")
    undecryptable: list[UndecryptableResponse]
    total: int | None = Field(description="How many have secrets; only in the first batch")
    next_cursor: str | None = Field(description="null after the last batch")


@router.post("/reencrypt", summary="Encrypt secrets with the newest key")
@needs(Scope.OPERATOR)
async def reencrypt(context: ContextOf, body: ReencryptBody | None = None) -> ReencryptResponse:
    """Encrypt the secrets of the next records with the newest key of REELHOOK_ENCRYPTION_KEYS.

    Repeat it with `nextCursor` until that is null. Jobs and webhooks go on meanwhile.
    """
    cursor = body.cursor if body else None
    return reencrypt_response(
        await context.gateway.secrets_at_rest.reencrypt(context.caller, cursor)
    )


def reencrypt_response(batch: ReencryptedBatch) -> ReencryptResponse:
    """Return the result of a batch, as a response shows it."""
    return ReencryptResponse(
        key_id=batch.key_id,
        records=batch.rows,
        changed=batch.changed,
        undecryptable=[
            UndecryptableResponse(table=one.table, id=one.row, key_id=one.key_id)
            for one in batch.undecryptable
        ],
        total=batch.total,
        next_cursor=batch.next_cursor,
    )
