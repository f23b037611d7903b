"""Which process holds a lease, so that a dead one on this machine is known at once.

Only where /proc tells it (Linux); elsewhere a dead run's lease runs out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["identity", "is_dead"]

_PROC = Path("/proc")


def identity() -> dict[str, Any]:
    """This process: machine, boot and process namespace in one text, pid, start time."""
    return {"machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid()) or ""}


def is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this machine that does not run any more.

    False wherever that cannot be known: another machine, another container, no /proc, or a
    process of another user that `hidepid` hides.
    """
    machine, pid = _machine(), str(holder.get("pid", ""))
    if not machine or holder.get("machine") != machine or not holder.get("started"):
        return False
    if not re.fullmatch("[1-9][0-9]*", pid, re.ASCII):
        return False
    if not _exists(int(pid)):
        return True
    found = _started(int(pid))
    return found is not None and found != holder["started"]


def _exists(pid: int) -> bool:
    """Whether any process has this id, also one that may not be looked at or signalled."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Clock ticks since boot at which a process started; empty for a zombie, None if unknown."""
    try:
        # The name may hold spaces and brackets: fields are counted from behind the last one.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] == "Z" else fields[19]
