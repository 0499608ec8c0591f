"""The private names of aiohttp that `protocol` and `connection` use, and what they rely on.

aiohttp is pinned to one minor version because of them. Before another one is allowed, these tests
and the floods of `test_floods` must pass with it.
"""

import asyncio
import inspect

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from reelhook.guard.networks import IPAddress
from reelhook.webhooks.connection import connector, open_socket
from reelhook.webhooks.protocol import ResponseProtocol


async def no_look_up(name: str) -> list[IPAddress]:
    raise OSError(name)


async def test_a_protocol_has_the_private_state_that_we_read() -> None:
    protocol = ResponseHandler(asyncio.get_running_loop())
    assert protocol._payload is None
    assert protocol._exception is None


@pytest.mark.parametrize(
    "name",
    ["abort", "close", "data_received", "feed_data", "set_exception", "set_response_params"],
)
def test_a_method_that_we_override_or_call_is_there(name: str) -> None:
    assert callable(getattr(ResponseHandler, name))


def test_the_parameters_of_overridden_methods_are_the_same() -> None:
    feed = inspect.signature(ResponseHandler.feed_data).parameters
    assert list(feed)[:2] == ["self", "data"]
    params = inspect.signature(ResponseHandler.set_response_params).parameters
    assert all(one.kind is one.KEYWORD_ONLY for name, one in params.items() if name != "self")


async def test_a_connector_makes_its_protocols_with_the_private_factory() -> None:
    plain = aiohttp.TCPConnector()
    assert isinstance(plain._factory(), ResponseHandler)
    await plain.close()
    ours = connector(None, look_up=no_look_up, open_socket=open_socket, tls=None)
    assert isinstance(ours._factory(), ResponseProtocol)
    await ours.close()
