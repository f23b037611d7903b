"""What the engine asks of a warehouse.

A worker stages what it computed where no reader looks; the driver publishes the staged
partitions of many dates in one atomic commit. Small objects (journals, reports, leases, the
digest cache) live beside the tables under keys like `runs/<table>/<run>.ndjson`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Fit",
    "Footprint",
    "Lease",
    "Partition",
    "Published",
    "Staged",
    "TableInfo",
    "Tidied",
    "Version",
    "Warehouse",
]


@dataclass(frozen=True, slots=True)
class Partition:
    """Metadata of one partition, from the catalogue alone.

    `token` changes whenever the content may have changed; equal tokens mean equal content.
    `sure=False`: it is another one each time, and says nothing.
    """

    day: date | None
    rows: int
    token: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A row of `ray-backfill tables`."""

    name: str
    rows: int
    partitions: int
    first: date | None
    last: date | None
    changed_at: datetime | None
    version: str
    broken: str = ""
    """Why the table cannot be opened; nothing else is known of it then."""


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a table's history, newest first in a listing."""

    version: int
    at: datetime
    operation: str
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Staged:
    """One date's rows, written and not yet visible. Plain data: it crosses processes.

    `handle` is the warehouse's own (a file with its size and statistics; a write stream).
    """

    day: date
    rows: int
    bytes: int
    handle: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Published:
    """One atomic commit. `tokens`: what `Warehouse.is_as_published` knows its dates by."""

    version: str
    dates: tuple[date, ...]
    rows: int
    tokens: Mapping[date, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fit:
    """A stored table beside the contract of an output: its columns, and in what they differ.

    New nullable columns are no difference: they are added.
    """

    columns: frozenset[str]
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish to one table until `expires_at`, renewed by its holder."""

    table: str
    run_id: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a table takes: the files of its newest version, and all that is kept beside them."""

    files: int
    versions: int
    objects: int
    """Files of all versions and of the log, whatever names them."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Tidied:
    """What tidying a table did, or would do. `before` is None where nothing is there to tidy.

    `problems` are what could not be done; `notes` what a person should know besides.
    """

    table: str
    before: Footprint | None = None
    after: Footprint | None = None
    merged: int = 0
    """Files that became part of a larger one."""
    expired: int = 0
    """Versions that can no longer be restored."""
    removed: int = 0
    """Objects that no version in the window needs."""
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Warehouse(Protocol):
    """Implemented by the lake (Delta tables in a folder or object store)."""

    @property
    def uri(self) -> str: ...

    @property
    def partition_range(self) -> DateRange:
        """The dates that a partition can have here."""

    @property
    def settings(self) -> re.Pattern[str]:
        """Whole names of variables that say where it is and how it is reached, no credentials.

        They go with a run to where it works.
        """

    # -- reading ---------------------------------------------------------------------------
    def exists(self, table: str) -> bool: ...

    def tables(self) -> list[TableInfo]:
        """Every table of the warehouse, by name; one that cannot be opened is `broken`."""

    def partitions(self, table: Table) -> list[Partition]:
        """Metadata of every partition, by date; one entry with `day=None` for a table without.

        Raises `TableNotFoundError`.
        """

    def read(
        self, table: Table, columns: Sequence[str], dates: DateRange | Sequence[date] | None = None
    ) -> pa.Table:
        """Exactly these columns in contract dtypes; only these dates where given.

        A column of the contract that the stored table lacks comes as NULLs where it is
        optional or nullable. Raises `TableNotFoundError`; `ContractError` for a required
        column that is absent or of another type, with table and column; `WarehouseError` for
        a file that cannot be read, with its path and date.
        """

    # -- raw tables ------------------------------------------------------------------------
    def append(self, table: Table, rows: pa.Table, *, replace_dates: bool = False) -> Published:
        """Add rows in one commit, creating the table where it is absent.

        `replace_dates`: the dates that occur in `rows` hold only these rows afterwards (a table
        without partitions is replaced whole).
        """

    # -- output tables ---------------------------------------------------------------------
    def fit(self, table: Table) -> Fit | None:
        """How the stored table fits the contract of an output; None where there is none yet."""

    def ensure(self, table: Table) -> None:
        """Create the output table, or add its new nullable columns.

        Raises `ContractError` with the difference for anything else.
        """

    def take_place(self, table: Table, new: Table, *, lease: Lease) -> Published:
        """Give a table the rows and the schema of another one, at once, and drop that.

        The old rows stay in the table's history. `lease` is one on `table`. Raises
        `LeaseLostError`, and `RefusedError` where it would need another partition.
        """

    def drop(self, table: Table) -> None:
        """Take a table away with all its history."""

    def stage(self, table: Table, rows: pa.Table, *, run_id: str, task: str) -> list[Staged]:
        """Write the rows of each date where no reader looks. `task` names span and attempt."""

    def publish(
        self, table: Table, staged: Sequence[Staged], *, remove: Sequence[date], lease: Lease
    ) -> Published:
        """Replace exactly the staged dates, and empty the dates of `remove`, in one commit.

        Raises `LeaseLostError` where the lease is no longer this run's.
        """

    def is_as_published(self, partition: Partition, token: str) -> bool:
        """Whether a partition is as one of our commits left it, by its metadata alone.

        `token` is what `Published.tokens` said of it. False where that cannot be known.
        """

    def sweep(
        self,
        table: Table,
        *,
        ended_runs: Sequence[str],
        older_than: datetime,
        dates: Collection[date] | None = None,
        since: datetime | None = None,
    ) -> int:
        """Delete staged files of ended runs that no version of the table ever named.

        `dates`: no others were staged; `since`: the first of the runs began then. Where both are
        known, the cost does not grow with the table's history.
        """

    def tidy(self, table: str, *, keep: timedelta, run_id: str, dry_run: bool) -> Tidied:
        """Merge the small files of a raw table, and delete what no version since `keep` needs.

        Safe beside readers that began within `keep`, loads and runs: it holds the table's lease.
        Raises `LeaseHeldError`, `TableNotFoundError`; with `dry_run` it changes nothing.
        """

    def history(self, table: str) -> list[Version]: ...

    def restore(self, table: str, version: int) -> Published: ...

    # -- leases ----------------------------------------------------------------------------
    def acquire_lease(self, table: Table, run_id: str, *, seconds: int, steal: bool) -> Lease:
        """Raises `LeaseHeldError`, naming the run that holds it."""

    def renew_lease(self, lease: Lease, *, seconds: int) -> Lease:
        """Raises `LeaseLostError`."""

    def release_lease(self, lease: Lease) -> None: ...

    def lease_holder(self, table: str) -> str | None:
        """The run that holds the table now; None where nobody does, or nobody alive."""

    # -- small objects ---------------------------------------------------------------------
    def put_object(self, key: str, data: bytes) -> None: ...

    def get_object(self, key: str) -> bytes | None: ...

    def list_objects(self, prefix: str, *, after: str = "") -> list[str]:
        """Keys that begin with the prefix, sorted; of these only such that sort behind `after`."""

    def delete_object(self, key: str) -> None:
        """Take an object away: what is read of it from then on is None or empty."""
