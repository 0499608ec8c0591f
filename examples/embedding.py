"""A team's own FastAPI application with reelhook inside it.

    OPENAI_BASE_URL=http://127.0.0.1:9000/v1 \
    REELHOOK_PUBLIC_URL=http://127.0.0.1:8000/video \
    uvicorn --factory --app-dir examples embedding:create_app --timeout-graceful-shutdown 5
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel

import reelhook


class Story(BaseModel):
    """What this team's users send."""

    title: str
    text: str


def create_app(settings: reelhook.Settings | None = None) -> FastAPI:
    """Build the application; without `settings` they come from the environment and `.env`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with reelhook.open(settings or reelhook.Settings.load()) as hook:
            app.state.hook = hook
            app.mount("/video", hook.asgi)
            yield

    app = FastAPI(title="Stories", lifespan=lifespan)

    @app.post("/stories")
    async def tell(story: Story, request: Request) -> dict[str, str]:
        """Have a video made of a story."""
        hook: reelhook.Hook = request.app.state.hook
        job_id = await hook.submit(story.text, direction=f"A video called {story.title}")
        return {"job": job_id, "status": f"/video/api/videos/status/{job_id}"}

    return app
