"""What is made once of the same frames, and of no others."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import date
from weakref import ref

import polars as pl

from ray_backfill.job import Context, Frames
from ray_backfill.job.calendar import Season
from ray_backfill_nba.once import Once

SEASON = Season("2025-26", date(2025, 10, 21), date(2026, 6, 1))
CONTEXT = Context((SEASON,), SEASON, None)


class Made:
    """A result that can be told from another."""

    def __init__(self, frames: Frames, context: Context) -> None:
        self.rows = frames["a"].height


def test_the_same_frames_are_made_of_once() -> None:
    """Whatever else the context says; other frames, or another season, are made of anew."""
    make = Once(Made, "a")
    frames = {"a": pl.DataFrame({"x": [1, 2]}), "b": pl.DataFrame()}
    first = make(frames, CONTEXT)
    assert make({**frames, "b": pl.DataFrame()}, replace(CONTEXT, options=1)) is first
    assert make({**frames, "a": frames["a"].clone()}, CONTEXT) is not first
    other = replace(SEASON, name="2024-25")
    again = make(frames, CONTEXT)
    assert make(frames, replace(CONTEXT, season=other)) is not again


def test_nothing_outlives_its_frames() -> None:
    """A worker's memory is free again when a task ends."""
    make = Once(Made, "a")
    frames = {"a": pl.DataFrame({"x": [1]})}
    kept = ref(make(frames, CONTEXT))
    assert kept() is not None
    del frames
    gc.collect()
    assert kept() is None
