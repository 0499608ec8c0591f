"""The commands that run until they are stopped: `serve`, `worker` and `simulate`."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Annotated, Any

import typer

from reelhook.cli.error_messages import command_line_message
from reelhook.cli.options import DataDir
from reelhook.cli.streams import complain, say
from reelhook.config import Settings
from reelhook.domain.encryption import NoEncryptionKeyError, UndecryptableError
from reelhook.domain.errors import SettingsError
from reelhook.providers.registry import BUILT_IN
from reelhook.telemetry import lines as logs

CONFIGURATION_EXIT = 78
"""The exit code for wrong settings, `EX_CONFIG` of sysexits.h: a restart would end the same way."""


def _flag(text: str, metavar: str | None = None) -> Any:
    return typer.Option(help=text, metavar=metavar, show_default=False)


def serve(
    *,
    simulate: Annotated[
        bool,
        typer.Option("--simulate", help="Use a simulated provider in this process; no key needed."),
    ] = False,
    host: Annotated[str | None, _flag("The address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, _flag("The port; 0 picks a free one. Default: 3001.")] = None,
    data_dir: DataDir = None,
    openai_base_url: Annotated[
        str | None, _flag("A server with the /v1/videos API, e.g. http://gpu:30000/v1.", "URL")
    ] = None,
    default_model: Annotated[
        str | None, _flag("The model if a request names none. Default: the server's default.")
    ] = None,
    webhook_url: Annotated[
        str | None, _flag("The URL for webhooks if a request names none.", "URL")
    ] = None,
    public_url: Annotated[
        str | None, _flag("The URL at which others reach this server. Default: its address.", "URL")
    ] = None,
    poll_seconds: Annotated[
        float | None, _flag("Seconds between two polling rounds. Default: 5.")
    ] = None,
    max_age_hours: Annotated[
        float | None, _flag("Hours that a job may wait, and then render. Default: 24.")
    ] = None,
    retry_schedule: Annotated[
        str | None, _flag("The waits between attempts of a webhook, e.g. 5s,30s,2m,1h.")
    ] = None,
    allow_networks: Annotated[
        str | None, _flag("Private networks that webhooks may go to, e.g. 10.0.0.0/8.")
    ] = None,
    migrate: Annotated[
        bool, typer.Option(help="Bring the database's schema up to date first.")
    ] = True,
    worker: Annotated[
        bool, typer.Option(help="Work on jobs too; --no-worker leaves that to `reelhook worker`.")
    ] = True,
    verbose: Annotated[bool | None, typer.Option("--verbose", help="Log details too.")] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Settings without a flag come from the environment and .env; docs/settings.md lists them all.
    Keys and secrets have no flags, since other users of the machine can read flags.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    with _ending_for_good(SettingsError):
        settings = Settings.load(
            host=host,
            port=port,
            data_dir=data_dir,
            openai_base_url=openai_base_url,
            default_model=default_model,
            webhook_url=webhook_url,
            public_url=public_url,
            poll_seconds=poll_seconds,
            max_age_hours=max_age_hours,
            retry_schedule=retry_schedule,
            allow_networks=allow_networks,
            verbose_logging=verbose,
        )
        settings.check_for_server(simulate=simulate, work=worker)
        if not simulate:
            asyncio.run(bootstrap.check_accounts(settings))
    program = partial(
        bootstrap.run_server, settings, simulate=simulate, migrate=migrate, work=worker
    )
    _run(settings, program)


def worker(
    *,
    migrate: Annotated[
        bool, typer.Option(help="Bring the database's schema up to date first.")
    ] = True,
    verbose: Annotated[bool | None, typer.Option("--verbose", help="Log details too.")] = None,
) -> None:
    """Run a worker on a PostgreSQL database that processes share, until Ctrl-C or SIGTERM.

    Workers divide accounts and endpoints among them. Each may start, stop or crash at any time.
    """
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    with _ending_for_good(SettingsError):
        settings = Settings.load(verbose_logging=verbose)
        settings.check_for_worker()
        asyncio.run(bootstrap.check_accounts(settings))
    _run(settings, partial(bootstrap.run_worker, settings, migrate=migrate))


def _run(settings: Settings, program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with _ending_for_good(SettingsError):  # the accounts' secrets are read from their file
        logs.configure(settings.verbose_logging, sys.stdout, secrets=settings.secrets)
    with (
        _ending_for_good(UndecryptableError, NoEncryptionKeyError),
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        runner.run(program())


@contextlib.contextmanager
def _ending_for_good(*kinds: type[SettingsError]) -> Iterator[None]:
    """End with `CONFIGURATION_EXIT` after an error that no restart corrects.

    Others may be over at the next start: a port or a database that another process still uses.
    """
    try:
        yield
    except kinds as error:
        complain(command_line_message(error))
        raise typer.Exit(CONFIGURATION_EXIT) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _rate(text: str) -> Any:
    return typer.Option(min=0, max=1, metavar="RATE", help=text, show_default=False)


def simulate(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")
    ] = 9000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    flavour: Annotated[
        str | None,
        typer.Option(
            help="The server to imitate: sglang, vllm-omni, fastvideo, aquiles, tensorrt-llm or "
            "litellm. Default: /v1/videos as OpenAI documented it.",
            show_default=False,
        ),
    ] = None,
    render_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds from a video's creation to its completion.")
    ] = 8.0,
    queue_seconds: Annotated[
        float, typer.Option(min=0, help="How many of these seconds it is queued.")
    ] = 1.0,
    latency_seconds: Annotated[
        float, typer.Option(min=0, help="The delay of every response, in seconds.")
    ] = 0.0,
    retry_after_seconds: Annotated[
        float, typer.Option(min=0, help="The Retry-After of a 429.")
    ] = 1.0,
    poll_after_seconds: Annotated[
        float, typer.Option(min=0, help="The suggested seconds between polls; 0 suggests none.")
    ] = 0.0,
    rate_limited: Annotated[float, _rate("Share of requests that get 429 with Retry-After.")] = 0.0,
    server_error: Annotated[float, _rate("Share of requests that get 500.")] = 0.0,
    reset: Annotated[float, _rate("Share of connections that are reset without a response.")] = 0.0,
    malformed: Annotated[float, _rate("Share of requests that get half of the JSON.")] = 0.0,
    garbled: Annotated[float, _rate("Share of requests that get a web page.")] = 0.0,
    huge: Annotated[float, _rate("Share of requests that get 60 MiB of JSON.")] = 0.0,
    lost_create: Annotated[
        float, _rate("Share of creates that are accepted without a response.")
    ] = 0.0,
    refused_create: Annotated[float, _rate("Share of creates that are refused.")] = 0.0,
    refused_after: Annotated[
        float, _rate("Share of creates that are accepted but get a refusal.")
    ] = 0.0,
    refusal: Annotated[
        str, typer.Option(help="The form of these refusals: 500, 502, 503, 409 or page.")
    ] = "503",
    moderation: Annotated[float, _rate("Share of jobs that fail in moderation.")] = 0.0,
    stuck: Annotated[float, _rate("Share of jobs that reach 99 % and never end.")] = 0.0,
    broken: Annotated[float, _rate("Share of jobs that fail because the engine does.")] = 0.0,
    engine_dead: Annotated[
        bool, typer.Option("--engine-dead", help="The rendering engine has crashed.")
    ] = False,
    foreign_file: Annotated[
        float, _rate("Share of jobs that name --foreign-url as their file.")
    ] = 0.0,
    foreign_redirect: Annotated[
        float, _rate("Share of videos that redirect to --foreign-url.")
    ] = 0.0,
    foreign_url: Annotated[
        str, typer.Option(help="An address outside the simulator.", metavar="URL")
    ] = "http://169.254.169.254/latest/meta-data/",
    listing: Annotated[bool, typer.Option(help="Offer a listing of jobs.")] = True,
    clock_offset_seconds: Annotated[
        float,
        typer.Option(help="Seconds by which the provider's clock is ahead; negative: behind."),
    ] = 0.0,
    prompts: Annotated[
        str,
        typer.Option(
            help="The form of prompts in listings: shown, hidden, shortened, masked, escaped, "
            "normalised or extended."
        ),
    ] = "shown",
) -> None:
    """Run a simulated provider with the /v1/videos API that renders real MP4s.

    It also imitates Ark, fal, Replicate, Runway and xAI, each under its own path.
    With --flavour it lists, encodes, refuses and cancels like that server.
    Rates are from 0 to 1: with --server-error 0.1, one request in ten fails.
    POST /simulator/restart loses all jobs, like a server that keeps them in memory.
    """
    from reelhook.simulator.faults import Faults  # noqa: PLC0415 - not needed for --help
    from reelhook.simulator.flavours import FLAVOURS  # noqa: PLC0415 - not needed for --help

    if flavour is not None and flavour not in FLAVOURS:
        raise typer.BadParameter(f"--flavour must be one of {', '.join(FLAVOURS)}")

    try:
        faults = Faults(
            latency_seconds=latency_seconds,
            queue_seconds=queue_seconds,
            render_seconds=render_seconds,
            retry_after_seconds=retry_after_seconds,
            poll_after_seconds=poll_after_seconds,
            rate_limited=rate_limited,
            server_error=server_error,
            reset=reset,
            malformed=malformed,
            garbled=garbled,
            huge=huge,
            lost_create=lost_create,
            refused_create=refused_create,
            refused_after=refused_after,
            refusal=refusal,
            moderation=moderation,
            stuck=stuck,
            broken=broken,
            engine_dead=engine_dead,
            foreign_file=foreign_file,
            foreign_redirect=foreign_redirect,
            foreign_url=foreign_url,
            listing=listing,
            clock_offset_seconds=clock_offset_seconds,
            prompts=prompts,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    logs.configure(False, sys.stderr)
    asyncio.run(_simulate(faults, host, port, flavour and FLAVOURS[flavour]))


async def _simulate(faults: Any, host: str, port: int, flavour: Any) -> None:
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with bootstrap.simulator(faults, host=host, port=port, flavour=flavour) as base_url:
        imitated = f", imitating {flavour.name}" if flavour else ""
        say(f"A simulated provider runs at {base_url}{imitated}; Ctrl-C stops it.")
        say(f"Use it: OPENAI_BASE_URL={base_url} reelhook serve")
        say("Or use another provider's API, with any key:")
        for account in bootstrap.simulated_accounts(base_url.removesuffix("/v1")):
            provider = BUILT_IN[account.provider]
            if not provider.self_hosted:
                key, url = provider.key_variable, provider.base_url_variable
                say(f"  {key}=any {url}={account.base_url} reelhook serve")
        await stop.wait()
