"""stdout and stderr that may be lost or poor: neither changes what a command does, nor its end.

What a stream cannot encode is written in its place. What a stream does not take, because its
reader went away or its disk is full, goes nowhere from then on.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import TextIO

__all__ = ["failure", "flush", "make_steady"]

_PLAIN = {
    **dict.fromkeys("–—−─━╸╺", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    **{"…": "...", "→": "->", "×": "x", "·": "*", "÷": "/", "≤": "<=", "≥": ">="},
}
"""What our own words and tables use beyond ASCII; other characters are escaped, so that two
names never look the same."""
_HANDLER = "ray_backfill.job.plain"


class _Steady(io.RawIOBase):
    """A file descriptor that takes everything; `lost` is the error of the first that it did not."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.lost: OSError | None = None

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        held = bytes(memoryview(data))  # type: ignore[arg-type]
        try:
            return os.write(self._fd, held)
        except BlockingIOError:
            # Whoever shares the terminal or pipe made it so; a part of a line helps nobody.
            select.select([], [self._fd], [])
            return self.write(held)
        except OSError as error:
            self.lost = error
            # For Ray and whatever else writes to the descriptor itself.
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
                os.dup2(nowhere.fileno(), self._fd)
            return len(held)


def make_steady() -> None:
    """Replace stdout and stderr; each that was closed, and stdin, lead nowhere."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # The next file that is opened would get its number, and what is printed.
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error(_HANDLER, _in_plain)
    sys.stdout = _steady(1, sys.stdout)
    sys.stderr = _steady(2, sys.stderr)


def _steady(fd: int, before: TextIO | None) -> TextIO:
    # None: it was closed when Python started.
    through = bool(getattr(before, "write_through", False))
    return io.TextIOWrapper(
        io.BufferedWriter(_Steady(fd)),
        encoding=(before and before.encoding) or "utf-8",
        errors=_HANDLER,
        line_buffering=fd == 2 or os.isatty(fd),
        write_through=through,
    )


def _in_plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or ascii(c)[1:-1] for c in text), error.end


def flush() -> None:
    """Write out what is still held."""
    sys.stdout.flush()
    sys.stderr.flush()


def failure() -> str:
    """Why what was printed did not arrive; empty where it did, or where its reader went away."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    lost = raw.lost if isinstance(raw, _Steady) else None
    return "" if lost is None or lost.errno == errno.EPIPE else str(lost.strerror)
