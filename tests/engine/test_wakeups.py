"""Signals: `publish` wakes all processes, `set` only one."""

from reelhook.core.wakeups import Signals


def test_a_signal_that_is_set_stays_here_and_one_that_is_published_goes_out_too() -> None:
    published: list[str] = []
    signals = Signals(published.append)
    signals.submit.set()
    assert published == []
    signals.watch.publish()
    assert signals.watch.is_set()
    assert published == ["watch"]


def test_a_signal_that_is_received_wakes_and_is_not_passed_on() -> None:
    published: list[str] = []
    signals = Signals(published.append)
    following = signals.changed.next
    signals.receive(["deliver", "changed", "endpoints", "leases"])
    assert signals.deliver.is_set()
    assert signals.leases.is_set()
    assert following.is_set()
    assert signals.endpoints.version == 1
    assert published == []


def test_names_of_a_newer_process_are_ignored() -> None:
    signals = Signals()
    signals.receive(["teleport", "version", "submit ", "__class__", ""])
    assert signals.endpoints.version == 0
    assert not signals.submit.is_set()


def test_a_change_of_a_job_or_an_endpoint_is_published() -> None:
    published: list[str] = []
    signals = Signals(published.append)
    signals.jobs_changed(["job_1"])
    signals.endpoints.publish()
    assert published == ["changed", "endpoints"]
    assert signals.deliver.is_set()
