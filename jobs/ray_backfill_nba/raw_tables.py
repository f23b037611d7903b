"""The raw tables that the NBA jobs read, as contracts.

Names and columns are those of the warehouse that exists; more columns may be present in a
loaded file and are left out. `optional` columns may be absent.
"""

from __future__ import annotations

from ray_backfill.job.table import Column, Kind, Table

__all__ = [
    "ALIASES",
    "BETTINGPROS",
    "GAMEBOOK",
    "GAME_LINES",
    "INJURIES",
    "LOCATIONS",
    "POINTS_PROPS",
    "RAW_TABLES",
    "REGISTRY",
    "SCHEDULE",
]

_DATE = Column("game_date", Kind.DATE, "US Eastern date of the game.", nullable=False)
_PROCESSED = Column(
    "processed_at", Kind.TIMESTAMP, "When the row was scraped; the latest wins.", optional=True
)


def _ints(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.INT) for name in names)


SCHEDULE = Table(
    "nba_raw.nbac_schedule",
    (
        Column("game_id", Kind.STRING, "The league's game id, like 0022500001."),
        Column("season", Kind.STRING, "Season, like 2025-26 or 2025-2026; the id goes before."),
        Column("season_year", Kind.INT, "Year the season begins in."),
        _DATE,
        Column("game_date_est", Kind.TIMESTAMP, "Tip-off; UTC in spite of its name."),
        Column("game_status", Kind.INT, "1 scheduled, 2 live, 3 final; any other: off."),
        Column("home_team_tricode", Kind.STRING),
        Column("away_team_tricode", Kind.STRING),
        Column(
            "season_type",
            Kind.STRING,
            known_values=frozenset(
                {"regular", "playoffs", "playin", "cup_final", "preseason", "allstar"}
            ),
        ),
        Column("is_regular_season", Kind.BOOL),
        Column("is_playoffs", Kind.BOOL),
        Column("neutral_site_flag", Kind.BOOL, "NULL means the home arena."),
        Column("home_team_score", Kind.INT),
        Column("away_team_score", Kind.INT),
        _PROCESSED,
    ),
    "One game as of one scrape.",
    key=("game_date", "home_team_tricode", "away_team_tricode"),
    partition="game_date",
)

GAMEBOOK = Table(
    "nba_raw.nbac_gamebook_player_stats",
    (
        Column("game_id", Kind.STRING, "YYYYMMDD_AWAY_HOME."),
        _DATE,
        Column("player_lookup", Kind.STRING, "Spelling-proof player key, like stephencurry."),
        Column("player_name", Kind.STRING),
        Column("team_abbr", Kind.STRING),
        Column(
            "player_status",
            Kind.STRING,
            known_values=frozenset({"active", "dnp", "inactive"}),
        ),
        Column("minutes_decimal", Kind.FLOAT, "Minutes played, exact thousandths."),
        *_ints(
            "points",
            "field_goals_made",
            "field_goals_attempted",
            "three_pointers_made",
            "three_pointers_attempted",
            "free_throws_made",
            "free_throws_attempted",
            "offensive_rebounds",
            "defensive_rebounds",
            "total_rebounds",
            "assists",
            "steals",
            "blocks",
            "turnovers",
            "personal_fouls",
        ),
        _PROCESSED,
    ),
    "One player in one game.",
    key=("game_date", "player_lookup"),
    partition="game_date",
)

GAME_LINES = Table(
    "nba_raw.odds_api_game_lines",
    (
        Column("snapshot_timestamp", Kind.TIMESTAMP, "When the line was seen; NULL: unknown."),
        Column("game_id", Kind.STRING, "The odds feed's own hash; never a join key."),
        Column("commence_time", Kind.TIMESTAMP, "Tip-off according to the feed."),
        _DATE,
        Column("home_team", Kind.STRING, "Full team name."),
        Column("away_team", Kind.STRING, "Full team name."),
        Column("home_team_abbr", Kind.STRING),
        Column("away_team_abbr", Kind.STRING),
        Column("bookmaker_key", Kind.STRING),
        Column("market_key", Kind.STRING, known_values=frozenset({"spreads", "totals"})),
        Column("outcome_name", Kind.STRING, "A team's full name, or Over, Under."),
        Column("outcome_point", Kind.FLOAT),
        Column("outcome_price", Kind.FLOAT, "Decimal odds."),
    ),
    "One outcome of one market at one book at one snapshot: two rows a market.",
    partition="game_date",
)

POINTS_PROPS = Table(
    "nba_raw.odds_api_player_points_props",
    (
        Column("snapshot_timestamp", Kind.TIMESTAMP, "When the line was seen; NULL: unknown."),
        _DATE,
        Column("game_start_time", Kind.TIMESTAMP, "Tip-off according to the feed."),
        Column("home_team_abbr", Kind.STRING),
        Column("away_team_abbr", Kind.STRING),
        Column("bookmaker", Kind.STRING),
        Column("player_lookup", Kind.STRING),
        Column("points_line", Kind.FLOAT),
        Column("over_price", Kind.FLOAT, "Decimal odds."),
        Column("under_price", Kind.FLOAT, "Decimal odds."),
    ),
    "One player's points line at one book at one snapshot.",
    partition="game_date",
)

BETTINGPROS = Table(
    "nba_raw.bettingpros_player_points_props",
    (
        _DATE,
        Column("market_type", Kind.STRING, "Only `points` is used."),
        Column("bet_side", Kind.STRING, known_values=frozenset({"over", "under"})),
        Column("player_lookup", Kind.STRING),
        Column("bookmaker", Kind.STRING, "Mixed case, like DraftKings."),
        Column("points_line", Kind.FLOAT),
        Column("opening_line", Kind.FLOAT),
        Column("odds_american", Kind.INT),
        Column("is_active", Kind.BOOL, "FALSE rows are dropped."),
        Column("bookmaker_last_update", Kind.TIMESTAMP, "The time of the line."),
        Column("opening_timestamp", Kind.TIMESTAMP),
    ),
    "One player × market × book × side.",
    partition="game_date",
)

INJURIES = Table(
    "nba_raw.nbac_injury_report",
    (
        Column("report_timestamp", Kind.TIMESTAMP),
        _DATE,
        Column("team", Kind.STRING),
        Column("player_lookup", Kind.STRING),
        Column(
            "injury_status",
            Kind.STRING,
            known_values=frozenset(
                {"out", "doubtful", "questionable", "probable", "available", "day-to-day"}
            ),
        ),
        Column("reason", Kind.STRING),
        _PROCESSED,
    ),
    "One player on one report.",
    key=("report_timestamp", "game_date", "team", "player_lookup"),
    partition="game_date",
)

REGISTRY = Table(
    "nba_reference.nba_players_registry",
    (
        Column("season", Kind.STRING),
        Column("player_lookup", Kind.STRING),
        Column("birth_date", Kind.DATE),
        _PROCESSED,
    ),
    "One player in one season.",
    key=("season", "player_lookup"),
)

LOCATIONS = Table(
    "nba_reference.team_locations",
    (
        Column("team_abbr", Kind.STRING),
        Column("latitude", Kind.FLOAT, "Degrees north."),
        Column("longitude", Kind.FLOAT, "Degrees east."),
        Column("timezone", Kind.STRING, "IANA name."),
    ),
    "One team's arena.",
    key=("team_abbr",),
)

ALIASES = Table(
    "nba_reference.player_aliases",
    (
        Column("alias_lookup", Kind.STRING, "The other spelling."),
        Column("player_lookup", Kind.STRING, "Whom it means."),
        Column("team_abbr", Kind.STRING, "Only for rows of this team.", optional=True),
        Column("season", Kind.STRING, "Only for rows of this season.", optional=True),
    ),
    "Other spellings of players, and whom they mean.",
    key=("alias_lookup", "player_lookup", "team_abbr", "season"),
)

RAW_TABLES = (
    SCHEDULE,
    GAMEBOOK,
    GAME_LINES,
    POINTS_PROPS,
    BETTINGPROS,
    INJURIES,
    REGISTRY,
    LOCATIONS,
    ALIASES,
)
