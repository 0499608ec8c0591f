"""The parts of one process: the program, the tests and the benchmarks build them here."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random, SystemRandom

from reelhook.bootstrap.accounts import Accounts
from reelhook.clock import SystemClock
from reelhook.config import Settings
from reelhook.core.recording import Recording
from reelhook.core.signing import Signing
from reelhook.core.wakeups import Signals
from reelhook.domain.callback import CallbackAddresses
from reelhook.ports import Clock, Sender
from reelhook.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The parts that use cases and loops are made from; see `build_components`."""

    settings: Settings
    store: Store
    accounts: Accounts
    sender: Sender
    signing: Signing
    signals: Signals
    recording: Recording
    callbacks: CallbackAddresses
    clock: Clock
    random: Random


def build_components(
    settings: Settings,
    *,
    store: Store,
    accounts: Accounts,
    sender: Sender,
    signing: Signing,
    video_url: Callable[[str], str],
    signals: Signals | None = None,
    callbacks: CallbackAddresses | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
) -> Components:
    """Return the parts of one process.

    `video_url` maps a job's id to the download address that webhooks name. Without `callbacks` no
    provider is given an address to call.
    """
    signals = signals or Signals()
    return Components(
        settings=settings,
        store=store,
        accounts=accounts,
        sender=sender,
        signing=signing,
        signals=signals,
        recording=Recording(store, signals, video_url),
        callbacks=callbacks or CallbackAddresses(settings.public_url, "", {}),
        clock=clock or SystemClock(),
        random=random or SystemRandom(),
    )
