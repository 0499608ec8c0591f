"""reelhook inside a FastAPI application.

Run it with `uvicorn examples.embedding:app`, with OPENAI_BASE_URL set to a server that speaks
/v1/videos; then POST /films, and see /video/docs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import reelhook


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run reelhook as long as the application runs."""
    async with reelhook.open(reelhook.Settings.load()) as hook:
        app.mount("/video", hook.asgi)
        app.state.hook = hook
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/films")
async def film(script: str) -> dict[str, str]:
    """Ask for a video from your own code."""
    hook: reelhook.Hook = app.state.hook
    return {"jobId": await hook.submit(script, seconds="4")}
