"""Error types of the project. A message says what, where, got against expected, likely cause, next step."""

from __future__ import annotations

import errno
from pathlib import Path


class MouseFaceLiftError(Exception):
    """An error whose message a user can act on.

    Args:
        what: one sentence, what is wrong (names the file, recording, camera or key).
        where: place inside it, when `what` does not name it already.
        got: the value found.
        expected: the value or range needed.
        likely: the likely cause.
        hint: the next step, usually a command.
    """

    exit_code = 2

    def __init__(
        self, what: str, *, where=None, got=None, expected=None, likely: str | None = None, hint: str | None = None
    ) -> None:
        self.what, self.where, self.got, self.expected = what, where, got, expected
        self.likely, self.hint = likely, hint
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"where: {self.where}")
        if self.got is not None or self.expected is not None:
            got = "" if self.got is None else f"got {self.got}"
            expected = "" if self.expected is None else f"expected {self.expected}"
            lines.append(", ".join(part for part in (got, expected) if part))
        if self.likely is not None:
            lines.append(f"likely: {self.likely}")
        if self.hint is not None:
            lines.append(f"try: {self.hint}")
        return "\n  ".join(lines)

    def __reduce__(self):
        keywords = {
            "where": self.where,
            "got": self.got,
            "expected": self.expected,
            "likely": self.likely,
            "hint": self.hint,
        }
        return _rebuild, (type(self), self.what, keywords)


def _rebuild(cls: type, what: str, keywords: dict) -> MouseFaceLiftError:
    return cls(what, **keywords)


class ConfigError(MouseFaceLiftError):
    """config.yaml or a command's arguments are wrong."""


class CalibrationError(MouseFaceLiftError):
    """A calibration cannot be read, or does not agree with the images."""


class CameraError(MouseFaceLiftError):
    """A camera is not a camera: not finite, mirrored, or looking away from what it should see."""


class DataError(MouseFaceLiftError):
    """Videos, images, samples or manifests are missing, broken or contradict each other."""


class MissingWeights(MouseFaceLiftError):
    """Model weights are not where the configuration says; there is never a substitute."""


class GateFailure(MouseFaceLiftError):
    """A quality gate refused to go on."""

    exit_code = 3


REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
REFUSED_WORDS = (
    "unexpected pos",  # torch's writer of archives
    "PytorchStreamWriter",
    *(f"(os error {number})" for number in REFUSED),  # safetensors
    " requested and ",  # numpy: "100000 requested and 30688 written"
)


def is_refused_write(error: BaseException) -> bool:
    """Whether a disk that is full or may not be written to is behind an error, in the words of whatever library wrote:
    torch, safetensors and numpy do not pass the system's error number on
    (findings/torch-save-hides-a-full-disk.sh)."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in REFUSED
    return any(words in str(error) for words in REFUSED_WORDS)


def unwritable(what: str, path: Path | str, error: Exception) -> DataError:
    """The error for a disk that does not take `path`."""
    return DataError(
        f"{what} {path} cannot be written",
        got=(str(error) or type(error).__name__).splitlines()[0],
        likely="a full disk or a read-only folder",
        hint="free space and rerun; what was there before is untouched",
    )
