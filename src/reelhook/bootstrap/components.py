"""The parts of one process: the program, the tests and the benchmarks build them here."""

from dataclasses import dataclass
from random import Random, SystemRandom

from reelhook.bootstrap.accounts import Accounts
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.core.billing import Billing
from reelhook.core.facts import Emit, emitter
from reelhook.core.pause import WatchingPause
from reelhook.core.payloads import Formats
from reelhook.core.recording import Recording
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.callback import CallbackAddresses
from reelhook.domain.file_address import FileAddresses
from reelhook.frames.process import ProcessFrames
from reelhook.ports import Clock, Frames, MediaFetch, Objects, Sender
from reelhook.storage.store import Store
from reelhook.telemetry.facts import log_fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The parts from which use cases and loops are built; see `build_components`."""

    settings: Settings
    store: Store
    accounts: Accounts
    sender: Sender
    signing: Signing
    formats: Formats
    signals: Signals
    pause: WatchingPause
    emit: Emit
    recording: Recording
    billing: Billing
    callbacks: CallbackAddresses
    file_addresses: FileAddresses
    objects: Objects | None
    frames: Frames
    fetch: MediaFetch | None
    clock: Clock
    random: Random


def build_components(
    settings: Settings,
    *,
    store: Store,
    accounts: Accounts,
    sender: Sender,
    signing: Signing,
    formats: Formats,
    signals: Signals | None = None,
    emit: Emit | None = None,
    callbacks: CallbackAddresses | None = None,
    file_addresses: FileAddresses | None = None,
    objects: Objects | None = None,
    frames: Frames | None = None,
    fetch: MediaFetch | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
) -> Components:
    """Return the parts of one process.

    `formats` render the bodies of webhooks. Without `objects` there is no archive. Without `fetch`
    providers fetch the files that requests name by addresses. Without `emit` every fact becomes a
    log line. Without `callbacks` no provider gets a callback address, and without `file_addresses`
    none fetches a file from here.
    """
    signals, emit = signals or Signals(), emit or emitter(log_fact)
    billing = Billing(accounts.providers, accounts.catalog)
    return Components(
        settings=settings,
        store=store,
        accounts=accounts,
        sender=sender,
        signing=signing,
        signals=signals,
        formats=formats,
        pause=WatchingPause(),
        emit=emit,
        recording=Recording(store, signals, formats, emit, billing.bill),
        billing=billing,
        objects=objects,
        frames=frames or ProcessFrames(),
        fetch=fetch,
        callbacks=callbacks or CallbackAddresses(settings.public_url, "", {}),
        file_addresses=file_addresses or FileAddresses(),
        clock=clock or SystemClock(),
        random=random or SystemRandom(),
    )
