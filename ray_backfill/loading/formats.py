"""Reads a file to a frame in its contract's dtypes, or says which value of which row is wrong."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from ray_backfill.errors import DataError
from ray_backfill.job.table import Table
from ray_backfill.loading.kinds import Format, format_of
from ray_backfill.loading.rows import (
    Loaded,
    complete,
    first_wrong,
    from_path,
    refused,
    require,
    without_nan,
)
from ray_backfill.loading.text import read_csv, read_ndjson
from ray_backfill.loading.values import from_typed

__all__ = ["Loaded", "read_file"]


def read_file(table: Table, path: Path) -> Loaded:
    """The checked rows of a file.

    Raises `ContractError` naming file, row or line, column and value; `DataError` for a file
    that is empty or cannot be read.
    """
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes).", hint="Was its export cut short?")
        found = format_of(path.name)
        if found is Format.PARQUET:
            return _parquet(table, path)
        return _joined(table, (read_ndjson if found is Format.JSON else read_csv)(table, path))
    except UnicodeDecodeError as error:
        why = f"it is not UTF-8 ({error.reason})"
        raise _unreadable(path, why, "Save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error, csv.Error, PolarsError) as error:
        raise _unreadable(path, str(error).partition("\n")[0]) from error


def _unreadable(path: Path, why: str, hint: str = "") -> DataError:
    return DataError(
        f"{path} cannot be read: {why.rstrip('.')}. Nothing was loaded.",
        hint=hint or "Export the file again, or check its name: the ending says what it is.",
    )


def _joined(table: Table, parts: Iterator[Loaded]) -> Loaded:
    found = list(parts)
    rows = pl.concat([part.rows for part in found]) if found else table.empty()
    extra = dict.fromkeys(name for part in found for name in part.extra)
    guessed = next((part.guessed for part in found if part.guessed), "")
    return Loaded(rows, tuple(extra), sum(part.nan for part in found), guessed)


def _parquet(table: Table, path: Path) -> Loaded:
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    names = scan.collect_schema().names()
    fixed = from_path(table, path, names)
    require(table, path, [*names, *fixed])
    frame = scan.select(c.name for c in table.columns if c.name in names).collect()
    found: dict[str, pl.Series] = {}
    wrong: list[tuple[int, str]] = []
    nan = 0
    for column in table.columns:
        if column.name in frame.columns:
            given, absent = without_nan(frame[column.name])
            nan += absent
            found[column.name] = from_typed(column.kind, given)
            wrong += first_wrong(column, given, found[column.name])
    if wrong:
        row, what = min(wrong)
        raise refused(f"{path}, row {row + 1}, {what}")
    extra = tuple(name for name in names if name not in table.schema())
    return Loaded(complete(table, found, fixed, frame.height, f"{path}, row 1"), extra, nan)
