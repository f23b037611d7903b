"""A long history made up: versions of a table's log, journals and reports, without the runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.warehouse import Lake

__all__ = ["age_table", "leave_runs"]


def age_table(lake: Lake, name: str, versions: int) -> None:
    """Add so many versions to a table: each replaces a file that none of its dates holds.

    The rows stay what they are. A checkpoint stands ten versions before the end.
    """
    from deltalake import DeltaTable

    folder = f"{lake.uri}/{name.replace('.', '/')}"
    table = DeltaTable(folder)
    first, column = table.version() + 1, table.metadata().partition_columns[0]
    last = first + versions - 1
    began = datetime.now(UTC) - timedelta(days=versions + 2)
    for version in range(first, last + 1):
        at = int((began + timedelta(days=version - first)).timestamp() * 1000)
        info = {"timestamp": at, "operation": "WRITE", "action": "publish", "run_id": f"r{version}"}
        actions: list[dict[str, Any]] = [{"commitInfo": info}]
        if version > first:
            actions.append({"remove": _file(column, version - 1, at)})
        if version < last:
            actions.append({"add": _file(column, version, at) | {"stats": '{"numRecords":1}'}})
        path = f"{name.replace('.', '/')}/_delta_log/{version:020d}.json"
        _objects.put(lake.uri, path, "\n".join(map(json.dumps, actions)).encode())
        if version == last - 10:
            DeltaTable(folder).create_checkpoint()


def _file(column: str, version: int, at: int) -> dict[str, Any]:
    """An action over a file that is not there any more."""
    return {
        "path": f"{column}=1999-01-01/r{version}.t.{version:032x}.parquet",
        "partitionValues": {column: "1999-01-01"},
        "size": 1000,
        "dataChange": True,
        "modificationTime": at,
        "deletionTimestamp": at,
    }


def leave_runs(lake: Lake, table: str, count: int) -> list[str]:
    """Journals and reports of so many runs, one a night, of which each had one date to do."""
    found = []
    for n in range(count):
        at = datetime.now(UTC) - timedelta(days=count - n + 1)
        run_id = f"{at:%Y%m%dT%H%M%S}000-{n:06x}"
        day = str(at.date())
        begun = {"run_id": run_id, "job": "any", "table": table, "workers": 1}
        events: list[dict[str, Any]] = [
            {"event": "run", **begun, "planned": {day: 3}},
            {"event": "published", "days": {day: 3}, "span": day},
            {"event": "end", "exit_code": 0, "verdict": "all 1 planned dates published"},
        ]
        lines = [json.dumps({"at": at.timestamp(), **event}) for event in events]
        lake.put_object(f"runs/{table}/{run_id}.ndjson", ("\n".join(lines) + "\n").encode())
        report = {"run_id": run_id, "job": "any", "table": table, "rows": 3, "compute_seconds": 1.0}
        lake.put_object(f"reports/{table}/{run_id}.json", json.dumps(report).encode())
        found.append(run_id)
    return found
