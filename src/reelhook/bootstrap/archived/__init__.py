"""Lists, verifies, prunes and exports the files of the archive, for the command line."""

from reelhook.bootstrap.archived.export import Exported, export
from reelhook.bootstrap.archived.pruning import DatabaseOwnedError, prune
from reelhook.bootstrap.archived.reading import listed
from reelhook.bootstrap.archived.verifying import ObjectFault, ObjectFinding, Verified, verify

__all__ = [
    "DatabaseOwnedError",
    "Exported",
    "ObjectFault",
    "ObjectFinding",
    "Verified",
    "export",
    "listed",
    "prune",
    "verify",
]
