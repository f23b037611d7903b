"""Reads a file to a frame in its contract's dtypes, or says which value of which row is wrong."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl
from polars.exceptions import PolarsError

from ray_backfill._load_values import WORDS, from_objects, from_text, from_typed
from ray_backfill.contract import Column, Table
from ray_backfill.errors import ContractError, DataError

__all__ = ["SUFFIXES", "Loaded", "read_file"]

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")

_BATCH = 20_000


@dataclass(frozen=True)
class Loaded:
    """The rows of one file, and the columns of it that the contract does not have.

    `nan` counts the NaN that became NULL: other tools write a missing number so.
    """

    rows: pl.DataFrame
    extra: tuple[str, ...]
    nan: int = 0


@dataclass(frozen=True)
class _Batch:
    """Some rows of a text file: the line that each begins at, and its values by column."""

    lines: Sequence[int]
    values: Mapping[str, Sequence[Any]]


def read_file(table: Table, path: Path) -> Loaded:
    """The checked rows of a file.

    Raises `ContractError` naming file, row or line, column and value; `DataError` for a file
    that is empty or cannot be read.
    """
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes).", hint="Was its export cut short?")
        if path.name.endswith(".parquet"):
            return _parquet(table, path)
        text = _csv(table, path) if ".csv" in path.suffixes[-2:] else _ndjson(table, path)
        return _joined(table, text)
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8 ({error.reason})") from error
    except (OSError, EOFError, zlib.error, csv.Error, PolarsError) as error:
        raise _unreadable(path, str(error).partition("\n")[0]) from error


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} cannot be read: {why.rstrip('.')}. Nothing was loaded.",
        hint="Export the file again, or check its name: the ending says what it is.",
    )


def _joined(table: Table, parts: Iterator[Loaded]) -> Loaded:
    found = list(parts)
    rows = pl.concat([part.rows for part in found]) if found else table.empty()
    extra = dict.fromkeys(name for part in found for name in part.extra)
    return Loaded(rows, tuple(extra), sum(part.nan for part in found))


def _without_nan(values: pl.Series) -> tuple[pl.Series, int]:
    count = int(values.is_nan().sum()) if values.dtype.is_float() else 0
    return (values.fill_nan(None) if count else values), count


# -- Parquet -----------------------------------------------------------------------------------
def _parquet(table: Table, path: Path) -> Loaded:
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    names = scan.collect_schema().names()
    fixed = _from_path(table, path, names)
    _require(table, path, [*names, *fixed])
    frame = scan.select(c.name for c in table.columns if c.name in names).collect()
    found: dict[str, pl.Series] = {}
    wrong: list[tuple[int, str]] = []
    nan = 0
    for column in table.columns:
        if column.name in frame.columns:
            given, absent = _without_nan(frame[column.name])
            nan += absent
            found[column.name] = from_typed(column.kind, given)
            wrong += _first_wrong(column, given, found[column.name])
    if wrong:
        row, what = min(wrong)
        raise _refused(f"{path}, row {row + 1}, {what}")
    extra = tuple(name for name in names if name not in table.schema())
    return Loaded(_complete(table, found, fixed, frame.height, f"{path}, row 1"), extra, nan)


def _first_wrong(column: Column, given: pl.Series, cast: pl.Series) -> list[tuple[int, str]]:
    """The first value of a column that is not of its kind, or NULL where it must not be."""
    found = []
    if (row := _first(given.is_not_null() & cast.is_null())) is not None:
        found.append((row, _not_a(column, given[row])))
    if not column.nullable and (row := _first(given.is_null())) is not None:
        found.append((row, _is_null(column)))
    return found


def _first(mask: pl.Series) -> int | None:
    return int(mask.arg_true()[0]) if mask.any() else None


def _not_a(column: Column, value: Any) -> str:
    shown = value.isoformat() if isinstance(value, date) else value
    text = shown if isinstance(shown, str) else json.dumps(shown, default=str)
    shortened = text if len(text) <= 80 else f"{text[:77]}…"
    kind = "text " if isinstance(value, str) else ""
    return f"column {column.name}: {kind}'{shortened}' is not {WORDS[column.kind]}"


def _is_null(column: Column) -> str:
    return f"column {column.name}: NULL, where there must be {WORDS[column.kind]}"


def _refused(what: str) -> ContractError:
    return ContractError(f"{what}. Nothing was loaded.", hint="Correct the file and load it again.")


def _from_path(table: Table, path: Path, names: Sequence[str]) -> dict[str, date]:
    """The partition date of a folder like `game_date=2025-11-30`, where the file lacks it."""
    if not table.partition or table.partition in names:
        return {}
    prefix = f"{table.partition}="
    for part in reversed(path.parts[:-1]):
        if part.startswith(prefix) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", part[len(prefix) :]):
            try:
                return {table.partition: date.fromisoformat(part[len(prefix) :])}
            except ValueError as error:
                raise _refused(f"{path}: folder {part}: {error}") from error
    return {}


def _require(table: Table, path: Path, names: Sequence[str], *, only_strict: bool = False) -> None:
    """Raise `ContractError` for columns that may not be absent (or NULL: `only_strict`)."""
    needed = [c.name for c in table.columns if not (c.nullable if only_strict else c.optional)]
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise ContractError(
            f"{path} has no column {', '.join(lacking)}, which {table.name} needs. "
            "Nothing was loaded.",
            hint=f"It has: {', '.join(names) or 'none'}.",
        )


def _complete(
    table: Table, found: Mapping[str, pl.Series], fixed: Mapping[str, date], rows: int, where: str
) -> pl.DataFrame:
    """All columns of the contract in order; those absent are NULL."""
    for column in table.columns:
        absent = column.name not in found and column.name not in fixed
        if rows and absent and not column.nullable:
            raise _refused(f"{where}, {_is_null(column)}")
    series = [
        found[c.name].alias(c.name)
        if c.name in found
        else pl.repeat(fixed.get(c.name), rows, dtype=c.kind.polars, eager=True).alias(c.name)
        for c in table.columns
    ]
    return pl.DataFrame(series)


# -- text --------------------------------------------------------------------------------------
@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        with gzip.open(raw, "rb") as unpacked:
            yield cast(BinaryIO, unpacked)


def _csv(table: Table, path: Path) -> Iterator[Loaded]:
    with _open(path) as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        header = next(reader, [])
        _check_header(path, header)
        fixed = _from_path(table, path, header)
        _require(table, path, [*header, *fixed])
        extra = tuple(name for name in header if name not in table.schema())
        for batch in _csv_batches(path, reader, header):
            yield _checked(table, path, batch, fixed, extra, text=True)
        yield Loaded(table.empty(), extra)


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise _refused(f"{path}, line 1: column {', '.join(twice)} stands there twice")


def _csv_batches(path: Path, reader: Any, header: Sequence[str]) -> Iterator[_Batch]:
    while True:
        lines: list[int] = []
        rows: list[list[str]] = []
        before = reader.line_num
        for row in islice(reader, _BATCH):
            if row:
                lines.append(before + 1)
                rows.append(row)
            before = reader.line_num
        if not rows:
            return
        if set(map(len, rows)) != {len(header)}:
            at = next(i for i, row in enumerate(rows) if len(row) != len(header))
            raise _refused(
                f"{path}, line {lines[at]}: {len(rows[at])} fields, "
                f"and the header has {len(header)}"
            )
        yield _Batch(lines, dict(zip(header, zip(*rows, strict=True), strict=True)))


def _ndjson(table: Table, path: Path) -> Iterator[Loaded]:
    seen: dict[str, None] = {}
    needed = [c.name for c in table.columns]
    with _open(path) as raw:
        fixed: dict[str, date] = {}
        for number, (lines, records) in enumerate(_json_batches(path, raw)):
            seen.update(dict.fromkeys([*records[0], *sorted(set().union(*records))]))
            if number == 0:
                fixed = _from_path(table, path, list(seen))
                _require(table, path, [*seen, *fixed], only_strict=True)
            values = {n: [r.get(n) for r in records] for n in needed if n in seen}
            batch = _Batch(lines, values)
            extra = tuple(name for name in seen if name not in needed)
            yield _checked(table, path, batch, fixed, extra, text=False)
        if seen:  # a column that no record has is missing; NULLs may be left out of some
            _require(table, path, [*seen, *fixed])


def _json_batches(path: Path, raw: BinaryIO) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    numbered = ((n, line) for n, line in enumerate(raw, 1) if line.strip())
    while batch := list(islice(numbered, _BATCH)):
        records = []
        for number, line in batch:
            try:
                record = json.loads(line)
            except ValueError as error:
                raise _refused(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(record, dict):
                raise _refused(f"{path}, line {number}: not a JSON object")
            records.append(record)
        yield [number for number, _ in batch], records


def _checked(
    table: Table,
    path: Path,
    batch: _Batch,
    fixed: Mapping[str, date],
    extra: tuple[str, ...],
    *,
    text: bool,
) -> Loaded:
    found: dict[str, pl.Series] = {}
    wrong: list[tuple[int, str]] = []
    nan = 0
    for column in table.columns:
        if column.name not in batch.values:
            continue
        cast, first = (_cast_text if text else _cast_json)(column, batch.values[column.name])
        wrong += first
        found[column.name], absent = _without_nan(cast)
        nan += absent
    if wrong:
        row, what = min(wrong)
        raise _refused(f"{path}, line {batch.lines[row]}, {what}")
    where = f"{path}, line {batch.lines[0]}"
    return Loaded(_complete(table, found, fixed, len(batch.lines), where), extra, nan)


def _cast_text(column: Column, values: Sequence[str]) -> tuple[pl.Series, list[tuple[int, str]]]:
    given = pl.Series(column.name, values, dtype=pl.String)
    given = given.set(given == "", None)
    cast = from_text(column.kind, given)
    return cast, _first_wrong(column, given, cast)


def _cast_json(column: Column, values: Sequence[Any]) -> tuple[pl.Series, list[tuple[int, str]]]:
    cast, bad = from_objects(column.kind, column.name, values)
    wrong = [(row, _not_a(column, values[row])) for row in bad[:1]]
    if not column.nullable and None in values:
        wrong.append((values.index(None), _is_null(column)))
    return cast, wrong
