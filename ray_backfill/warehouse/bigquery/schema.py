"""Contracts as BigQuery schemas, and stored tables compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_backfill.errors import ContractError
from ray_backfill.job.table import Column, Kind, Table

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = [
    "arrow_schema",
    "differences",
    "fields",
    "missing",
    "partition_of",
    "readable",
    "table_resource",
    "type_of",
]

_TYPES = {
    Kind.STRING: "STRING",
    Kind.INT: "INTEGER",
    Kind.FLOAT: "FLOAT",
    Kind.BOOL: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.STRINGS: "ARRAY<STRING>",
}
_ARROW = {
    Kind.STRING: pa.string(),
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.BOOL: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
    Kind.STRINGS: pa.list_(pa.string()),
}
_DECIMAL = ("NUMERIC", "BIGNUMERIC")
_READABLE = {
    Kind.STRING: ("STRING",),
    Kind.INT: ("INTEGER", *_DECIMAL),
    Kind.FLOAT: ("FLOAT", "INTEGER", *_DECIMAL),
    Kind.BOOL: ("BOOLEAN",),
    Kind.DATE: ("DATE",),
    Kind.TIMESTAMP: ("TIMESTAMP", "DATETIME"),
    Kind.STRINGS: ("ARRAY<STRING>",),
}
_SHORT = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "DECIMAL": "NUMERIC"}
_SHORT |= {"BIGDECIMAL": "BIGNUMERIC"}
_LONGEST = 1024
"""Characters of a column's description that BigQuery keeps."""


def fields(columns: Sequence[Column], *, nullable: bool = False) -> list[bigquery.SchemaField]:
    """The schema of a contract, with descriptions."""
    from google.cloud.bigquery import SchemaField

    found = []
    for column in columns:
        kind = "STRING" if column.kind is Kind.STRINGS else _TYPES[column.kind]
        mode = "NULLABLE" if nullable or column.nullable else "REQUIRED"
        if column.kind is Kind.STRINGS:
            mode = "REPEATED"
        described: dict[str, Any] = {"description": column.description[:_LONGEST] or None}
        found.append(SchemaField(column.name, kind, mode, **described))
    return found


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Names and Arrow types in which rows of a contract are sent."""
    return pa.schema([pa.field(c.name, _ARROW[c.kind]) for c in columns])


def type_of(field: bigquery.SchemaField) -> str:
    """BigQuery's name of a stored column's type: `INTEGER`, `ARRAY<STRING>`."""
    name = _SHORT.get(field.field_type, field.field_type)
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def readable(kind: Kind, stored: str) -> bool:
    """Whether a stored type can be read as this kind."""
    return stored in _READABLE[kind]


def partition_of(stored: bigquery.Table) -> str | None:
    """The column that a stored table is partitioned by, a day at a time."""
    by = stored.time_partitioning
    return by.field if by is not None and by.type_ == "DAY" and by.field else None


def table_resource(full: str, table: Table, *, raw: bool = False) -> bigquery.Table:
    """The table that a contract asks for: partition, clustering, descriptions, labels.

    Raw tables take NULLs wherever a file may hold them, and whole-table queries.
    """
    from google.cloud.bigquery import Table as Resource
    from google.cloud.bigquery import TimePartitioning

    found = Resource(full, fields(table.columns))
    found.description = table.description or None
    if table.partition:
        found.time_partitioning = TimePartitioning(field=table.partition)
        found.require_partition_filter = not raw
    if table.cluster:
        found.clustering_fields = list(table.cluster[:4])
    found.labels = {"written_by": "ray-backfill"}
    return found


def missing(table: Table, stored: bigquery.Table) -> list[Column]:
    """Columns of the contract that the stored table lacks."""
    have = {field.name for field in stored.schema}
    return [column for column in table.columns if column.name not in have]


def differences(table: Table, stored: bigquery.Table, *, raw: bool = False) -> list[str]:
    """How a stored table differs from its contract, new nullable columns apart.

    Rows can be added to a raw table that allows more than its contract: `raw` looks at what
    stands in their way alone.
    """
    have = {field.name: (type_of(field), field.mode != "REQUIRED") for field in stored.schema}
    wanted = {c.name: (_TYPES[c.kind], c.nullable or c.kind is Kind.STRINGS) for c in table.columns}
    found = [
        f"column {name} is in the table alone"
        for name, (_, nullable) in have.items()
        if name not in wanted and not (raw and nullable)
    ]
    for name, want in wanted.items():
        if name not in have:
            if not want[1] and not (raw and table.column(name).optional):
                found.append(f"new column {name} is not nullable")
        elif have[name][0] != want[0] or (have[name] != want and not (raw and have[name][1])):
            is_now, asked = (f"{k}{'' if n else ' NOT NULL'}" for k, n in (have[name], want))
            found.append(f"column {name} is {is_now}, and the contract says {asked}")
    by = partition_of(stored)
    if by != table.partition and not raw:
        found.append(f"partitioned by {by or 'nothing'}, and the contract says {table.partition}")
    return found


def column_of(table: Table, name: str) -> Column:
    """A column of the contract; raises `ContractError`."""
    found = next((c for c in table.columns if c.name == name), None)
    if found is None:
        raise ContractError(f"The contract of {table.name} has no column {name}.")
    return found


def literal(value: Any) -> str:
    """A date or a text as a SQL literal."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"DATE '{value}'"
