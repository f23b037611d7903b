"""A made-up league: raw tables for the first run and for tests at any scale.

    from ray_backfill_nba.demo_league import LeagueSpec, generate, late_lines, tables

`generate(spec)` gives the raw tables in chunks of bounded size, `tables(spec)` gives them whole,
`late_lines(spec)` the game lines that the spec withholds. Everything follows from the spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray_backfill_nba.demo_league.league import Chunk, generate, late_lines, tables
    from ray_backfill_nba.demo_league.spec import LeagueSpec

__all__ = ["Chunk", "LeagueSpec", "generate", "late_lines", "tables"]


def __getattr__(name: str) -> object:
    """Import late: the command line loads this package for `--help`, without Polars."""
    if name == "LeagueSpec":
        from ray_backfill_nba.demo_league import spec

        return getattr(spec, name)
    if name in __all__:
        from ray_backfill_nba.demo_league import league

        return getattr(league, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
