"""Prepares an application for its first requests: templates, files and routes.

They are made when they are first used. A first page would take a quarter of a second longer, in
which the loop does nothing else.
"""

from fastapi import FastAPI
from starlette.types import ASGIApp

from reelhook.doors.web.assets import assets
from reelhook.doors.web.rendering import compile_templates


def warm_up(app: ASGIApp) -> None:
    """Compile the templates, read the files of pages and build the routes. It blocks."""
    assets()
    compile_templates()
    if isinstance(app, FastAPI):
        scope = {"type": "http", "method": "GET", "path": "/-", "root_path": "", "headers": []}
        for route in app.router.routes:
            route.matches(dict(scope))
