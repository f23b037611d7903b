"""Reads columns of a stored table in the dtypes of its contract."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, NoReturn

import polars as pl
from polars.exceptions import PolarsError

from ray_backfill.errors import ContractError, WarehouseError
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Column, Table
from ray_backfill.warehouse import frames as _arrow
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.files import File, active_files, is_plain, partition_column

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

__all__ = ["counted", "read", "scan"]

_PATH = "__path__"
_CASTS = pl.ScanCastOptions(
    integer_cast="upcast",
    float_cast=["upcast", "downcast"],
    datetime_cast=["nanosecond-downcast", "millisecond-upcast", "convert-timezone"],
)


def read(
    stored: DeltaTable,
    folder: str,
    table: Table,
    columns: Sequence[str],
    days: DateRange | Collection[date] | None,
) -> pa.Table:
    """These columns of these dates; see `Warehouse.read`."""
    partition = partition_column(table, stored)
    wanted = [_column(table, name) for name in dict.fromkeys(columns)]
    types = _types(table, wanted, stored)
    if days is not None and partition is None:
        raise ContractError(f"{table.name} has no partitions: it cannot be read by date.")
    files = active_files(stored, partition, days)
    if not files:
        frame = pl.DataFrame(schema=dict(types))
    elif is_plain(table, stored):
        frame = _scan_files(files, folder, table, types, stored)
    else:
        for file in files:
            file.url(folder)  # Delta's reader would follow a link out of the lake
        frame = _scan_delta(stored, table, types, [f.day for f in files if f.day])
    return _arrow.completed(frame, wanted).to_arrow()


def _column(table: Table, name: str) -> Column:
    found = next((c for c in table.columns if c.name == name), None)
    if found is None:
        raise ContractError(f"The contract of {table.name} has no column {name}.")
    return found


def _types(table: Table, wanted: Sequence[Column], stored: DeltaTable) -> dict[str, pl.DataType]:
    """Stored column -> dtype, of those wanted that the table has; raises `ContractError`."""
    have = _arrow.stored_types(stored)
    found = {}
    for column in wanted:
        if column.name not in have:
            if not _arrow.missing_ok(column):
                raise ContractError(
                    f"{table.name} has no column {column.name}, which is required.",
                    hint="Load the table again with it.",
                )
            continue
        name = have[column.name][0]
        if not _arrow.readable(column.kind, name):
            raise ContractError(
                f"{table.name}.{column.name} is stored as {name}, and must be {column.kind}.",
                hint="Load the table again with that type.",
            )
        found[column.name] = _arrow.polars_type(name)
    return found


def _scan_files(
    files: Sequence[File],
    folder: str,
    table: Table,
    types: dict[str, pl.DataType],
    stored: DeltaTable,
) -> pl.DataFrame:
    inside = {name: dtype for name, dtype in types.items() if name != table.partition}
    if not inside:  # some column has to be read for the rows to be counted
        name = next(n for n in _arrow.stored_types(stored) if n != table.partition)
        inside = {name: _arrow.polars_type(_arrow.stored_types(stored)[name][0])}
    urls = [file.url(folder) for file in files]
    try:
        frame = scan(urls, inside).collect()
    except (PolarsError, OSError) as error:
        _blame(files, urls, table, inside, error)
    if table.partition not in types:
        return frame.select(*types) if types else frame
    days = pl.DataFrame(
        {_PATH: urls, table.partition: [file.day for file in files]},
        schema_overrides={table.partition: pl.Date},
    )
    return frame.join(days, on=_PATH, how="left", maintain_order="left").select(*types)


def scan(urls: list[str], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
    """Rows of these files in these dtypes; columns that a file lacks are NULL."""
    return pl.scan_parquet(
        urls,
        schema=schema,
        glob=False,
        hive_partitioning=False,
        include_file_paths=_PATH,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=_CASTS,
    )


def _blame(
    files: Sequence[File],
    urls: Sequence[str],
    table: Table,
    schema: dict[str, pl.DataType],
    error: Exception,
) -> NoReturn:
    """Find the file that cannot be read, and say so; Polars does not always name it."""
    for file, url in zip(files, urls, strict=True):
        try:
            scan([url], schema).collect()
        except FileNotFoundError as cause:
            raise _unreadable(table, file, url, "is missing") from cause
        except (PolarsError, OSError) as cause:
            text = _objects.printable(str(cause).partition("\n")[0])
            raise _unreadable(table, file, url, f"cannot be read: {text}") from cause
    raise WarehouseError(f"{table.name} could not be read: {error}.") from error


def _unreadable(table: Table, file: File, url: str, what: str) -> WarehouseError:
    of = f" of {file.day}" if file.day else ""
    return WarehouseError(
        f"{table.name}: the file{of} {what.rstrip('.')}: {url}.",
        hint="Put the file back from a copy; or load the date again with "
        "`ray-backfill load --replace` (a raw table), or recompute it (an output).",
    )


def _scan_delta(
    stored: DeltaTable, table: Table, types: dict[str, pl.DataType], days: Sequence[date]
) -> pl.DataFrame:
    """Through Delta's own reader, for tables whose files alone do not hold the rows."""
    names = list(types) or [next(iter(_arrow.stored_types(stored)))]
    predicate = None
    if table.partition:
        listed = ", ".join(f"DATE '{day}'" for day in sorted(set(days)))
        predicate = f"{table.partition} IN ({listed})"
    try:
        return pl.DataFrame(stored.scan(columns=names, predicate=predicate))
    except Exception as error:  # Delta's reader has no base class of its own
        raise WarehouseError(f"{table.name} could not be read: {error}.") from error


def counted(file: File, folder: str) -> File:
    """The file with its rows, which are counted where the log does not say."""
    if file.rows is not None:
        return file
    url = file.url(folder)
    try:
        rows = int(pl.scan_parquet(url, glob=False).select(pl.len()).collect().item())
    except (PolarsError, OSError) as error:
        raise WarehouseError(f"The file {url} cannot be read: {error}.") from error
    return replace(file, rows=rows)
