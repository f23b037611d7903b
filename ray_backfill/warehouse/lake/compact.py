"""Merges the small files of a raw table's dates: many loads of one date become one file.

The rows stay what they are, in the types that they are stored in; the commit says that no data
changed. Delta's own optimizer is not asked: what it writes for statistics hides NaN and infinite
values from readers that skip files, and it commits whoever holds the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction
from polars.exceptions import PolarsError

from ray_backfill.errors import WarehouseError
from ray_backfill.job.table import STAMP
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import commit as _commit
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.lake import read as _read
from ray_backfill.warehouse.lake import stage as _stage
from ray_backfill.warehouse.lake import stats as _stats
from ray_backfill.warehouse.lake.files import File

__all__ = ["OUTPUT", "Compacted", "bins", "compact", "unfit"]

OUTPUT = "it is an output: each date has the file of its run"
"""Why an output is not compacted, which nobody has to be told."""

_SMALL = 16 * 2**20
"""Bytes below which a file is merged with others of its date."""

_LARGEST = 32 * 2**20
"""Bytes of files that are merged into one: all their rows are in memory at once."""

_NULL = "__HIVE_DEFAULT_PARTITION__"
_BATCH = 256
"""Files that are written between two commits."""

_LOOK = 16
"""Files that are written between two looks at the lease."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """How many files were merged into how many, and what could not be read."""

    sources: int = 0
    merged: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Merged:
    """A new file that no reader sees yet, and those whose rows it holds."""

    path: str
    size: int
    stats: str
    sources: tuple[File, ...]

    def add(self) -> AddAction:
        values = dict(self.sources[0].partition)
        return AddAction(
            self.path, self.size, values, time.time_ns() // 1_000_000, False, self.stats
        )


def unfit(stored: DeltaTable) -> str:
    """Why a table is not compacted here; empty for one that is."""
    types = _arrow.stored_types(stored)
    if all(column.name in types for column in STAMP):
        return OUTPUT
    if foreign := _commit.foreign(stored):
        return "; ".join(foreign)
    columns = stored.metadata().partition_columns
    if len(columns) > 1 or any(types[name][0] != "date" for name in columns):
        return f"it is partitioned by {', '.join(columns)}"
    if types.keys() <= set(columns):
        return "it has no column beside its dates"
    unknown = sorted({kind for kind, _ in types.values() if not _arrow.is_known(kind)})
    return f"it has columns of type {', '.join(unknown)}" if unknown else ""


def bins(files: Collection[File]) -> list[tuple[File, ...]]:
    """Files that become one, two or more of a date each; those with deleted rows are left."""
    by_date: dict[tuple[tuple[str, str | None], ...], list[File]] = {}
    for file in sorted(files, key=lambda file: file.path):
        if file.size < _SMALL and not file.deleted:
            by_date.setdefault(file.partition, []).append(file)
    return [part for small in by_date.values() for part in _filled(small) if len(part) > 1]


def _filled(files: Sequence[File]) -> Iterator[tuple[File, ...]]:
    part: list[File] = []
    for file in files:
        if part and sum(f.size for f in part) + file.size > _LARGEST:
            yield tuple(part)
            part = []
        part.append(file)
    yield tuple(part)


def compact(uri: str, name: str, run_id: str, guard: Callable[[], object]) -> Compacted:
    """Merge the small files of a table, some dates at a commit.

    `guard` is called again and again, and may raise: what is not committed is deleted then. A
    file whose rows cannot be read is named, and its date left as it is.
    """
    stored = _files.open_table(uri, name)
    waiting = iter(bins(_files.active_files(stored, None)))
    sources = merged = 0
    problems: list[str] = []
    while part := list(islice(waiting, _BATCH)):
        written: list[_Merged] = []
        try:
            for number, files in enumerate(part):
                if number % _LOOK == 0:
                    guard()
                try:
                    written.append(_written(uri, name, stored, files, run_id))
                except WarehouseError as error:
                    problems.append(error.message)
            done = _committed(uri, name, written, run_id, guard)
        except BaseException:
            _discard(uri, name, written)
            raise
        # Where others replaced a source meanwhile, nobody needs the merged file.
        _discard(uri, name, [item for item in written if item not in done])
        sources += sum(len(item.sources) for item in done)
        merged += len(done)
    return Compacted(sources, merged, tuple(problems))


def _written(
    uri: str, name: str, stored: DeltaTable, files: tuple[File, ...], run_id: str
) -> _Merged:
    """Write the rows of these files to a new one; raises `WarehouseError` if they are not whole."""
    folder = _objects.join(uri, _objects.table_folder(name))
    partition = stored.metadata().partition_columns
    types = {
        column: _arrow.polars_type(kind)
        for column, (kind, _) in _arrow.stored_types(stored).items()
        if column not in partition
    }
    urls = [file.url(folder) for file in files]
    try:
        rows = _read.scan(urls, types).select(list(types)).collect()
    except (PolarsError, OSError) as error:
        text = _objects.printable(str(error).partition("\n")[0]).rstrip(".")
        raise WarehouseError(
            f"{name}: files of {_date_of(files)} cannot be read: {text}."
        ) from error
    expected = sum(_read.counted(file, folder).rows or 0 for file in files)
    if rows.height != expected:
        raise WarehouseError(
            f"{name}: the files of {_date_of(files)} hold {rows.height:,} rows, and the log says "
            f"{expected:,}."
        )
    path = _stage.data_file(_folder_of(files[0]), run_id, "compact")
    where = f"{_objects.table_folder(name)}/{path}"
    with _objects.translated(f"Writing {_objects.join(uri, where)}"):
        size = _stage.write(uri, where, rows)
    return _Merged(path, size, _stats.of_rows(rows), files)


def _folder_of(file: File) -> str:
    """Where the files of a date are, whatever another tool calls that."""
    return "".join(f"{name}={value or _NULL}/" for name, value in file.partition)


def _date_of(files: Sequence[File]) -> str:
    return next((str(value) for _, value in files[0].partition), "the table")


def _committed(
    uri: str, name: str, written: Sequence[_Merged], run_id: str, guard: Callable[[], object]
) -> Sequence[_Merged]:
    """Put the merged files in the place of theirs in one commit; gives those that stand."""
    for attempt in range(_commit.ATTEMPTS):
        stored = _files.open_table(uri, name)
        active = {file.path: file for file in _files.active_files(stored, None)}
        standing = [item for item in written if item.path in active]
        fitting = [item for item in written if all(active.get(f.path) == f for f in item.sources)]
        if not fitting:
            return standing
        guard()
        about: dict[str, Any] = {"action": "compact", "run_id": run_id}
        about["files"] = str(sum(len(item.sources) for item in fitting))
        removes = [_commit.remove(f, changes=False) for item in fitting for f in item.sources]
        try:
            stored.create_write_transaction(
                [*(item.add() for item in fitting), *removes],
                "append",
                stored.schema(),
                stored.metadata().partition_columns,
                commit_properties=_commit.properties(about),
            )
        except CommitFailedError:
            _commit.pause(attempt)
        except (DeltaError, OSError) as error:
            now = {f.path for f in _files.active_files(_files.open_table(uri, name), None)}
            if not now.issuperset(item.path for item in fitting):
                raise _commit.failed(_objects.join(uri, name), error) from error
        else:
            return [*standing, *fitting]
    raise WarehouseError(f"{name} changed under {_commit.ATTEMPTS} attempts to compact it.")


def _discard(uri: str, name: str, unwanted: Sequence[_Merged]) -> None:
    """Delete merged files that the log does not name after all."""
    if not unwanted:
        return
    active = {f.path for f in _files.active_files(_files.open_table(uri, name), None)}
    for item in unwanted:
        if item.path not in active:
            _objects.delete(uri, f"{_objects.table_folder(name)}/{item.path}")
