"""The rows of a file as its contract wants them, and the sentence about the first that is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ray_backfill.errors import ContractError
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.loading.values import WORDS

__all__ = [
    "Loaded",
    "complete",
    "first_wrong",
    "from_path",
    "is_null",
    "not_a",
    "refused",
    "require",
    "without_nan",
]

_COMMA = r"[+-]?[0-9.]*,[0-9,]+"


@dataclass(frozen=True)
class Loaded:
    """The rows of one file, and the columns of it that the contract does not have.

    `nan` counts the NaN that became NULL: other tools write a missing number so. `guessed` is
    the separator of a text where its ending says another.
    """

    rows: pl.DataFrame
    extra: tuple[str, ...]
    nan: int = 0
    guessed: str = ""


def without_nan(values: pl.Series) -> tuple[pl.Series, int]:
    count = int(values.is_nan().sum()) if values.dtype.is_float() else 0
    return (values.fill_nan(None) if count else values), count


def first_wrong(column: Column, given: pl.Series, cast: pl.Series) -> list[tuple[int, str]]:
    """The first value of a column that is not of its kind, or NULL where it must not be."""
    found = []
    if (row := _first(given.is_not_null() & cast.is_null())) is not None:
        found.append((row, not_a(column, _value(given, row))))
    if not column.nullable and (row := _first(given.is_null())) is not None:
        found.append((row, is_null(column)))
    return found


def _value(given: pl.Series, row: int) -> Any:
    try:
        return given[row]
    except (ValueError, OverflowError):
        return given.slice(row, 1).cast(pl.String)[0]  # of a year that Python has not


def _first(mask: pl.Series) -> int | None:
    return int(mask.arg_true()[0]) if mask.any() else None


def not_a(column: Column, value: Any) -> str:
    shown = value.isoformat() if isinstance(value, date) else value
    wanted = WORDS[column.kind]
    if column.kind is Kind.FLOAT and isinstance(value, str) and re.fullmatch(_COMMA, value.strip()):
        # One thousand or one? A guess would be wrong by a factor of a thousand.
        wanted += ": decimals are written with a point, thousands without anything"
    text = shown if isinstance(shown, str) else json.dumps(shown, default=str)
    shortened = text if len(text) <= 80 else f"{text[:77]}…"
    kind = "text " if isinstance(value, str) else ""
    return f"column {column.name}: {kind}'{shortened}' is not {wanted}"


def is_null(column: Column) -> str:
    return f"column {column.name}: NULL, where there must be {WORDS[column.kind]}"


def refused(what: str) -> ContractError:
    return ContractError(f"{what}. Nothing was loaded.", hint="Correct the file and load it again.")


def from_path(table: Table, path: Path, names: Sequence[str]) -> dict[str, date]:
    """The partition date of a folder like `game_date=2025-11-30`, where the file lacks it."""
    if not table.partition or table.partition in names:
        return {}
    prefix = f"{table.partition}="
    for part in reversed(path.parts[:-1]):
        if part.startswith(prefix) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", part[len(prefix) :]):
            try:
                return {table.partition: date.fromisoformat(part[len(prefix) :])}
            except ValueError as error:
                raise refused(f"{path}: folder {part}: {error}") from error
    return {}


def require(table: Table, path: Path, names: Sequence[str], *, only_strict: bool = False) -> None:
    """Raise `ContractError` for columns that may not be absent (or NULL: `only_strict`)."""
    needed = [c.name for c in table.columns if not (c.nullable if only_strict else c.optional)]
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise ContractError(
            f"{path} has no column {', '.join(lacking)}, which {table.name} needs. "
            "Nothing was loaded.",
            hint=f"It has: {', '.join(names) or 'none'}.",
        )


def complete(
    table: Table, found: Mapping[str, pl.Series], fixed: Mapping[str, date], rows: int, where: str
) -> pl.DataFrame:
    """All columns of the contract in order; those absent are NULL."""
    for column in table.columns:
        absent = column.name not in found and column.name not in fixed
        if rows and absent and not column.nullable:
            raise refused(f"{where}, {is_null(column)}")
    series = [
        found[c.name].alias(c.name)
        if c.name in found
        else pl.repeat(fixed.get(c.name), rows, dtype=c.kind.polars, eager=True).alias(c.name)
        for c in table.columns
    ]
    return pl.DataFrame(series)
