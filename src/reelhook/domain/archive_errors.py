"""Errors of the archive: its store of files, and the process that decodes videos."""

from reelhook.domain.errors import ReelhookError


class ObjectStoreError(ReelhookError):
    """The store of files refused, or could not be reached.

    `step` is what was tried: "write", "read" or "delete". `refused`: the store lacks a permission
    or the bucket, so that a later try will fail too.
    """

    code = "object_store_unavailable"

    def __init__(
        self, store: str, reason: str, *, step: str | None = None, refused: bool = False
    ) -> None:
        done = f"refused to {step}" if step else "failed"
        super().__init__(
            f"The store of files {store} {done}: {reason}",
            facts={"store": store, "reason": reason, "step": step},
        )
        self.reason = reason
        self.step = step
        self.refused = refused


class ObjectMissingError(ObjectStoreError):
    """The store of files has no such object."""


class FramesUnavailableError(ReelhookError):
    """Videos can't be decoded here at present. The reason is not the video's file."""

    code = "frames_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Videos can't be decoded here: {reason}", facts={"reason": reason})
        self.reason = reason


class FramesTimeoutError(FramesUnavailableError):
    """Decoding a file did not end in time: the machine is busy, or the file makes it hang."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"decoding a file took longer than {seconds:g} s")
