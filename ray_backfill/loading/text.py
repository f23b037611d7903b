"""Reads CSV and NDJSON, by batches of lines."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl

from ray_backfill.job.table import Column, Table
from ray_backfill.loading.kinds import is_packed, separator_of
from ray_backfill.loading.rows import (
    Loaded,
    complete,
    first_wrong,
    from_path,
    is_null,
    not_a,
    refused,
    require,
    without_nan,
)
from ray_backfill.loading.values import from_objects, from_text

__all__ = ["read_csv", "read_ndjson"]

_BATCH = 20_000


@dataclass(frozen=True)
class _Batch:
    """Some rows of a text file: the line that each begins at, and its values by column."""

    lines: Sequence[int]
    values: Mapping[str, Sequence[Any]]


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as raw:
        if not is_packed(path.name):
            yield raw
            return
        with gzip.open(raw, "rb") as unpacked:
            yield cast(BinaryIO, unpacked)


def read_csv(table: Table, path: Path) -> Iterator[Loaded]:
    with _open(path) as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        separator, is_guess = separator_of(path.name, first, table.schema())
        reader = csv.reader(chain([first], text), strict=True, delimiter=separator)
        header = next(reader, [])
        if first.lower().startswith("sep="):
            header = next(reader, [])
        _check_header(path, header)
        fixed = from_path(table, path, header)
        require(table, path, [*header, *fixed])
        extra = tuple(name for name in header if name not in table.schema())
        for batch in _csv_batches(path, reader, header):
            yield _checked(table, path, batch, fixed, extra, text=True)
        yield Loaded(table.empty(), extra, guessed=separator if is_guess else "")


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise refused(f"{path}, line 1: column {', '.join(twice)} stands there twice")


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
            raise refused(
                f"{path}, line {lines[at]}: {len(rows[at])} fields, "
                f"and the header has {len(header)}"
            )
        yield _Batch(lines, dict(zip(header, zip(*rows, strict=True), strict=True)))


def read_ndjson(table: Table, path: Path) -> Iterator[Loaded]:
    seen: dict[str, None] = {}
    needed = [c.name for c in table.columns]
    with _open(path) as raw:
        fixed: dict[str, date] = {}
        for number, (lines, records) in enumerate(_json_batches(path, raw)):
            seen.update(dict.fromkeys([*records[0], *sorted(set().union(*records))]))
            if number == 0:
                fixed = from_path(table, path, list(seen))
                require(table, path, [*seen, *fixed], only_strict=True)
            values = {n: [r.get(n) for r in records] for n in needed if n in seen}
            batch = _Batch(lines, values)
            extra = tuple(name for name in seen if name not in needed)
            yield _checked(table, path, batch, fixed, extra, text=False)
        if seen:  # a column that no record has is missing; NULLs may be left out of some
            require(table, path, [*seen, *fixed])


def _json_batches(path: Path, raw: BinaryIO) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    numbered = ((n, line) for n, line in enumerate(raw, 1) if line.strip())
    while batch := list(islice(numbered, _BATCH)):
        records = []
        for number, line in batch:
            try:
                record = json.loads(line)
            except ValueError as error:
                raise refused(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(record, dict):
                raise refused(f"{path}, line {number}: not a JSON object")
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
        found[column.name], absent = without_nan(cast)
        nan += absent
    if wrong:
        row, what = min(wrong)
        raise refused(f"{path}, line {batch.lines[row]}, {what}")
    where = f"{path}, line {batch.lines[0]}"
    return Loaded(complete(table, found, fixed, len(batch.lines), where), extra, nan)


def _cast_text(column: Column, values: Sequence[str]) -> tuple[pl.Series, list[tuple[int, str]]]:
    given = pl.Series(column.name, values, dtype=pl.String)
    given = given.set(given == "", None)
    cast = from_text(column.kind, given)
    return cast, first_wrong(column, given, cast)


def _cast_json(column: Column, values: Sequence[Any]) -> tuple[pl.Series, list[tuple[int, str]]]:
    cast, bad = from_objects(column.kind, column.name, values)
    wrong = [(row, not_a(column, values[row])) for row in bad[:1]]
    if not column.nullable and None in values:
        wrong.append((values.index(None), is_null(column)))
    return cast, wrong
