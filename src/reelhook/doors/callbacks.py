"""Callbacks: the addresses that providers call when a job has changed."""

from fastapi import APIRouter
from pydantic import Field

from reelhook.doors.context import ContextOf
from reelhook.doors.fields import Schema
from reelhook.doors.policy import CallbackRoute

router = APIRouter(tags=["providers"], route_class=CallbackRoute)


class NoticeResponse(Schema):
    """The result of a provider's call."""

    checked: bool = Field(description="true: the job was read at its provider")


@router.post("/providers/{provider}/webhook/{token}", summary="For providers: a job has changed")
async def notice(provider: str, token: str, context: ContextOf) -> NoticeResponse:
    """Receive a provider's webhook, and read the job at its provider at once. The address itself is
    the key; if the provider signs its webhooks, the signature must be correct too.
    """
    webhooks, caller, request = context.gateway.provider_webhooks, context.caller, context.request
    webhooks.check_address(caller, provider, token)  # before anything is read for it
    body = await request.body()
    checked = await webhooks.take(caller, provider, token, request.headers, body)
    return NoticeResponse(checked=checked)
