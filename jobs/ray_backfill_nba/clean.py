"""One row per key out of raw rows that repeat and disagree.

Identical rows count once; of rows that disagree the latest `processed_at` wins, NULL being the
earliest. Rows that still disagree are ties: the value they disagree on is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

__all__ = ["Resolved", "keep_best", "resolve"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """`rows`: one per key, NULL in each column on which its tied rows disagree.

    `ties`: the tied rows as they are, of all keys that stay undecided.
    """

    rows: pl.DataFrame
    ties: pl.DataFrame


def keep_best(frame: pl.DataFrame, key: Sequence[str], order: Sequence[str]) -> pl.DataFrame:
    """The rows that are highest of their key in each column of `order` in turn, NULL lowest.

    Rows of a key that are equal in all of `order` all stay.
    """
    double = frame.select(key).is_duplicated()
    if not double.any():
        return frame
    rest = frame.filter(double)
    for column in order:
        best = pl.col(column).max().over(key)
        rest = rest.filter(pl.col(column).eq_missing(best))
    return pl.concat([frame.filter(~double), rest])


def resolve(
    frame: pl.DataFrame, key: Sequence[str], order: Sequence[str] = ("processed_at",)
) -> Resolved:
    """Decide the rows of each key by `order`. `processed_at` is not a column of the result.

    Every other column of `frame` is compared, so it should hold only those that are used.
    """
    kept = keep_best(frame, key, order).drop("processed_at")
    double = kept.select(key).is_duplicated()
    if not double.any():
        return Resolved(kept, kept.clear())
    rest = kept.filter(double).unique()
    tied = rest.select(key).is_duplicated()
    single, ties = rest.filter(~tied), rest.filter(tied)
    clean = pl.concat([kept.filter(~double), single])
    values = [name for name in kept.columns if name not in key]
    settled = ties.group_by(key).agg(
        pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()) for name in values
    )
    return Resolved(pl.concat([clean, settled.select(kept.columns)]), ties)
