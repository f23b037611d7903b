"""Loads files into a raw table: every file is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ray_backfill.errors import ContractError, UsageError
from ray_backfill.job.table import Table

if TYPE_CHECKING:
    import polars as pl

    from ray_backfill.job.calendar import DateRange
    from ray_backfill.warehouse import Warehouse

__all__ = ["FileReport", "LoadReport", "find_files", "load_files"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file held. `extra` columns were left out; `nan` values were loaded as NULL.

    `guessed`: what was taken for the separator of a text where its ending says another.
    """

    path: str
    rows: int
    extra: tuple[str, ...]
    nan: int
    guessed: str = ""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded, in one commit; `version` is empty where there was nothing to load.

    `unknown`: column -> value -> rows, of values that the jobs do not know.
    """

    table: str
    files: tuple[FileReport, ...]
    rows: int
    dates: int
    first: date | None
    last: date | None
    replaced: bool
    version: str
    unknown: Mapping[str, Mapping[str, int]]

    def sentences(self) -> list[str]:
        """What a person should know of the load, one fact a line."""
        found = [f"{f.path} has no rows: nothing to load." for f in self.files if not f.rows]
        for file in self.files:
            if file.extra:
                found.append(f"{file.path}: left out {', '.join(file.extra)}.")
            if file.guessed:
                between = {"\t": "tabs", ";": "semicolons", "|": "bars"}.get(file.guessed, "commas")
                found.append(f"{file.path}: read as fields between {between}.")
            if file.nan:
                found.append(f"{file.path}: {file.nan:,} NaN loaded as NULL.")
        for name, values in self.unknown.items():
            listed = ", ".join(f"'{value}' ({rows:,} rows)" for value, rows in values.items())
            found.append(f"{name}: loaded values that no job knows: {listed}.")
        return found


def load_files(
    warehouse: Warehouse, table: Table, files: Sequence[str | Path], replace_dates: bool = False
) -> LoadReport:
    """Check all files (Parquet, CSV, NDJSON; folders and globs too), then add them in one commit.

    `replace_dates`: dates that occur in the files hold only their rows afterwards. Raises
    `ContractError` naming file, row or line, column and value for what breaks the contract;
    `DataError` for a file that cannot be read; `UsageError` for a path without files. In each
    case nothing was loaded.
    """
    import polars as pl

    from ray_backfill.loading.formats import read_file

    reports: list[FileReport] = []
    frames: list[pl.DataFrame] = []
    for path in find_files(files):
        loaded = read_file(table, path)
        _check_dates(table, path, loaded.rows, warehouse.partition_range)
        about = (loaded.extra, loaded.nan, loaded.guessed)
        reports.append(FileReport(str(path), loaded.rows.height, *about))
        frames.append(loaded.rows)
    rows = pl.concat(frames)
    version = ""
    if rows.height:
        version = warehouse.append(table, rows.to_arrow(), replace_dates=replace_dates).version
    return _report(table, reports, rows, replace_dates, version)


def _check_dates(table: Table, path: Path, rows: pl.DataFrame, held: DateRange) -> None:
    """Raises `ContractError` for dates that no partition can have: nobody would find them again."""
    if table.partition is None:
        return
    days = rows[table.partition].drop_nulls()
    outside = days.filter((days < held.start) | (days >= held.end))
    if not outside.is_empty():
        raise ContractError(
            f"{path}, column {table.partition}: {outside[0]} and the like, in {len(outside):,} "
            f"rows, are outside of {held}: no table here can hold them. Nothing was loaded.",
            hint="Give these rows the date that they are of, or take them out.",
        )


def _report(
    table: Table, files: Sequence[FileReport], rows: pl.DataFrame, replaced: bool, version: str
) -> LoadReport:
    days = rows[table.partition].unique().sort().to_list() if table.partition else []
    return LoadReport(
        table.name,
        tuple(files),
        rows.height,
        len(days),
        days[0] if days else None,
        days[-1] if days else None,
        replaced and rows.height > 0,
        version,
        _unknown(table, rows),
    )


def _unknown(table: Table, rows: pl.DataFrame) -> dict[str, dict[str, int]]:
    found = {}
    for column in table.columns:
        if column.known_values:
            counts = rows[column.name].drop_nulls().value_counts()
            values = {v: n for v, n in counts.iter_rows() if v not in column.known_values}
            if values:
                found[column.name] = dict(sorted(values.items()))
    return found


def find_files(given: Sequence[str | Path]) -> list[Path]:
    """The files of paths, folders (with what is below them) and globs, each once, in order."""
    found: dict[Path, None] = {}
    for item in given:
        found.update(dict.fromkeys(_files_of(Path(item).expanduser())))
    if not found:
        raise UsageError("No file was given.")
    return list(found)


def _files_of(path: Path) -> list[Path]:
    from ray_backfill.loading.kinds import SUFFIXES, format_of

    endings = ", ".join(SUFFIXES)
    if path.is_dir():
        inside = [p for p in path.rglob("*") if p.is_file() and format_of(p.name)]
        kept = sorted(p for p in inside if not _hidden(p.relative_to(path)))
        if not kept:
            raise UsageError(
                f"The folder {path} has no files to load.", hint=f"Known endings: {endings}."
            )
        return kept
    if not path.exists() and set("*?[") & set(str(path)):
        kept = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not kept:
            raise UsageError(f"Nothing matches {path}.")
        return [file for match in kept for file in _files_of(match)]
    if not path.exists():
        raise UsageError(f"There is no file {path}.")
    if format_of(path.name) is None:
        raise UsageError(f"{path} is of no kind that can be loaded.", hint=f"Known: {endings}.")
    return [path]


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)
