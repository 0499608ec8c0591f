"""Prepares the pages before their first requests: their templates and files.

Both are made when they are first used. A first page would take a quarter of a second longer, in
which the loop does nothing else.
"""

from reelhook.doors.web.assets import assets
from reelhook.doors.web.rendering import load_templates


def warm_up() -> None:
    """Load the templates and read the files of pages. It blocks."""
    assets()
    load_templates()
