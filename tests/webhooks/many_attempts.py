"""Sends many webhooks at once, in a process of its own, and prints what that cost in memory.

python many_attempts.py COUNT TIMEOUT_SECONDS AUTHORITY URL
"""

import asyncio
import json
import ssl
import sys
from ipaddress import ip_network
from pathlib import Path

from reelhook.domain.delivery import WebhookResponse
from reelhook.guard.addresses import AddressPolicy
from reelhook.ports import SignedRequest
from reelhook.webhooks.sender import AiohttpSender

LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))


def memory(line: str) -> int:
    """Return a line of /proc/self/status, in bytes: VmRSS is now, VmHWM the peak."""
    (kibibytes,) = (
        words.split()[1]
        for words in Path("/proc/self/status").read_text().splitlines()
        if words.startswith(f"{line}:")
    )
    return int(kibibytes) * 1024


async def run(count: int, timeout_seconds: float, authority: str, urls: list[str]) -> None:
    tls = ssl.create_default_context(cafile=authority)
    async with AiohttpSender(LOOPBACK, tls=tls) as sender:

        async def attempts(url: str, number: int) -> list[WebhookResponse]:
            one = SignedRequest(
                url=url, body=b"{}", headers={}, trusted=False, timeout_seconds=timeout_seconds
            )
            return await asyncio.gather(*(sender.send(one) for _ in range(number)))

        for url in urls:
            await attempts(url, 1)  # what is made once is no attempt's cost
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
            before = memory("VmRSS")
            answers = await attempts(url, count)
            told = {
                "bytes_each": (memory("VmHWM") - before) / count,
                "errors": sorted({str(answer.error) for answer in answers}),
            }
            sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
