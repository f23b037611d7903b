"""Contracts as Delta schemas and Polars frames; frames checked against their contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pyarrow as pa
from deltalake import Schema

from ray_backfill.errors import ContractError
from ray_backfill.job.table import Column, Kind, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable

__all__ = [
    "cast_to_contract",
    "completed",
    "conformed",
    "contract_types",
    "delta_schema",
    "is_known",
    "missing_ok",
    "polars_type",
    "readable",
    "stored_types",
    "type_name",
]

_ARROW = {
    Kind.STRING: pa.string(),
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.BOOL: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
    Kind.STRINGS: pa.list_(pa.string()),
}
_STORED: dict[str, pl.DataType] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "integer": pl.Int32(),
    "short": pl.Int16(),
    "byte": pl.Int8(),
    "double": pl.Float64(),
    "float": pl.Float32(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "timestamp_ntz": pl.Datetime("us"),
    "array<string>": pl.List(pl.String()),
}
_WHOLE = ("byte", "short", "integer", "long")
_READABLE: dict[Kind, tuple[str, ...]] = {
    Kind.STRING: ("string",),
    Kind.INT: _WHOLE,
    Kind.FLOAT: ("double", "float", *_WHOLE),
    Kind.BOOL: ("boolean",),
    Kind.DATE: ("date",),
    Kind.TIMESTAMP: ("timestamp", "timestamp_ntz"),
    Kind.STRINGS: ("array<string>",),
}
"""Stored types that a column of a kind is read from without loss."""


def delta_schema(columns: Sequence[Column], *, nullable: bool = False) -> Schema:
    """The Delta schema of a contract; descriptions become the `comment` of their fields."""
    fields = [
        pa.field(
            column.name,
            _ARROW[column.kind],
            nullable or column.nullable,
            {"comment": column.description} if column.description else None,
        )
        for column in columns
    ]
    return Schema.from_arrow(pa.schema(fields))


def type_name(stored: Any) -> str:
    """Delta's name of a type: `long`, `decimal(10,2)`, `array<string>`."""
    if isinstance(stored, str):
        return stored
    if stored.get("type") == "array":
        return f"array<{type_name(stored['elementType'])}>"
    return str(stored.get("type"))


def stored_types(table: DeltaTable) -> dict[str, tuple[str, bool]]:
    """Column -> (Delta's name of the type, nullable), in stored order."""
    fields = json.loads(table.schema().to_json())["fields"]
    return {f["name"]: (type_name(f["type"]), bool(f["nullable"])) for f in fields}


def contract_types(table: Table) -> dict[str, tuple[str, bool]]:
    """The same of a contract, as Delta would store it."""
    fields = json.loads(delta_schema(table.columns).to_json())["fields"]
    return {f["name"]: (type_name(f["type"]), bool(f["nullable"])) for f in fields}


def readable(kind: Kind, stored: str) -> bool:
    """Whether a stored type can be read as this kind."""
    if stored.startswith("decimal"):
        return kind is Kind.FLOAT or (kind is Kind.INT and stored.endswith(",0)"))
    return stored in _READABLE[kind]


def missing_ok(column: Column) -> bool:
    """Whether a stored table may lack the column, which is then NULL."""
    return column.optional or column.nullable


def is_known(stored: str) -> bool:
    """Whether rows of a stored type can be read and written again without loss."""
    return stored in _STORED or stored.startswith("decimal(")


def polars_type(stored: str) -> pl.DataType:
    """The Polars dtype in which a stored type is scanned."""
    if stored.startswith("decimal"):
        precision, scale = stored.removeprefix("decimal(").rstrip(")").split(",")
        return pl.Decimal(int(precision), int(scale))
    return _STORED[stored]


def cast_to_contract(column: Column, dtype: pl.DataType) -> pl.Expr:
    """The column in its contract's dtype; naive timestamps are UTC."""
    value = pl.col(column.name)
    if column.kind is Kind.TIMESTAMP and isinstance(dtype, pl.Datetime) and not dtype.time_zone:
        value = value.dt.replace_time_zone("UTC")
    return value.cast(column.kind.polars)


def completed(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Exactly these columns in contract dtypes; those that the frame lacks are NULL."""
    stored = frame.schema  # made anew at each look, of a hundred columns
    exprs = [cast_to_contract(c, stored[c.name]) for c in columns if c.name in stored]
    absent = [
        pl.repeat(None, frame.height, dtype=c.kind.polars, eager=True).alias(c.name)
        for c in columns
        if c.name not in stored
    ]
    return frame.select(*exprs, *absent).select(c.name for c in columns)


def conformed(table: Table, rows: pa.Table) -> pl.DataFrame:
    """The rows as a frame with exactly the contract's columns and dtypes, in its order.

    Nullable columns that are absent become NULLs. Raises `ContractError` for any other
    missing column, one too many, another type, a NULL where there must be none.
    """
    frame = cast(pl.DataFrame, pl.from_arrow(rows, rechunk=False))
    wanted, given = table.schema(), frame.schema
    extra = [name for name in given if name not in wanted]
    lacking = [c.name for c in table.columns if c.name not in given and not missing_ok(c)]
    if extra or lacking:
        text = [f"has no column {', '.join(lacking)}"] if lacking else []
        text += [f"has columns that are not in the contract: {', '.join(extra)}"] if extra else []
        raise ContractError(f"A frame for {table.name} {' and '.join(text)}.")
    for column in table.columns:
        if column.name in given:
            _check_type(table, column, given[column.name])
    frame = completed(frame, table.columns)
    _check_nulls(table, frame)
    return frame


def _check_type(table: Table, column: Column, dtype: pl.DataType) -> None:
    kind = column.kind
    fits = (
        dtype in (kind.polars, pl.Null())
        or (kind is Kind.INT and dtype.is_integer() and dtype != pl.UInt64)
        or (kind is Kind.FLOAT and dtype == pl.Float32)
        or (kind is Kind.TIMESTAMP and isinstance(dtype, pl.Datetime))
        or (kind is Kind.STRING and isinstance(dtype, pl.Categorical | pl.Enum))
    )
    if not fits:
        raise ContractError(f"{table.name}.{column.name} is {dtype}, and must be {kind.polars}.")


def _check_nulls(table: Table, frame: pl.DataFrame) -> None:
    for column in table.columns:
        strict = not column.nullable or column.name == table.partition
        if strict and (count := frame[column.name].null_count()):
            raise ContractError(
                f"{table.name}.{column.name} is NULL in {count:,} rows, and must not be."
            )
