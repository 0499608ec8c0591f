"""Webhooks: how they go (`sender`); where they may go is the guard's.

The receiver's side is `verify`, all that this package loads by itself.
"""

from reelhook.domain.errors import BadKeyError, WebhookVerificationError
from reelhook.domain.verification import ReceivedWebhook
from reelhook.webhooks.verifying import verify

__all__ = ["BadKeyError", "ReceivedWebhook", "WebhookVerificationError", "verify"]
