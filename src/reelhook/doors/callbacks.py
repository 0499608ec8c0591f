"""Callbacks: the addresses that providers call when something happened to a job."""

from fastapi import APIRouter
from pydantic import Field

from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Schema
from reelhook.doors.policy import CallbackRoute

router = APIRouter(tags=["providers"], route_class=CallbackRoute)


class NoticeResponse(Schema):
    """The result of a provider's call."""

    checked: bool = Field(description="Whether the job was read at its provider")


@router.post("/providers/{provider}/webhook/{token}", summary="For providers: something happened")
async def notice(provider: str, token: str, context: ContextOf) -> NoticeResponse:
    """Take a provider's webhook: the job is read back at once. The address itself is the key; if
    the provider signs its calls, the signature must be right too.
    """
    webhooks, caller, request = context.gateway.provider_webhooks, context.caller, context.request
    webhooks.check_address(caller, provider, token)  # before anything is read for it
    body = await request.body()
    checked = await webhooks.take(caller, provider, token, request.headers, body)
    return NoticeResponse(checked=checked)
