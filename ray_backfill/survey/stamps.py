"""What an output says of each of its dates, and whether others changed what was published.

The stamps are read again only where a partition's metadata changed. Where that is not what a
commit of ours left, its keys are looked at too, and its content beside the digest that its rows
carry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, cast

import polars as pl

from ray_backfill.errors import ContractError, TableNotFoundError, WarehouseError
from ray_backfill.job import Job
from ray_backfill.job.options import from_json
from ray_backfill.plan import Stamp
from ray_backfill.staleness.content import content_digests, is_comparable
from ray_backfill.survey.cache import STAMPS, Cache
from ray_backfill.survey.ledger import Ledger
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Partition

__all__ = ["read_stamps", "remembered_options"]

_MOST_ROWS = 200_000
"""Rows whose content is held at once."""
_AGREE = ("input_fingerprint", "code_version", "job_options", "run_id")
"""What all rows of a date have in common, as one commit writes them."""


def read_stamps(warehouse: Warehouse, job: Job, ledger: Ledger) -> dict[date, Stamp]:
    """The stamp of each date that has rows; none where there is no output yet."""
    listed = _listed(warehouse, job)
    tokens = {day: partition.token for day, partition in listed.items()}
    cache = Cache.load(warehouse, f"{job.output.name}-stamps", STAMPS)
    known, lacking = cache.stamps(tokens)
    if not lacking:
        return known
    found = _readable(warehouse, job, lacking, listed)
    foreign = [
        day
        for day, stamp in sorted(found.items())
        if not stamp.unreadable and not _is_ours(warehouse, ledger, listed[day])
    ]
    known |= found | _inspected(warehouse, job, {day: found[day] for day in foreign})
    # What was read may be newer than what was listed: such a token must not stand for it.
    now = _listed(warehouse, job)
    kept = {
        day: stamp
        for day, stamp in known.items()
        if not stamp.unreadable and day in now and now[day].token == tokens[day]
    }
    cache.put_stamps(kept, tokens)
    cache.save()
    return known


def remembered_options(job: Job, stamps: Mapping[date, Stamp]) -> Any:
    """The options that most dates carry: a run of one date with others does not change them."""
    counts = Counter(s.job_options for s in stamps.values() if s.job_options)
    if not counts:
        return job.options()
    return from_json(job, max(counts, key=lambda text: (counts[text], text)))


def _listed(warehouse: Warehouse, job: Job) -> dict[date, Partition]:
    try:
        listed = warehouse.partitions(job.table)
    except TableNotFoundError:
        return {}
    return {cast(date, partition.day): partition for partition in listed if partition.rows}


def _is_ours(warehouse: Warehouse, ledger: Ledger, partition: Partition) -> bool:
    token = ledger.content.tokens.get(cast(date, partition.day))
    return token is not None and warehouse.is_as_published(partition, token)


# -- stamps --------------------------------------------------------------------------------------
def _readable(
    warehouse: Warehouse, job: Job, days: Sequence[date], listed: Mapping[date, Partition]
) -> dict[date, Stamp]:
    """The stamps of these dates; date by date where one file cannot be read."""
    try:
        return _read(warehouse, job, days)
    except WarehouseError:
        found: dict[date, Stamp] = {}
    for day in days:
        try:
            found |= _read(warehouse, job, [day])
        except WarehouseError as error:
            found[day] = _unreadable(listed[day].rows, error)
    return found


def _unreadable(rows: int, error: WarehouseError) -> Stamp:
    return Stamp("", "", "", rows, unreadable=error.message)


def _read(warehouse: Warehouse, job: Job, days: Sequence[date]) -> dict[date, Stamp]:
    partition = cast(str, job.output.partition)
    more = ["computed_at", "partition_rows", "content_digest"]
    rows = warehouse.read(job.table, [partition, *_AGREE, *more], days)
    grouped = (
        cast(pl.DataFrame, pl.from_arrow(rows))
        .with_columns(pl.any_horizontal(pl.col(*_AGREE).is_null()).alias("unstamped"))
        .group_by(partition)
        .agg(
            *(pl.col(name).min().fill_null("") for name in (*_AGREE, "content_digest")),
            pl.col("computed_at").max(),
            pl.col("partition_rows").max(),
            pl.len().alias("rows"),
            pl.col("unstamped").sum(),
            pl.any_horizontal(
                pl.col(name).drop_nulls().n_unique() > 1 for name in (*_AGREE, "content_digest")
            ).alias("mixed"),
        )
    )
    return {row[partition]: _stamp(row) for row in grouped.iter_rows(named=True)}


def _stamp(row: Mapping[str, object]) -> Stamp:
    fields = {name: row[name] for name in Stamp.__dataclass_fields__ if name in row}
    stamp = Stamp(fingerprint=str(row["input_fingerprint"]), **fields)  # type: ignore[arg-type]
    stamped, published = stamp.rows - stamp.unstamped, stamp.partition_rows
    if published is None or stamped in (0, published):
        return stamp
    return replace(stamp, changed=f"{stamped:,} rows instead of {published:,}")


# -- what others did -----------------------------------------------------------------------------
def _inspected(warehouse: Warehouse, job: Job, stamps: Mapping[date, Stamp]) -> dict[date, Stamp]:
    """The stamps of partitions that are not as we left them, with what was changed."""
    key = list(dict.fromkeys([cast(str, job.output.partition), *job.output.key]))
    every = [column.name for column in job.output.columns]
    whole = [day for day, stamp in stamps.items() if _has_digest(job, stamp)]
    others = [day for day in stamps if day not in set(whole)]
    found: dict[date, Stamp] = {}
    for columns, days in ((every, whole), (key if job.output.key else [], others)):
        for chunk in _chunks(days, stamps) if columns else ():
            found |= _looked_at(warehouse, job, columns, {day: stamps[day] for day in chunk})
    return found


def _has_digest(job: Job, stamp: Stamp) -> bool:
    return not (stamp.changed or stamp.unstamped or stamp.mixed) and is_comparable(
        job.output, stamp.content_digest
    )


def _chunks(days: Sequence[date], stamps: Mapping[date, Stamp]) -> Iterator[list[date]]:
    """The dates in parts of bounded rows."""
    part: list[date] = []
    rows = 0
    for day in days:
        if part and rows + stamps[day].rows > _MOST_ROWS:
            yield part
            part, rows = [], 0
        part.append(day)
        rows += stamps[day].rows
    if part:
        yield part


def _looked_at(
    warehouse: Warehouse, job: Job, columns: Sequence[str], stamps: Mapping[date, Stamp]
) -> dict[date, Stamp]:
    try:
        rows = cast(pl.DataFrame, pl.from_arrow(warehouse.read(job.table, columns, [*stamps])))
    except ContractError:
        return {}  # other columns than the job's: that is refused before anything is written
    except WarehouseError as error:
        if len(stamps) == 1:
            return {day: _unreadable(stamp.rows, error) for day, stamp in stamps.items()}
        apart = [{day: stamp} for day, stamp in stamps.items()]
        return {
            day: stamp
            for one in apart
            for day, stamp in _looked_at(warehouse, job, columns, one).items()
        }
    twice = _twice(job, rows)
    whole = len(columns) == len(job.output.columns)
    digests = content_digests(job.output, rows) if whole else {}
    return {
        day: replace(stamp, changed=_changed(stamp, twice.get(day, ""), digests.get(day)))
        for day, stamp in stamps.items()
    }


def _changed(stamp: Stamp, twice: str, digest: str | None) -> str:
    told = [text for text in (stamp.changed, twice) if text]
    if not told and digest is not None and digest != stamp.content_digest:
        told.append("other values")
    return "; ".join(told)


def _twice(job: Job, rows: pl.DataFrame) -> dict[date, str]:
    """The dates in which a key stands more than once, with one that does."""
    key = list(job.output.key)
    if not key:
        return {}
    found = rows.filter(pl.struct(key).is_duplicated()).sort(key)
    first = found.unique(cast(str, job.output.partition), keep="first", maintain_order=True)
    return {
        row[cast(str, job.output.partition)]: (
            f"the key {', '.join(key)} stands twice, as in "
            f"{', '.join(str(row[name]) for name in key)}"
        )
        for row in first.iter_rows(named=True)
    }
