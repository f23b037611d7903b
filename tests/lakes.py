"""Tables of every kind of column, and rows for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease

D1, D2, D3 = date(2025, 1, 1), date(2025, 1, 2), date(2025, 1, 3)

EVERY = Table(
    "raw.every",
    (
        Column("game_date", Kind.DATE, "The partition.", nullable=False),
        Column("text", Kind.STRING, "Some text."),
        Column("whole", Kind.INT),
        Column("number", Kind.FLOAT),
        Column("flag", Kind.BOOL),
        Column("day", Kind.DATE),
        Column("at", Kind.TIMESTAMP),
        Column("texts", Kind.STRINGS),
    ),
    "One of each.",
    partition="game_date",
)
OUT = Table(
    "out.scores",
    (
        Column("game_date", Kind.DATE, nullable=False),
        Column("player", Kind.STRING, "Who.", nullable=False),
        Column("points", Kind.INT),
    ),
    key=("game_date", "player"),
    partition="game_date",
)
PLAIN = Table("raw.plain", (Column("code", Kind.STRING, nullable=False), Column("n", Kind.INT)))


def frame(table: Table, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(table.schema()), orient="row")


def every() -> pl.DataFrame:
    """Two dates; values at the edges of each kind, NULLs, empty and partly empty lists."""
    at = datetime(2025, 1, 1, 23, 59, 59, 999_999, UTC)
    return frame(
        EVERY,
        [
            (D1, "a", 2**63 - 1, 0.1, True, D3, at, ["x", "y"]),
            (D1, "", -(2**63), -0.0, False, date(1969, 12, 31), at, []),
            (D1, "ünï\n'\"\\", 0, 1e300, None, D1, datetime(1900, 1, 1, tzinfo=UTC), [None, "z"]),
            (D2, None, None, None, None, None, None, None),
        ],
    )


def scores(day: date, points: int, players: int = 3) -> pl.DataFrame:
    return frame(OUT, [(day, f"p{n}", points) for n in reversed(range(players))])


def stored(lake: Lake, table: Table) -> pl.DataFrame:
    """All rows and columns of a table, sorted by its first columns."""
    read = pl.from_arrow(lake.read(table, [c.name for c in table.columns]))
    assert isinstance(read, pl.DataFrame)
    return read.sort([c.name for c in table.columns[:2]], nulls_last=True)


def put(lake: Lake, lease: Lease, *frames: pl.DataFrame, task: str = "t") -> str:
    """Stage and publish; gives the version."""
    staged = lake.stage(OUT, pl.concat(frames).to_arrow(), run_id=lease.run_id, task=task)
    return lake.publish(OUT, staged, remove=[], lease=lease).version


def contents(root: str) -> dict[str, bytes]:
    """Every data file under a folder, with its bytes."""
    return {str(p): p.read_bytes() for p in Path(root).rglob("*.parquet")}
