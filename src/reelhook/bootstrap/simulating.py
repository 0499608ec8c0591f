"""Runs the simulator in this process; it is imported only when used."""

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from reelhook.domain.errors import SettingsError

if TYPE_CHECKING:
    from reelhook.simulator.faults import Faults
    from reelhook.simulator.flavour import Flavour


@contextlib.asynccontextmanager
async def simulator(
    faults: "Faults | None" = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    flavour: "Flavour | None" = None,
) -> AsyncIterator[str]:
    """Run the simulated providers until the block ends; yield the base URL of `/v1/videos`.

    Raises `SettingsError` if the port is taken, or videos can't be stored.
    """
    from reelhook.simulator.server import running  # noqa: PLC0415 - loaded only when used

    _check_temporary_directory()
    async with contextlib.AsyncExitStack() as stack:
        try:
            started = await stack.enter_async_context(
                running(faults, host=host, port=port, render_ahead=True, flavour=flavour)
            )
        except OSError as error:
            raise SettingsError(
                f"The simulator can't listen on {host} port {port} ({reason(error)}); "
                "choose another port"
            ) from None
        yield started.base_url


def _check_temporary_directory() -> None:
    try:
        tempfile.gettempdir()
    except OSError:
        raise SettingsError(
            "The simulator renders videos into a temporary directory, and none is writable; "
            "set TMPDIR to one that is"
        ) from None


def reason(error: OSError) -> str:
    """Return the system's message, without the address that some errors repeat."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else str(error.strerror)
