"""What is doubted of the gamebook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from ray_backfill.job import Unmatched
from ray_backfill_nba.gamebook import STATUSES
from ray_backfill_nba.league import League
from ray_backfill_nba.names import normalised
from ray_backfill_nba.player_context.doubts.counted import counted, told_on
from ray_backfill_nba.player_context.local import Local, of_dates
from ray_backfill_nba.raw_tables import GAMEBOOK

__all__ = ["found"]

_SIDE = ["game_date", "team_abbr"]
_PLAYER = pl.col("player_lookup")


def found(
    gamebook: pl.DataFrame, league: League, local: Local, dates: Sequence[date]
) -> list[Unmatched]:
    """Rows of nobody or of no game, box scores that are not complete, minutes that cannot be."""
    rows = normalised(of_dates(gamebook, dates))
    named = rows.filter(_PLAYER.is_not_null())
    status = pl.col("player_status")
    return [
        *counted(
            GAMEBOOK,
            "no player_lookup",
            rows.filter(_PLAYER.is_null()),
            "team_abbr",
            pl.col("player_name"),
        ),
        *counted(
            GAMEBOOK,
            "the player_status is not understood: not a game played",
            named.filter(status.is_null() | ~status.is_in(STATUSES)),
            "player_status",
            _PLAYER,
        ),
        *_homeless(named, league, local),
        *_incomplete(league, dates),
        *_strays(league, dates),
        *counted(
            GAMEBOOK,
            "0 minutes cannot be: more than 5 points, or nobody of the team has any",
            of_dates(league.now.gamebook.untimed, dates),
            "team_abbr",
            _PLAYER,
        ),
        *counted(
            GAMEBOOK,
            "rows of the player disagree, and no processed_at decides",
            of_dates(league.now.gamebook.ties, dates).select(*_SIDE, "player_lookup"),
            "team_abbr",
            _PLAYER,
        ),
    ]


def _homeless(named: pl.DataFrame, league: League, local: Local) -> list[Unmatched]:
    """Rows of teams that do not play, without those of stray dates, which are told apart."""
    lost = named.join(local.games, on=_SIDE, how="anti").join(league.strays, on=_SIDE, how="anti")
    return counted(GAMEBOOK, "the team has no game on that date", lost, "team_abbr", _PLAYER)


def _incomplete(league: League, dates: Sequence[date]) -> list[Unmatched]:
    bare = of_dates(league.sides.filter(pl.col("is_played") & ~pl.col("is_complete")), dates)
    score = pl.col("own_score").cast(pl.String).fill_null("an unknown number of")
    said = pl.concat_str(
        "away_team",
        pl.lit(" at "),
        "home_team",
        pl.lit(": "),
        "team_abbr",
        pl.lit(" has "),
        pl.col("box_points").fill_null(0),
        pl.lit(" of "),
        score,
        pl.lit(" points in "),
        "box_rows",
        pl.lit(" rows"),
    )
    return counted(GAMEBOOK, "the box score is not complete", bare, "team_abbr", said)


def _strays(league: League, dates: Sequence[date]) -> list[Unmatched]:
    strays = of_dates(told_on(league.strays, league.sides), dates)
    said = pl.concat_str(
        "players", pl.lit(" players of "), "team_abbr", pl.lit(" on "), pl.col("on").cast(pl.String)
    )
    return counted(
        GAMEBOOK,
        "a stray date: the schedule has no game of the team, so a box score counts as missing",
        strays,
        "team_abbr",
        said,
    )
