"""Code that verifies a webhook, for receivers; `docs/receivers.md` has whole programs."""

VERIFY_IN_PYTHON = """\
# pip install standardwebhooks
import os

from standardwebhooks import Webhook


def verified(raw_body: bytes, headers: dict[str, str]) -> dict:
    # The body as it came: parsed and written again it has other bytes.
    return Webhook(os.environ["REELHOOK_RECEIVER_SECRET"]).verify(raw_body, headers)
"""
VERIFY_IN_JAVASCRIPT = """\
// npm install standardwebhooks
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.REELHOOK_RECEIVER_SECRET);

export function verified(rawBody, headers) {
  // The body as it came: express.raw({ type: "application/json" }), not express.json().
  return webhook.verify(rawBody, headers);
}
"""
