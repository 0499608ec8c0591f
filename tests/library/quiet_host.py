"""A program with reelhook inside that never thought of logs, or did: see its arguments.

python quiet_host.py DATA_DIR [logging | structlog]
"""

import asyncio
import logging
import sys

import structlog

import reelhook

ARGUMENTS = sys.argv[1:]


async def run() -> None:
    settings = reelhook.Settings.of(
        openai_base_url="http://127.0.0.1:9/v1",
        openai_api_key="sk-hunter2-hunter2",
        data_dir=ARGUMENTS[0],
        webhook_secret="hunter2-hunter2",
        submit_settle_seconds=1,
        submit_timeout_seconds=2,
    )
    async with reelhook.open(settings):
        structlog.get_logger().info("the host's own line", of="the host")
        logging.getLogger("reelhook.mine").info("50 % done")


if "logging" in ARGUMENTS:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(name)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
if "structlog" in ARGUMENTS:
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
asyncio.run(run())
