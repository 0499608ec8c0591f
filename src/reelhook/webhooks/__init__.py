"""Webhooks: where they may go (`addresses`, `target`, `networks`) and how they go (`sender`).

The receiver's side is `verify`, all that this package loads by itself.
"""

from reelhook.domain.errors import BadKeyError, WebhookVerificationError
from reelhook.domain.verification import ReceivedWebhook
from reelhook.webhooks.verifying import verify

__all__ = ["BadKeyError", "ReceivedWebhook", "WebhookVerificationError", "verify"]
