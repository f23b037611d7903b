"""What the log says of each commit, beside Delta's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from ray_backfill.warehouse.protocol import Staged, Version

__all__ = ["about", "version"]

_QUIET = frozenset(
    {
        "timestamp",
        "operation",
        "operationParameters",
        "operationMetrics",
        "engineInfo",
        "clientVersion",
        "version",
        "readVersion",
        "action",
    }
)


def about(
    action: str, run_id: str, staged: Sequence[Staged], days: Sequence[date]
) -> dict[str, Any]:
    """What the log says of a commit beside Delta's own."""
    found = {"action": action, "run_id": run_id, "rows": str(sum(s.rows for s in staged))}
    if days:
        found |= {"dates": str(len(days)), "first": str(min(days)), "last": str(max(days))}
    return found


def version(entry: dict[str, Any]) -> Version:
    own = {key: str(value) for key, value in entry.items() if key not in _QUIET}
    if "action" not in entry:
        given = entry.get("operationParameters") or {}
        own |= {k: str(v) for k, v in given.items() if k not in ("metadata", "protocol")}
    return Version(
        int(entry["version"]),
        datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
        str(entry.get("action") or entry.get("operation", "?").lower()),
        own,
    )
