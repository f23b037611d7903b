"""Names, normalised once, on reading. Domain rules, section 1 (Names)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from tests.reference.rows import Row, letters_and_digits

SCHEDULE = "nba_raw.nbac_schedule"
GAMEBOOK = "nba_raw.nbac_gamebook_player_stats"
LINES = "nba_raw.odds_api_game_lines"
PROPS = "nba_raw.odds_api_player_points_props"
BETTINGPROS = "nba_raw.bettingpros_player_points_props"
INJURIES = "nba_raw.nbac_injury_report"
REGISTRY = "nba_reference.nba_players_registry"
LOCATIONS = "nba_reference.team_locations"
ALIASES = "nba_reference.player_aliases"

OTHER_CODES = {
    "BRK": "BKN",
    "CHO": "CHA",
    "GS": "GSW",
    "NO": "NOP",
    "NOR": "NOP",
    "NY": "NYK",
    "PHL": "PHI",
    "PHO": "PHX",
    "SA": "SAS",
    "UTAH": "UTA",
    "UTH": "UTA",
    "WSH": "WAS",
}
FULL_NAMES = {
    "atlanta hawks": "ATL",
    "boston celtics": "BOS",
    "brooklyn nets": "BKN",
    "charlotte hornets": "CHA",
    "chicago bulls": "CHI",
    "cleveland cavaliers": "CLE",
    "dallas mavericks": "DAL",
    "denver nuggets": "DEN",
    "detroit pistons": "DET",
    "golden state warriors": "GSW",
    "houston rockets": "HOU",
    "indiana pacers": "IND",
    "la clippers": "LAC",
    "los angeles clippers": "LAC",
    "la lakers": "LAL",
    "los angeles lakers": "LAL",
    "memphis grizzlies": "MEM",
    "miami heat": "MIA",
    "milwaukee bucks": "MIL",
    "minnesota timberwolves": "MIN",
    "new orleans pelicans": "NOP",
    "new york knicks": "NYK",
    "oklahoma city thunder": "OKC",
    "orlando magic": "ORL",
    "philadelphia 76ers": "PHI",
    "philadelphia sixers": "PHI",
    "phoenix suns": "PHX",
    "portland trail blazers": "POR",
    "portland trailblazers": "POR",
    "sacramento kings": "SAC",
    "san antonio spurs": "SAS",
    "toronto raptors": "TOR",
    "utah jazz": "UTA",
    "washington wizards": "WAS",
}


@cache
def word(text: str) -> str | None:
    """A lookup, status, side, market or outcome: trimmed, in lower case; NULL where empty."""
    return text.strip().lower() or None


@cache
def code(text: str) -> str | None:
    """A team's code: trimmed, in upper case, other spellings as the league's own."""
    upper = text.strip().upper()
    return OTHER_CODES.get(upper, upper) or None


@cache
def book(text: str) -> str | None:
    """A bookmaker: letters and digits, in lower case."""
    return letters_and_digits(text) or None


def trimmed(text: str) -> str | None:
    return text.strip() or None


@cache
def as_written(text: str) -> str | None:
    """Free text stands as it is; NULL where there is nothing but blanks."""
    return text if text.strip() else None


def code_of_name(name: str | None) -> str | None:
    """The code that a team's full name stands for."""
    return None if name is None else FULL_NAMES.get(name)


READ: Mapping[str, Mapping[str, Callable[[str], str | None]]] = {
    SCHEDULE: {
        "game_id": trimmed,
        "season": trimmed,
        "home_team_tricode": code,
        "away_team_tricode": code,
    },
    GAMEBOOK: {"player_lookup": word, "team_abbr": code, "player_status": word},
    LINES: {
        "home_team": word,
        "away_team": word,
        "home_team_abbr": code,
        "away_team_abbr": code,
        "bookmaker_key": book,
        "market_key": word,
        "outcome_name": word,
    },
    PROPS: {
        "home_team_abbr": code,
        "away_team_abbr": code,
        "bookmaker": book,
        "player_lookup": word,
    },
    BETTINGPROS: {
        "market_type": word,
        "bet_side": word,
        "player_lookup": word,
        "bookmaker": book,
    },
    INJURIES: {"team": code, "player_lookup": word, "injury_status": word},
    REGISTRY: {"season": trimmed, "player_lookup": word},
    LOCATIONS: {"team_abbr": code},
    ALIASES: {"alias_lookup": word, "player_lookup": word, "team_abbr": code, "season": trimmed},
}


def read(table: str, row: Mapping[str, Any]) -> Row:
    """A raw row with its names normalised; a row of lines without a code takes its name's."""
    how = READ[table]
    clean = {
        column: how.get(column, as_written)(value) if isinstance(value, str) else value
        for column, value in row.items()
    }
    if table == LINES:
        for side in ("home", "away"):
            if clean.get(f"{side}_team_abbr") is None:
                clean[f"{side}_team_abbr"] = code_of_name(clean.get(f"{side}_team"))
    return clean


def read_all(tables: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """Every table with its names normalised; an absent one is empty."""
    return {table: [read(table, row) for row in tables.get(table, [])] for table in READ}
