"""Webhooks: sending them (`sender`), and verifying them as a receiver (`verify`).

Importing this package loads only `verify`. The guard decides where webhooks may be sent.
"""

from reelhook.domain.errors import BadKeyError, WebhookVerificationError
from reelhook.domain.verification import ReceivedWebhook
from reelhook.webhooks.verifying import verify

__all__ = ["BadKeyError", "ReceivedWebhook", "WebhookVerificationError", "verify"]
