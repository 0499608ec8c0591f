"""What is told goes to all processes, what is set stays in one."""

from reelhook.core.wakeups import Signals


def test_what_is_set_stays_here_and_what_is_told_goes_out_too() -> None:
    told: list[str] = []
    signals = Signals(told.append)
    signals.submit.set()
    assert told == []
    signals.watch.publish()
    assert signals.watch.is_set()
    assert told == ["watch"]


def test_what_is_heard_wakes_and_is_not_passed_on() -> None:
    told: list[str] = []
    signals = Signals(told.append)
    following = signals.changed.next
    signals.receive(["deliver", "changed", "endpoints", "leases"])
    assert signals.deliver.is_set()
    assert signals.leases.is_set()
    assert following.is_set()
    assert signals.endpoints_version == 1
    assert told == []


def test_names_that_a_newer_process_tells_are_passed_over() -> None:
    signals = Signals()
    signals.receive(["teleport", "endpoints_version", "submit ", "__class__", ""])
    assert signals.endpoints_version == 0
    assert not signals.submit.is_set()


def test_a_job_or_an_endpoint_that_changed_is_told_to_all() -> None:
    told: list[str] = []
    signals = Signals(told.append)
    signals.jobs_changed(["job_1"])
    signals.endpoints_changed()
    assert told == ["changed", "endpoints"]
    assert signals.deliver.is_set()
