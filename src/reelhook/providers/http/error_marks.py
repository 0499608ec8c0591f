"""By which names and words a refusal is recognised, and our codes for them."""

import re
from dataclasses import dataclass

UNAUTHORIZED = "provider_unauthorized"
BUSY = "rate_limited"


@dataclass(frozen=True, slots=True)
class ErrorMark:
    """What leads to a code: part of a lower-case name, or an expression in the words."""

    code: str
    names: tuple[str, ...] = ()
    words: re.Pattern[str] | None = None

    def fits(self, names: tuple[str, ...], message: str) -> bool:
        """Whether one of the names, or the message, has it."""
        if self.words is not None and self.words.search(message):
            return True
        return any(mark in name for name in names for mark in self.names)


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

MARKS = (  # in this order: a code says more than words do
    ErrorMark(
        "moderation",
        names=(
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
        names=(
            "quota",
            "billing",
            "budgetexceeded",  # LiteLLM
            "insufficientbalance",
            "insufficientcredit",
            "insufficientfund",
            "paymentrequired",
            "overdue",  # Ark's AccountOverdueError
            "setlimitexceeded",  # Ark: the limit that the account's owner has set
        ),
    ),
    ErrorMark(
        "moderation",
        words=_any(
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
    ErrorMark("quota", words=_EMPTY),
    ErrorMark(
        UNAUTHORIZED,
        names=(
            "apikey",
            "authenticat",
            "unauthorized",
            "invalidtoken",
            "tokenexpired",
            "credential",
        ),
        words=_any(
            r"(?:incorrect|invalid|wrong|unknown|missing) (?:\w+ )?api[ _-]?key",
            r"api[ _-]?key (?:\w+ ){0,3}(?:invalid|incorrect|expired|disabled|missing)",
            r"host(?:name)? for (?:the )?api[ _-]?key",  # Runway
            r"valid authentication token",  # Replicate
        ),
    ),
    ErrorMark(BUSY, names=("ratelimit", "toomanyrequests", "throttl", "overload", "saturated")),
    ErrorMark("provider_error", names=("internal", "downstream", "timeout", "unavailable")),
    ErrorMark(
        "invalid_request",
        names=(
            "invalidparameter",
            "invalidargument",
            "invalidinput",
            "missingparameter",
            "validation",
        ),
        words=_any(
            r"\A\W*input validation (?:error|failed)",
            r"\A\W*validation of body failed",
            r"\A\W*invalid (?:input|parameter|argument|request|value)",
            r"\A\W*the parameter ",  # Ark
        ),
    ),
)
WEAK_MARKS = (
    ErrorMark("expired", names=("expired",)),
    ErrorMark("invalid_request", names=("invalid",)),
)
"""What counts where the status does not speak of the account: the type of a key that OpenAI refuses
is `invalid_request_error`."""
NEVER_PASSES = ErrorMark(
    "quota",
    names=("setlimitexceeded", "overdue", "insufficientbalance", "insufficientuserquota"),
    words=_EMPTY,
)
"""A 429 that is no matter of time: somebody has to pay, or to raise a limit."""
STATUS_CODES = {
    400: "invalid_request",
    402: "quota",
    413: "invalid_request",
    422: "invalid_request",
}
