"""Commits to the log: every change of a table is one atomic entry."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from ray_backfill.errors import ContractError, RefusedError, WarehouseError
from ray_backfill.job.table import Table
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.files import (
    File,
    active_files,
    open_table,
    partition_column,
    place,
)
from ray_backfill.warehouse.protocol import Staged

__all__ = [
    "ALL",
    "ATTEMPTS",
    "commit",
    "create",
    "differences",
    "evolve",
    "failed",
    "fits",
    "foreign",
    "overwrite",
    "pause",
    "properties",
    "remove",
]

ALL = "all"
"""Replace every file of the table."""

ATTEMPTS = 60

_KEPT = frozenset({"appendOnly", "deletionVectors", "invariants", "timestampNtz"})
"""Writer features of Delta under which whole dates can be replaced."""


def create(uri: str, table: Table, staged: Sequence[Staged], about: dict[str, Any]) -> bool:
    """Create the table with these files in its first version; False where it exists."""
    where = place(uri, table.name)
    if _objects.is_local(uri):
        _objects.make_folder(where)
    try:
        create_table_with_add_actions(
            where,
            _arrow.delta_schema(table.columns),
            [_add(table, s) for s in staged],
            "error",
            [table.partition] if table.partition else [],
            name=table.name,
            description=table.description or None,
            # Old versions stay in the log, so that they can be restored and never swept.
            configuration={"delta.enableExpiredLogCleanup": "false"},
            commit_properties=properties(about),
        )
    except (DeltaError, OSError) as error:
        if DeltaTable.is_deltatable(where):
            return False
        # An empty log would be listed as a broken table.
        _objects.remove_empty(uri, _objects.table_folder(table.name))
        raise failed(where, error) from error
    return True


def properties(about: dict[str, Any]) -> CommitProperties:
    """What a commit says of itself, and that it is tried once."""
    # Delta's own retries would commit on top of changes that our removes do not know of.
    return CommitProperties(custom_metadata=about, max_commit_retries=0)


def commit(
    uri: str,
    table: Table,
    staged: Sequence[Staged],
    replaced: Collection[date] | str,
    about: dict[str, Any],
    guard: Callable[[], object] = lambda: None,
) -> int:
    """Add the staged files and remove all others of the replaced dates, in one commit.

    `guard` is called before each attempt and may raise. Gives the version in which it holds.
    A commit that lost a race is computed anew against the newest version; one that stands
    already (its answer got lost) is not repeated.
    """
    for attempt in range(ATTEMPTS):
        stored = open_table(uri, table.name)
        guard()
        change = _pending(table, stored, staged, replaced)
        if not change:
            return stored.version()
        _verify(uri, table, staged)
        try:
            change.write(stored, about)
        except CommitFailedError:
            pause(attempt)
            continue
        except (DeltaError, OSError) as error:
            if not _pending(table, open_table(uri, table.name), staged, replaced):
                continue  # it stands; what failed came after the commit
            raise failed(_objects.join(uri, table.name), error) from error
        return stored.version() + 1
    raise WarehouseError(
        f"{table.name} changed under {ATTEMPTS} attempts to publish; nothing was published.",
        hint="Others write to the table all the time; try again when they have ended.",
    )


def pause(attempt: int) -> None:
    """Wait a little, so that of those who lost a race not all try again at once."""
    time.sleep(random.uniform(0, 0.005 * min(attempt + 1, 20)))  # noqa: S311


def failed(where: str, error: Exception) -> WarehouseError:
    """An error of a commit as a sentence for people."""
    return _objects.explained(f"Committing to {where}", error, "Nothing was published.")


@dataclass(frozen=True, slots=True)
class _Change:
    """What is left to do in one commit; false where that is nothing.

    `filters` say the same as the removes: whole dates, or the whole table without any.
    """

    adds: Sequence[AddAction]
    removes: Sequence[File]
    filters: list[tuple[str, str, list[str]]] | None

    def __bool__(self) -> bool:
        return bool(self.adds or self.removes)

    def write(self, stored: DeltaTable, about: dict[str, Any]) -> None:
        """Commit it on top of this version, or not at all."""
        # A remove that lacks the deletion vector of its file removes nothing, and the library's
        # own removes alone carry it: there it is told which dates to overwrite.
        by_library = any(file.deleted for file in self.removes)
        stored.create_write_transaction(
            [*self.adds, *([] if by_library else map(remove, self.removes))],
            "overwrite" if by_library else "append",
            stored.schema(),
            stored.metadata().partition_columns,
            partition_filters=self.filters if by_library else None,
            commit_properties=properties(about),
        )


def _pending(
    table: Table, stored: DeltaTable, staged: Sequence[Staged], replaced: Collection[date] | str
) -> _Change:
    """What is left to do for the table to hold the staged files alone."""
    active = {file.path: file for file in active_files(stored, partition_column(table, stored))}
    ours = {str(s.handle["path"]): s for s in staged}
    adds = [_add(table, s) for path, s in ours.items() if path not in active]
    removes = [
        file
        for path, file in active.items()
        if path not in ours and (replaced == ALL or file.day in replaced)
    ]
    days = sorted(str(day) for day in replaced) if replaced != ALL else []
    filters = [(table.partition, "in", days)] if table.partition and days else None
    return _Change(adds, removes, filters)


def remove(file: File, *, changes: bool = True) -> RemoveAction:
    """Take a file out of the table; `changes`: its rows do not stand in another."""
    when = time.time_ns() // 1_000_000
    return RemoveAction(file.path, changes, when, file.size, dict(file.partition))


def _add(table: Table, staged: Staged) -> AddAction:
    values = {table.partition: staged.day.isoformat()} if table.partition else {}
    handle = staged.handle
    return AddAction(
        str(handle["path"]),
        int(handle["size"]),
        values,
        int(handle["mtime"]),
        True,
        str(handle["stats"]),
    )


def _verify(uri: str, table: Table, staged: Sequence[Staged]) -> None:
    """Every staged file is still there, whole; raises `WarehouseError`."""
    folder = _objects.table_folder(table.name)
    paths = [f"{folder}/{s.handle['path']}" for s in staged]
    with ThreadPoolExecutor(8) as pool, _objects.translated("Looking at the staged files"):
        sizes = list(pool.map(lambda path: _objects.size_of(uri, path), paths))
    for item, path, size in zip(staged, paths, sizes, strict=True):
        if size != item.handle["size"]:
            what = "is gone" if size is None else f"has {size:,} bytes instead of {item.bytes:,}"
            raise WarehouseError(
                f"The staged file of {item.day} {what}: {_objects.join(uri, path)}. "
                "Nothing was published.",
                hint="Run the same command again: the date is computed anew.",
            )


def differences(table: Table, stored: DeltaTable) -> list[str]:
    """How a stored output differs from its contract, new nullable columns apart."""
    have = _arrow.stored_types(stored)
    want = _arrow.contract_types(table)
    found = [f"column {name} is in the table alone" for name in have if name not in want]
    for name, (kind, nullable) in want.items():
        if name not in have:
            if not nullable:
                found.append(f"new column {name} is not nullable")
        elif have[name] != (kind, nullable):
            is_now, wanted = (f"{k}{'' if n else ' not null'}" for k, n in (have[name], want[name]))
            found.append(f"column {name} is {is_now}, and the job says {wanted}")
    columns = list(stored.metadata().partition_columns)
    if columns != [table.partition] * bool(table.partition):
        found.append(f"partitioned by {columns or 'nothing'}, and the job says {table.partition}")
    return found + foreign(stored)


def foreign(stored: DeltaTable) -> list[str]:
    """What the table asks of its writers that replacing dates here would not keep."""
    protocol = stored.protocol()
    if protocol.min_writer_version <= 2:
        asked = []
    elif protocol.writer_features is None:
        asked = [f"writer version {protocol.min_writer_version}"]
    else:
        asked = sorted(set(protocol.writer_features) - _KEPT)
    found = [f"it uses Delta's {', '.join(asked)}, which this tool does not keep"] if asked else []
    if stored.metadata().configuration.get("delta.appendOnly") == "true":
        found.append("it is delta.appendOnly: no date of it can be replaced")
    return found


def fits(table: Table, stored: DeltaTable) -> None:
    """Raise `ContractError` where rows of the contract cannot be added to a raw table."""
    have = _arrow.stored_types(stored)
    want = _arrow.contract_types(table)
    wrong = [
        f"{name} is stored as {have[name][0]}, and must be {kind}"
        for name, (kind, _) in want.items()
        if name in have and have[name][0] != kind
    ]
    wrong += [
        f"{name} is stored as NOT NULL, and the contract does not know it"
        for name, (_, nullable) in have.items()
        if name not in want and not nullable
    ]
    columns = list(stored.metadata().partition_columns)
    if columns != [table.partition] * bool(table.partition):
        wrong.append(f"it is partitioned by {', '.join(columns) or 'nothing'}")
    if stored.protocol().min_writer_version > 2:
        wrong.append("it uses features of Delta that only its own writer keeps")
    if wrong:
        raise ContractError(
            f"Rows cannot be added to {table.name}: {'; '.join(wrong)}.",
            hint="Add them with the tool that writes the table, or load into a new one.",
        )


def evolve(uri: str, table: Table, stored: DeltaTable) -> None:
    """Add the contract's columns that the stored table lacks, as nullable ones."""
    for _ in range(ATTEMPTS):
        have = _arrow.stored_types(stored)
        new = [c for c in table.columns if c.name not in have]
        if not new:
            return
        refused = [c.name for c in new if not _arrow.missing_ok(c)]
        if refused:
            raise ContractError(f"{table.name} has no column {', '.join(refused)}.")
        fields = _arrow.delta_schema(new, nullable=True).fields
        try:
            stored.alter.add_columns(fields, commit_properties=properties({"action": "columns"}))
        except CommitFailedError:
            pass  # others may have added them
        except (DeltaError, OSError) as error:
            raise failed(table.name, error) from error
        stored = open_table(uri, table.name)


def overwrite(
    uri: str,
    table: Table,
    staged: Sequence[Staged],
    about: dict[str, Any],
    guard: Callable[[], object],
) -> int:
    """Make the table hold the staged files alone, in the schema of its contract, in one commit.

    `guard` and the version that it gives: see `commit`. Raises `RefusedError` for other
    partitions than the contract's, which a Delta table keeps for good.
    """
    for attempt in range(ATTEMPTS):
        stored = open_table(uri, table.name)
        guard()
        by = list(stored.metadata().partition_columns)
        if by != [table.partition]:
            raise RefusedError(
                f"{table.name} is partitioned by {', '.join(by) or 'nothing'}, and cannot be "
                f"rebuilt in its place by {table.partition}.",
                hint="Move the table away, or give the job's output another name.",
            )
        if attempt and not _pending(table, stored, staged, ALL):
            return stored.version()  # it stands; its answer got lost
        adds: list[AddAction | RemoveAction] = [_add(table, item) for item in staged]
        schema = _arrow.delta_schema(table.columns)
        try:
            stored.create_write_transaction(
                adds, "overwrite", schema, by, commit_properties=properties(about)
            )
        except CommitFailedError:
            continue
        except (DeltaError, OSError) as error:
            if not _pending(table, open_table(uri, table.name), staged, ALL):
                continue
            raise failed(_objects.join(uri, table.name), error) from error
        return stored.version() + 1
    raise WarehouseError(
        f"{table.name} changed under {ATTEMPTS} attempts to replace it; nothing was replaced.",
        hint="Others write to the table all the time; try again when they have ended.",
    )
