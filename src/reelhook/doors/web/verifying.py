"""Code that verifies a webhook, for receivers; `docs/receivers.md` has whole programs."""

VERIFY_IN_PYTHON = """\
# pip install standardwebhooks
import os

from standardwebhooks import Webhook


webhook = Webhook(os.environ["REELHOOK_RECEIVER_SECRET"])


def verified(raw_body: bytes, headers: dict) -> dict:
    # The body as it came: parsed and written
    # again, it has other bytes.
    return webhook.verify(raw_body, headers)
"""
VERIFY_IN_JAVASCRIPT = """\
// npm install standardwebhooks
import { Webhook } from "standardwebhooks";

const secret = process.env.REELHOOK_RECEIVER_SECRET;
const webhook = new Webhook(secret);

export function verified(rawBody, headers) {
  // The body as it came: with Express, that of
  // express.raw({ type: "application/json" }).
  return webhook.verify(rawBody, headers);
}
"""
