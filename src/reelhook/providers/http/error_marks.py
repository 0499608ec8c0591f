"""The codes and phrases by which a refusal is recognised, and our error codes for them."""

import re
from dataclasses import dataclass

UNAUTHORIZED = "provider_unauthorized"
BUSY = "rate_limited"


@dataclass(frozen=True, slots=True)
class ErrorMark:
    """A mark of one of our codes: part of the provider's lower-case code, or a phrase."""

    code: str
    codes: tuple[str, ...] = ()
    phrases: re.Pattern[str] | None = None

    def matches(self, codes: tuple[str, ...], message: str) -> bool:
        """Return True if one of the provider's codes, or its message, has the mark."""
        if self.phrases is not None and self.phrases.search(message):
            return True
        return any(mark in code for code in codes for mark in self.codes)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_EMPTY = _any(
    r"exhausted balance",
    r"insufficient (?:\w+ )?(?:balance|credits?|funds|quota)",
    r"(?:not|n't) have (?:enough|sufficient|any) (?:\w+ )?(?:credits?|balance|funds|quota)",
    r"(?:not enough|out of|no) credits\b",
    r"(?:all|any) available credits|any credits",
    r"credit balance is too low",
    r"overdue balance",
    r"spend(?:ing)? limit",
    r"budget (?:has been )?exceeded",  # LiteLLM
    r"\btop[ _-]?up\b",
    r"set inference limit",  # Ark's SetLimitExceeded
    "余额不足|额度不足|欠费",  # new-api: too little money, too little quota, in arrears
)

MARKS = (  # in this order: a code says more than a phrase
    ErrorMark(
        "moderation",
        codes=(
            "moderat",  # moderation_blocked, imagine:content-moderated
            "contentpolicy",
            "contentfilter",
            "contentblocked",
            "safety",
            "responsibleai",
            "sensitive",  # Ark's InputTextSensitiveContentDetected
            "riskdetect",  # Ark's InputTextRiskDetection
            "policyviolation",
            "datainspection",  # DashScope's DataInspectionFailed
            "unsafe",
            "nsfw",
        ),
    ),
    ErrorMark(
        "quota",
        codes=(
            "quota",
            "billing",
            "budgetexceeded",  # LiteLLM
            "insufficientbalance",
            "insufficientcredit",
            "insufficientfund",
            "paymentrequired",
            "overdue",  # Ark's AccountOverdueError
            "setlimitexceeded",  # Ark: a limit set by the account's owner
        ),
    ),
    ErrorMark(
        "moderation",
        phrases=_any(
            r"moderation (?:system|filter|check)",
            r"(?:rejected|blocked|flagged|refused|filtered) (?:by|as|for|due to) (?:\w+ ){0,3}"
            r"(?:moderation|safety|sensitive|nsfw|policy|policies|content checker)",
            r"content[ _-](?:polic|moderat|checker|filter)",
            r"safety (?:system|filter|polic|violation)",
            r"(?:usage|community|content) (?:polic|guideline)",
            r"sensitive (?:content|information|words?)|new_sensitive",  # the latter: MiniMax's
            r"responsible ai\b",
            r"(?:prohibited|harmful|unsafe) content",
            r"risk control system",  # Kling's
            r"\bnsfw\b",
            "内容违规|敏感",  # new-api: against the rules, sensitive
        ),
    ),
    ErrorMark("quota", phrases=_EMPTY),
    ErrorMark(
        UNAUTHORIZED,
        codes=(
            "apikey",
            "authenticat",
            "unauthorized",
            "invalidtoken",
            "tokenexpired",
            "credential",
        ),
        phrases=_any(
            r"(?:incorrect|invalid|wrong|unknown|missing) (?:\w+ )?api[ _-]?key",
            r"api[ _-]?key (?:\w+ ){0,3}(?:invalid|incorrect|expired|disabled|missing)",
            r"host(?:name)? for (?:the )?api[ _-]?key",  # Runway
            r"valid authentication token",  # Replicate
        ),
    ),
    ErrorMark(BUSY, codes=("ratelimit", "toomanyrequests", "throttl", "overload", "saturated")),
    ErrorMark("provider_error", codes=("internal", "downstream", "timeout", "unavailable")),
    ErrorMark(
        "invalid_request",
        codes=(
            "invalidparameter",
            "invalidargument",
            "invalidinput",
            "missingparameter",
            "validation",
        ),
        phrases=_any(
            r"\A\W*input validation (?:error|failed)",
            r"\A\W*validation of body failed",
            r"\A\W*invalid (?:input|parameter|argument|request|value)",
            r"\A\W*the parameter ",  # Ark
        ),
    ),
)
WEAK_MARKS = (
    ErrorMark("expired", codes=("expired",)),
    ErrorMark("invalid_request", codes=("invalid",)),
)
"""Marks that count only if the status is not about the account: OpenAI refuses a key with the type
`invalid_request_error`."""
NOT_TEMPORARY = ErrorMark(
    "quota",
    codes=("setlimitexceeded", "overdue", "insufficientbalance", "insufficientuserquota"),
    phrases=_EMPTY,
)
"""A 429 for which waiting does not help: someone must pay or raise a limit."""
STATUS_CODES = {
    400: "invalid_request",
    402: "quota",
    413: "invalid_request",
    422: "invalid_request",
}
