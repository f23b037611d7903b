"""What is doubted of injury reports, aliases, birth dates and places."""

from __future__ import annotations

import polars as pl

from ray_backfill.job import Frames, Unmatched
from ray_backfill_nba.clean import resolve
from ray_backfill_nba.league import League
from ray_backfill_nba.names import normalised
from ray_backfill_nba.player_context.doubts.counted import counted
from ray_backfill_nba.player_context.injuries import is_report
from ray_backfill_nba.player_context.local import Local
from ray_backfill_nba.raw_tables import ALIASES, INJURIES, LOCATIONS, REGISTRY

__all__ = ["found"]

_SIDE = ["game_date", "team_abbr"]
_PLAYER = pl.col("player_lookup")


def found(frames: Frames, league: League, local: Local, reports: pl.DataFrame) -> list[Unmatched]:
    """Rows that report nothing, of no team, or that disagree, and aliases that do not hold."""
    return [
        *_reports(local, reports),
        *_aliases(league, local),
        *_births(frames["registry"], local),
        *_places(frames["locations"], local),
    ]


def _reports(local: Local, torn: pl.DataFrame) -> list[Unmatched]:
    rows = local.injuries.drop("processed_at")
    listed = rows.filter(is_report())
    lost = listed.join(local.games, on=_SIDE, how="anti")
    status = rows.filter(_PLAYER.is_not_null() & ~is_report())
    return [
        *counted(
            INJURIES, "no player_lookup", rows.filter(_PLAYER.is_null()), "team_abbr", _PLAYER
        ),
        *counted(INJURIES, "the injury_status is not understood", status, "status", _PLAYER),
        *counted(
            INJURIES,
            "no report_timestamp",
            listed.filter(pl.col("report_timestamp").is_null()),
            "team_abbr",
            _PLAYER,
        ),
        *counted(
            INJURIES,
            "no team, and no gamebook row in the 30 days before that tells it",
            lost.filter(pl.col("team_abbr").is_null()),
            "status",
            _PLAYER,
        ),
        *counted(
            INJURIES,
            "the team has no game on that date",
            lost.drop_nulls("team_abbr"),
            "team_abbr",
            _PLAYER,
        ),
        *counted(
            INJURIES,
            "rows of the player on one report disagree, and no processed_at decides",
            torn.select(*_SIDE, "player_lookup"),
            "team_abbr",
            _PLAYER,
        ),
    ]


def _aliases(league: League, local: Local) -> list[Unmatched]:
    """Aliases of somebody of the date that are not applied."""
    people = local.people.select("game_date", "player_lookup")
    several = league.aliases.entries.filter(_PLAYER.n_unique().over("alias_lookup") > 1)
    told = (
        ("not applied: the two stand in the gamebook on one date", league.aliases.refuted),
        ("an alias of several players: applied only where one is meant", several),
    )
    return [
        one
        for why, entries in told
        for one in counted(
            ALIASES, why, people.join(entries, on="player_lookup"), "alias_lookup", _PLAYER
        )
    ]


def _births(registry: pl.DataFrame, local: Local) -> list[Unmatched]:
    torn = resolve(normalised(registry), ["season", "player_lookup"]).ties
    people = local.people.select("game_date", "player_lookup")
    return counted(
        REGISTRY,
        "rows of a player's season disagree: its birth date is not known",
        people.join(torn.select("player_lookup", "season"), on="player_lookup"),
        "season",
        _PLAYER,
    )


def _places(locations: pl.DataFrame, local: Local) -> list[Unmatched]:
    places = normalised(locations).unique()
    torn = places.filter(pl.col("team_abbr").is_duplicated()).select("team_abbr").unique()
    return counted(
        LOCATIONS,
        "rows of the team disagree: what they disagree on is not known",
        local.games.join(torn, on="team_abbr").select(_SIDE),
        "team_abbr",
        pl.col("team_abbr"),
    )
