"""A table as its contract: names, dtypes, nullability, key, partition.

Dtypes are the logical ones that both warehouses have, so that a contract is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ray_backfill import names

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STAMP", "Column", "Kind", "Table"]


class Kind(StrEnum):
    """Logical type of a column (Polars / Arrow / BigQuery)."""

    STRING = "string"  # String / large_string / STRING
    INT = "int"  # Int64 / int64 / INT64
    FLOAT = "float"  # Float64 / double / FLOAT64
    BOOL = "bool"  # Boolean / bool / BOOL
    DATE = "date"  # Date / date32 / DATE
    TIMESTAMP = "timestamp"  # Datetime("us", "UTC") / timestamp[us, UTC] / TIMESTAMP
    STRINGS = "strings"  # List(String) / list<string> / ARRAY<STRING>

    @property
    def polars(self) -> pl.DataType:
        import polars as pl

        return {
            "string": pl.String(),
            "int": pl.Int64(),
            "float": pl.Float64(),
            "bool": pl.Boolean(),
            "date": pl.Date(),
            "timestamp": pl.Datetime("us", "UTC"),
            "strings": pl.List(pl.String()),
        }[self.value]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `optional`: may be absent from a loaded file, and is then NULL.

    `known_values` are those that the jobs understand; others are loaded, counted and named.
    """

    name: str
    kind: Kind
    description: str = ""
    nullable: bool = True
    optional: bool = False
    known_values: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raises `UsageError` for a name that could not stand in SQL or in a path."""
        names.column_name(self.name)


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is `dataset.table`; `partition` is a DATE column, or None.

    `key` is what makes a row of an output unique; raw tables may repeat theirs.
    """

    name: str
    columns: tuple[Column, ...]
    description: str = ""
    key: tuple[str, ...] = ()
    partition: str | None = None
    cluster: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `UsageError` for a name that could not stand in SQL or in a path."""
        names.table_name(self.name)
        for name in (*self.key, *self.cluster, *([self.partition] if self.partition else ())):
            names.column_name(name)

    def schema(self) -> pl.Schema:
        """Names and Polars dtypes, in order."""
        import polars as pl

        return pl.Schema({column.name: column.kind.polars for column in self.columns})

    def empty(self) -> pl.DataFrame:
        """A frame with this schema and no rows."""
        import polars as pl

        return pl.DataFrame(schema=self.schema())

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


STAMP: tuple[Column, ...] = (
    Column(
        "input_fingerprint",
        Kind.STRING,
        "Digest of every input view that the date was computed from: `view=digest;view=digest`.",
        nullable=False,
    ),
    Column(
        "code_version",
        Kind.STRING,
        "Hash of the value modules that computed the row, without comments and layout.",
        nullable=False,
    ),
    Column(
        "job_options",
        Kind.STRING,
        "The job's options as sorted JSON.",
        nullable=False,
    ),
    Column(
        "partition_rows",
        Kind.INT,
        "Rows of its date as the run published it. NULL where an older version did.",
    ),
    Column(
        "content_digest",
        Kind.STRING,
        "Digest of all that the run published of its date. NULL where an older version did.",
    ),
    Column("run_id", Kind.STRING, "The run that published the row.", nullable=False),
    Column("computed_at", Kind.TIMESTAMP, "When the row was computed (UTC).", nullable=False),
)
"""The row's own ledger: appended by the engine to every output table."""
