"""The plan of a round's pages: kept as long as the listing shows what it was expected to."""

from collections.abc import Sequence

from reelhook.domain.read_plan import PageRead
from reelhook.domain.report import Entry, Page, Progress
from reelhook.engine.polling.listing_order import ListingOrder, Plan
from reelhook.engine.polling.listing_scan import ListingScan, PageBatch, PageResult

IDS = ["f", "e", "d", "c", "b", "a"]


def planned(order: ListingOrder, ids: Sequence[str]) -> Plan:
    return order.plan(ListingScan(set(ids)), ids)


def answered(plan: Plan, listing: Sequence[str]) -> PageBatch:
    """What a listing that stands in this order answers."""
    batch = PageBatch()
    for read in plan.reads:
        assert isinstance(read, PageRead)
        start = 0 if read.cursor is None else listing.index(read.cursor) + 1
        shown = listing[start : start + 3]
        entries = tuple(Entry(one, Progress(running=True)) for one in shown)
        batch.pages[read.cursor] = PageResult.of(Page(entries, more=start + 3 < len(listing)), read)
    return batch


def learnt(ids: Sequence[str]) -> ListingOrder:
    order = ListingOrder(3)
    plan = planned(order, ids)
    order.learn(plan, answered(plan, ids))
    return order


def test_a_plan_is_kept_while_pages_show_what_was_expected() -> None:
    order = learnt(IDS)
    plan = planned(order, IDS)
    order.learn(plan, answered(plan, IDS))
    assert order.same_plan(list(IDS)) is plan


def test_other_jobs_need_another_plan() -> None:
    order = learnt(IDS)
    plan = planned(order, IDS)
    order.learn(plan, answered(plan, IDS))
    assert order.same_plan(IDS[1:]) is None
    assert order.same_plan(["g", *IDS]) is None


def test_a_listing_that_moved_needs_another_plan() -> None:
    order = learnt(IDS)
    plan = planned(order, IDS)
    moved = ["f", "e", "x", "d", "c", "b", "a"]
    order.learn(plan, answered(plan, moved))
    assert order.same_plan(IDS) is None
    again = planned(order, IDS)
    assert again.order == moved


def test_what_is_watched_no_more_at_the_end_of_the_order_is_forgotten() -> None:
    order = learnt(IDS)
    order.trim({"f", "e"})
    assert order.same_plan(IDS) is None
    assert planned(order, ["f", "e"]).order == ["f", "e"]
