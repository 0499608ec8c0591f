"""Every import that a page of the previous release named works for one more release."""

import importlib
import sys
import warnings

import pytest

from reelhook.domain import conflicts, errors
from reelhook.providers.http.provider import HttpProvider
from reelhook.telemetry import lines

NAMED: dict[str, tuple[str, ...]] = {
    # docs/embedding.md, docs/receivers.md, and the errors that they name
    "reelhook": ("Hook", "Settings", "open"),
    "reelhook.logs": ("configure",),
    "reelhook.webhooks": ("WebhookVerificationError", "verify"),
    # docs/providers/writing-one.md
    "reelhook.domain.errors": (
        *("InvalidRequestError", "SettingsError", "ProviderError", "ResponseTooLargeError"),
        *("ProviderUnauthorizedError", "CheckUnsupportedError", "ListingUnsupportedError"),
        # which the functions of a hook raise
        *("JobNotFoundError", "JobIdTakenError", "JobEndedError", "JobConflictError"),
        *("NotCancelableError", "SubmissionPendingError", "IdempotencyKeyReusedError"),
    ),
    "reelhook.domain.job": ("VideoRequest",),
    "reelhook.domain.model": ("Image", "Model", "aspect_ratio_for"),
    "reelhook.domain.report": (
        *("Accepted", "Cost", "Failed", "Finished", "Progress", "Reading", "Report"),
        *("SubmitOutcome", "Page", "Entry", "Notice"),
    ),
    "reelhook.ports": ("Content", "ServedModels", "Traits"),
    "reelhook.providers.address": ("segment", "key_header"),
    "reelhook.providers.advice": ("Advice",),
    "reelhook.providers.download": ("Source",),
    "reelhook.providers.expiring": ("ExpiringProvider",),
    "reelhook.providers.http_provider": ("Fields", "HttpProvider"),
    "reelhook.providers.receiving": ("PAGE_BYTES_MAX",),
    "reelhook.providers.refusal": ("failed", "not_understood", "unread", "words"),
    "reelhook.providers.values": (
        *("number", "percent", "readable_id", "text", "unknown", "web_address"),
    ),
}
OF_PROVIDERS = (
    *("authorization", "traits", "models", "submit", "pay", "get", "reading", "read", "ask"),
    *("get_many", "page", "notice", "id_of", "content", "file", "cancel", "canceled"),
    *("cancel_stops", "served", "advice", "check"),
)


@pytest.mark.parametrize("module", NAMED)
def test_what_a_page_of_the_previous_release_named_is_there(module: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = importlib.import_module(module)
    assert [name for name in NAMED[module] if not hasattr(found, name)] == []


def test_errors_have_no_other_names_of_conflicts() -> None:
    assert errors.JobEndedError is conflicts.JobEndedError  # type: ignore[attr-defined] # a former name
    with pytest.raises(AttributeError, match="no attribute 'NotInDoubtError'"):
        errors.NotInDoubtError  # type: ignore[attr-defined] # noqa: B018 - reading it is the test


def test_a_provider_has_the_methods_that_the_page_named() -> None:
    assert [name for name in OF_PROVIDERS if not hasattr(HttpProvider, name)] == []


def test_the_former_module_of_log_lines_warns_and_has_the_same_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "reelhook.logs", raising=False)
    with pytest.warns(DeprecationWarning, match=r"reelhook\.logs has moved to") as caught:
        from reelhook.logs import configure  # noqa: PLC0415 - the import is the test
    assert [warning.filename for warning in caught] == [__file__]
    assert configure is lines.configure
