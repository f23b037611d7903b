"""Player context: what was known about each player before tip-off (phase 3 of the pipeline)."""

from __future__ import annotations

from ray_backfill.job import Aliases, Job
from ray_backfill_nba.player_context.calendar import calendar
from ray_backfill_nba.player_context.columns import OUTPUT
from ray_backfill_nba.player_context.compute import compute
from ray_backfill_nba.player_context.gates import GATES
from ray_backfill_nba.player_context.inputs import CALENDAR_INPUTS, INPUTS
from ray_backfill_nba.player_context.options import PlayerContextOptions
from ray_backfill_nba.player_context.views import VIEWS
from ray_backfill_nba.raw_tables import ALIASES

__all__ = ["JOB"]

_SHARED = (
    "aliases",
    "clean",
    "gamebook",
    "history",
    "league",
    "names",
    "once",
    "population",
    "schedule",
)
_OWN = (
    "boxes",
    "cascade",
    "compute",
    "conflicts",
    "feeds",
    "form",
    "game_lines",
    "identity",
    "injuries",
    "lines",
    "local",
    "player",
    "points_line",
    "props",
    "quality",
    "rest",
    "schedule_ahead",
    "team",
    "travel",
)
"""Without `columns`: a better description is no reason to compute anything again. Its names and
dtypes are checked on every date that is computed."""

JOB = Job(
    name="player_context",
    description="Before-tip-off context of every player of a game date. H is the games that the "
    "player has played before D in its season, newest first: H[0] is the last one.",
    output=OUTPUT,
    inputs=INPUTS,
    views=VIEWS,
    calendar=calendar,
    calendar_inputs=CALENDAR_INPUTS,
    compute=compute,
    modules=(
        *(f"ray_backfill_nba.{name}" for name in _SHARED),
        *(f"ray_backfill_nba.player_context.{name}" for name in _OWN),
    ),
    options=PlayerContextOptions,
    gates=GATES,
    aliases=Aliases(ALIASES, "alias_lookup", "player_lookup"),
)
