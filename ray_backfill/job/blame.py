"""Errors of other people's code, in a sentence that says where they come from."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path

from ray_backfill.errors import RefusedError

__all__ = ["lacking", "told"]

_OURS = str(Path(__file__).parents[1])
_PYTHON = sysconfig.get_path("stdlib")
_PACKAGES = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))


def lacking(error: ModuleNotFoundError) -> RefusedError:
    """A package that this Python does not have, as people can mend it."""
    return RefusedError(
        f"This Python, {sys.executable}, has no {error.name or error}, which ray-backfill needs.",
        hint="Run it with the Python that ray-backfill is installed for; that of a cluster's nodes "
        "is named with --python, or is where Ray itself is installed.",
    )


def told(error: BaseException) -> str:
    """An error of foreign code in one line: its type, what it says, and where it was raised."""
    said = " ".join(str(error).split()).rstrip(".")
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    at = None if isinstance(error, SyntaxError) else _place(error)  # a SyntaxError says it itself
    return f"{text} ({Path(at.filename).name}, line {at.lineno})" if at else text


def _place(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost frame that is neither ours nor of an installed package, or the first of one."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", _OURS))
    ]
    packages = [frame for frame in frames if frame.filename.startswith(_PACKAGES)]
    own = [f for f in frames if not f.filename.startswith((_PYTHON, *_PACKAGES))]
    return own[-1] if own else next(iter(packages), None)
