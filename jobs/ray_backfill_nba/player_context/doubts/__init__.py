"""What a computation has to say beside its rows: what was left out, and what it doubts.

Each is told on the date that it is about. What lies on a date that is not computed, like rows of
a team on an off-day, is told on the next date that has games.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from ray_backfill.job import Frames, Unmatched
from ray_backfill_nba.league import League
from ray_backfill_nba.player_context.doubts import boxes, games, lines, people
from ray_backfill_nba.player_context.local import Local

__all__ = ["doubts"]


def doubts(
    frames: Frames,
    league: League,
    local: Local,
    reports: pl.DataFrame,
    dates: Sequence[date],
) -> tuple[Unmatched, ...]:
    """Everything left out or doubted of `dates`, by table.

    `reports`: rows of the latest injury reports that disagree.
    """
    return (
        *games.found(frames["schedule"], league, local, dates),
        *boxes.found(frames["gamebook"], league, local, dates),
        *lines.found(local),
        *people.found(frames, league, local, reports),
    )
