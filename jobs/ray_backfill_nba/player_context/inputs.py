"""What the job reads: tables, the columns that it uses, and how far around D."""

from __future__ import annotations

from ray_backfill.job import Input
from ray_backfill.job.calendar import Window
from ray_backfill_nba import raw_tables

__all__ = ["CALENDAR_INPUTS", "INPUTS"]

_SCHEDULE = (
    "game_id",
    "season",
    "game_date",
    "game_date_est",
    "game_status",
    "home_team_tricode",
    "away_team_tricode",
    "season_type",
    "is_regular_season",
    "is_playoffs",
    "neutral_site_flag",
    "home_team_score",
    "away_team_score",
    "processed_at",
)
_WHO = ("game_date", "player_lookup", "player_name", "team_abbr")
_PLAYED = ("player_status", "minutes_decimal", "points")
_FIGURES = (
    "field_goals_made",
    "field_goals_attempted",
    "free_throws_attempted",
    "offensive_rebounds",
    "turnovers",
)

_ALIASES = ("alias_lookup", "player_lookup", "team_abbr", "season")

INPUTS = (
    # The whole season, because a later row of a game's id can take the game away from D.
    Input("schedule", raw_tables.SCHEDULE, _SCHEDULE, Window.whole_season(), required=True),
    # D's keys are the population. The days after, because rows of both teams prove that a final
    # game without scores was played, and two names on one date that they are two people.
    Input(
        "gamebook",
        raw_tables.GAMEBOOK,
        (*_WHO, *_PLAYED, *_FIGURES, "processed_at"),
        Window.whole_season(),
        required=True,
    ),
    Input("schedule_before", raw_tables.SCHEDULE, _SCHEDULE, Window.season_before()),
    # Player names, because a roster may reach back over a season's end.
    Input(
        "gamebook_before",
        raw_tables.GAMEBOOK,
        (*_WHO, *_PLAYED, "processed_at"),
        Window.season_before(),
    ),
    Input(
        "game_lines",
        raw_tables.GAME_LINES,
        (
            "game_date",
            "snapshot_timestamp",
            "commence_time",
            "home_team",
            "away_team",
            "home_team_abbr",
            "away_team_abbr",
            "bookmaker_key",
            "market_key",
            "outcome_name",
            "outcome_point",
            "outcome_price",
        ),
        Window.around(),
    ),
    Input(
        "points_props",
        raw_tables.POINTS_PROPS,
        (
            "game_date",
            "snapshot_timestamp",
            "game_start_time",
            "home_team_abbr",
            "away_team_abbr",
            "bookmaker",
            "player_lookup",
            "points_line",
            "over_price",
            "under_price",
        ),
        Window.around(),
    ),
    Input(
        "bettingpros",
        raw_tables.BETTINGPROS,
        (
            "game_date",
            "market_type",
            "bet_side",
            "player_lookup",
            "bookmaker",
            "points_line",
            "opening_line",
            "odds_american",
            "is_active",
            "bookmaker_last_update",
        ),
        Window.around(),
    ),
    Input(
        "injuries",
        raw_tables.INJURIES,
        (
            "game_date",
            "report_timestamp",
            "team",
            "player_lookup",
            "injury_status",
            "reason",
            "processed_at",
        ),
        Window.around(),
    ),
    Input(
        "registry",
        raw_tables.REGISTRY,
        ("season", "player_lookup", "birth_date", "processed_at"),
        Window.always(),
    ),
    Input(
        "locations",
        raw_tables.LOCATIONS,
        ("team_abbr", "latitude", "longitude", "timezone"),
        Window.always(),
    ),
    Input("aliases", raw_tables.ALIASES, _ALIASES, Window.always()),
)

CALENDAR_INPUTS = {
    "schedule": _SCHEDULE,
    "gamebook": (*_WHO, "processed_at"),
    "aliases": _ALIASES,
}
