"""The commands that run until they are told to stop: `serve` and `simulate`."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from reelhook.cli import render
from reelhook.cli.options import DataDir
from reelhook.config import Settings
from reelhook.providers.registry import BUILT_IN
from reelhook.telemetry import lines as logs


def _flag(text: str, metavar: str | None = None) -> Any:
    return typer.Option(help=text, metavar=metavar, show_default=False)


def serve(
    *,
    simulate: Annotated[
        bool,
        typer.Option("--simulate", help="Use a simulated provider in this process; no key needed."),
    ] = False,
    host: Annotated[str | None, _flag("Where to listen. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, _flag("The port; 0 takes a free one. Default: 3001.")] = None,
    data_dir: DataDir = None,
    openai_base_url: Annotated[
        str | None, _flag("A server that speaks /v1/videos, e.g. http://gpu:30000/v1.", "URL")
    ] = None,
    default_model: Annotated[
        str | None, _flag("The model where a request names none. Default: the server's own.")
    ] = None,
    webhook_url: Annotated[
        str | None, _flag("Where webhooks go where a request names nothing.", "URL")
    ] = None,
    public_url: Annotated[
        str | None, _flag("How receivers reach this server. Default: its own address.", "URL")
    ] = None,
    poll_seconds: Annotated[
        float | None, _flag("Seconds between two rounds of watching. Default: 5.")
    ] = None,
    max_age_hours: Annotated[
        float | None, _flag("How long a job may wait, and then render. Default: 24.")
    ] = None,
    retry_schedule: Annotated[
        str | None, _flag("The waits before a webhook is tried again, e.g. 5s,30s,2m,1h.")
    ] = None,
    allow_networks: Annotated[
        str | None, _flag("Private networks that webhooks may go to, e.g. 10.0.0.0/8.")
    ] = None,
    migrate: Annotated[
        bool, typer.Option(help="Bring the database's schema up to date first.")
    ] = True,
    worker: Annotated[
        bool, typer.Option(help="Work too; --no-worker leaves that to `reelhook worker`.")
    ] = True,
    verbose: Annotated[
        bool | None, typer.Option("--verbose", help="Log the detailed lines too.")
    ] = None,
) -> None:
    """Run the server, until Ctrl-C or SIGTERM.

    What a flag leaves open the environment and .env decide: docs/settings.md lists all settings.
    Keys and secrets have no flags, since other users of a machine can read those.
    """
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
    logs.configure(settings.verbose_logging, sys.stdout, secrets=settings.secrets)
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(bootstrap.run_server(settings, simulate=simulate, migrate=migrate, work=worker))


def worker(
    *,
    migrate: Annotated[
        bool, typer.Option(help="Bring the database's schema up to date first.")
    ] = True,
    verbose: Annotated[
        bool | None, typer.Option("--verbose", help="Log the detailed lines too.")
    ] = None,
) -> None:
    """Work beside other processes on one PostgreSQL database, until Ctrl-C or SIGTERM.

    Workers share accounts and endpoints among them; each may come, go or die at any time.
    """
    settings = Settings.load(verbose_logging=verbose)
    logs.configure(settings.verbose_logging, sys.stdout, secrets=settings.secrets)
    from reelhook import bootstrap  # noqa: PLC0415 - the whole program, not needed for --help

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(bootstrap.run_worker(settings, migrate=migrate))


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
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 9000,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    flavour: Annotated[
        str | None,
        typer.Option(
            help="The server to play: sglang, vllm-omni, fastvideo, aquiles, tensorrt-llm or "
            "litellm. Default: /v1/videos as OpenAI documented it.",
            show_default=False,
        ),
    ] = None,
    render_seconds: Annotated[
        float, typer.Option(min=0, help="How long a video takes, from creation to completion.")
    ] = 8.0,
    queue_seconds: Annotated[
        float, typer.Option(min=0, help="How much of that it is queued.")
    ] = 1.0,
    latency_seconds: Annotated[
        float, typer.Option(min=0, help="How long every request waits.")
    ] = 0.0,
    retry_after_seconds: Annotated[float, typer.Option(min=0, help="What a 429 asks for.")] = 1.0,
    poll_after_seconds: Annotated[
        float, typer.Option(min=0, help="The hint of when to ask again; 0 gives none.")
    ] = 0.0,
    rate_limited: Annotated[float, _rate("Requests answered 429 with Retry-After.")] = 0.0,
    server_error: Annotated[float, _rate("Requests answered 500.")] = 0.0,
    reset: Annotated[float, _rate("Connections reset without an answer.")] = 0.0,
    malformed: Annotated[float, _rate("Requests answered with half of the JSON.")] = 0.0,
    garbled: Annotated[float, _rate("Requests answered with a web page.")] = 0.0,
    huge: Annotated[float, _rate("Requests answered with 60 MiB of JSON.")] = 0.0,
    lost_create: Annotated[float, _rate("Creates carried out without an answer.")] = 0.0,
    refused_create: Annotated[float, _rate("Creates refused, and not carried out.")] = 0.0,
    refused_after: Annotated[float, _rate("Creates carried out, and refused.")] = 0.0,
    refusal: Annotated[
        str, typer.Option(help="How these are refused: 500, 502, 503, 409 or page.")
    ] = "503",
    moderation: Annotated[float, _rate("Jobs that fail where they would have completed.")] = 0.0,
    stuck: Annotated[float, _rate("Jobs that reach 99 % and never end.")] = 0.0,
    broken: Annotated[float, _rate("Jobs that fail because the engine does.")] = 0.0,
    engine_dead: Annotated[
        bool, typer.Option("--engine-dead", help="The engine behind the server is gone.")
    ] = False,
    foreign_file: Annotated[float, _rate("Jobs that name --foreign-url as their file.")] = 0.0,
    foreign_redirect: Annotated[float, _rate("Videos that redirect to --foreign-url.")] = 0.0,
    foreign_url: Annotated[
        str, typer.Option(help="An address that is not the simulator's.", metavar="URL")
    ] = "http://169.254.169.254/latest/meta-data/",
    listing: Annotated[bool, typer.Option(help="Whether jobs can be listed.")] = True,
    clock_offset_seconds: Annotated[
        float, typer.Option(help="How far the provider's clock is ahead; below 0: behind.")
    ] = 0.0,
    prompts: Annotated[
        str,
        typer.Option(
            help="How prompts are listed: shown, hidden, shortened, masked, escaped, normalised "
            "or extended."
        ),
    ] = "shown",
) -> None:
    """Run a simulated provider that speaks /v1/videos and renders real MP4s.

    It speaks as Ark, fal, Replicate, Runway and xAI do too, each below a path of its own.
    With --flavour it behaves as that server does: how it lists, encodes, refuses and cancels.
    Rates are from 0 to 1: --server-error 0.1 lets every tenth request fail.
    POST /simulator/restart forgets the jobs, as a server does that keeps them in memory.
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
        played = f" as {flavour.name} does" if flavour else ""
        render.say(f"A simulated provider answers at {base_url}{played}; Ctrl-C stops it.")
        render.say(f"Use it: OPENAI_BASE_URL={base_url} reelhook serve")
        render.say("Or another provider's wire, with any key:")
        for one in bootstrap.simulated_accounts(base_url.removesuffix("/v1")):
            provider = BUILT_IN[one.provider]
            if not provider.self_hosted:
                key, url = provider.key_variable, provider.base_url_variable
                render.say(f"  {key}=any {url}={one.base_url} reelhook serve")
        await stop.wait()
