"""The pages in the navigation, and the scope that each needs."""

from dataclasses import dataclass

from reelhook.domain.caller import Caller, Scope


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the navigation. After `g`, the letter `key` opens it."""

    path: str
    title: str
    icon: str
    key: str
    scope: Scope = Scope.READ


NAVIGATION = (
    NavItem("/", "Overview", "overview", "o"),
    NavItem("/jobs", "Jobs", "jobs", "j"),
    NavItem("/webhooks", "Webhooks", "webhooks", "w"),
    NavItem("/providers", "Providers", "providers", "p"),
    NavItem("/costs", "Costs", "costs", "c"),
    NavItem("/keys", "Keys", "keys", "k", Scope.ADMIN),
    NavItem("/archive", "Archive", "archive", "a"),
    NavItem("/system", "System", "system", "s"),
    NavItem("/try", "Try", "try", "t", Scope.SUBMIT),
)


def shown_to(caller: Caller) -> list[NavItem]:
    """Return the pages that a caller may open."""
    return [item for item in NAVIGATION if caller.allows(item.scope)]
