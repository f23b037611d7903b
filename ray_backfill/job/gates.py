"""What a computed date must pass before it is published: its contract, then the job's gates."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import date

import polars as pl

from ray_backfill.errors import ContractError, JobCodeError
from ray_backfill.job.job import Day, Job
from ray_backfill.job.table import Table
from ray_backfill.job.user_code import called

__all__ = ["check_schema", "quarantine"]


def check_schema(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the contract's columns in order.

    Raises `ContractError` naming each column that is missing, unknown or of another dtype.
    """
    want = table.schema()
    problems = [
        f"column {name} is missing"
        if name not in rows.schema
        else f"column {name} is {rows.schema[name]}, not {dtype}"
        for name, dtype in want.items()
        if rows.schema.get(name) != dtype
    ]
    problems += [f"column {name} is unknown" for name in rows.columns if name not in want]
    if problems:
        raise ContractError(
            f"What was computed does not fit {table.name}: {'; '.join(problems)}.",
            hint="This is an error of the job's code.",
        )
    return rows.select(list(want))


def quarantine(
    job: Job, rows: pl.DataFrame, days: Mapping[date, Day], empty: Container[date] = ()
) -> dict[date, str]:
    """The days whose rows must not be published, each with the reason.

    `rows` fit the schema of the job's output. Checked in order: a due date has rows, no null
    in a non-nullable column, the key is unique, then each gate. A date that the job says is
    rightly `empty` has nothing to be looked at.
    Raises `JobCodeError` for a gate that raises, or gives anything but a sentence or None.
    """
    partition = job.output.partition
    assert partition is not None
    by_day = {key[0]: frame for key, frame in rows.partition_by(partition, as_dict=True).items()}
    nothing = job.output.empty()
    # The contract is looked at once for all rows, and date by date only where it is broken.
    suspect = _broken_contract(job, rows) is not None
    found = {
        day: _first_problem(job, by_day.get(day, nothing), days[day], suspect=suspect)
        for day in days
        if day not in empty
    }
    return {day: reason for day, reason in found.items() if reason is not None}


def _broken_contract(job: Job, rows: pl.DataFrame) -> str | None:
    """A NULL where there must be none, or a key that stands twice; the key holds the date."""
    table = job.output
    for column in table.columns:
        if not column.nullable and rows[column.name].null_count():
            return f"{rows[column.name].null_count()} rows of {column.name} are NULL"
    if table.key:
        twice = rows.filter(pl.struct(table.key).is_duplicated())
        if not twice.is_empty():
            return f"the key {table.key} is not unique, as in {twice.select(table.key).row(0)}"
    return None


def _first_problem(job: Job, rows: pl.DataFrame, day: Day, *, suspect: bool) -> str | None:
    if rows.is_empty():
        return f"no rows were computed; {day.expected_rows} were expected"
    broken = _broken_contract(job, rows) if suspect else None
    if broken is not None:
        return broken
    for gate in job.gates:
        reason = _verdict(gate, rows, day)
        if reason is not None:
            return reason
    return None


def _verdict(
    gate: Callable[[pl.DataFrame, Day], str | None], rows: pl.DataFrame, day: Day
) -> str | None:
    name = getattr(gate, "__name__", type(gate).__name__)
    reason = called(f"The gate {name}", gate, rows, day)
    if reason is not None and not isinstance(reason, str):
        raise JobCodeError(
            f"The gate {name} gave a {type(reason).__name__} where a sentence or None was expected"
        )
    return reason
