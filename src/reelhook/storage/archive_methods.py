"""The part of the store that keeps records of files in the archive."""

from reelhook.storage.forwarding import Forwarding, in_background, reading, writing
from reelhook.storage.operations import archive, removal


class ArchiveMethods(Forwarding):
    """Implements the ports of the archive, which document these methods."""

    archived_file = reading(archive.one)
    archived_files_of = reading(archive.of_jobs)
    files_to_archive = reading(archive.due)
    next_archiving_at = reading(archive.next_at)
    record_file = writing(archive.record)
    files_without_poster = reading(archive.without_poster)
    record_poster = writing(archive.record_poster)
    excess_files = reading(removal.excess)
    remove_archived = in_background(removal.remove)
    objects_to_delete = reading(removal.due)
    record_deleted = writing(removal.deleted)
    delete_later = writing(removal.later)
