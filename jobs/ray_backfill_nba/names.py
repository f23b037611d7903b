"""Names as they are compared: every text of the raw tables is normalised once, on reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import polars as pl

__all__ = ["CODES", "TEAMS", "code_of_name", "normalised"]

CODES = {
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
"""Other codes of teams, and the one that the schedule has."""

TEAMS = {
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
    "la lakers": "LAL",
    "los angeles clippers": "LAC",
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
"""Full names of the 30 teams with their variants, in lower case."""

_Change = Callable[[pl.Expr], pl.Expr]


def _kept(value: pl.Expr) -> pl.Expr:
    return pl.when(value.str.strip_chars() != "").then(value)


def _trimmed(value: pl.Expr) -> pl.Expr:
    bare = value.str.strip_chars()
    return pl.when(bare != "").then(bare)


def _word(value: pl.Expr) -> pl.Expr:
    return _trimmed(value).str.to_lowercase()


def _code(value: pl.Expr) -> pl.Expr:
    return _trimmed(value).str.to_uppercase().replace(CODES)


def _book(value: pl.Expr) -> pl.Expr:
    bare = value.str.to_lowercase().str.replace_all("[^a-z0-9]", "")
    return pl.when(bare != "").then(bare)


def _season(value: pl.Expr) -> pl.Expr:
    """'2025-26' for '2025-26' and '2025-2026'; anything else as it is, trimmed."""
    label = _trimmed(value)
    first = label.str.extract(r"^(\d{4})-(?:\d{2}|\d{4})$").cast(pl.Int64)
    short = (first + 1).cast(pl.String).str.slice(2)
    reads = (label.str.slice(5) == short) | (label.str.slice(5) == (first + 1).cast(pl.String))
    return pl.when(reads).then(pl.concat_str(label.str.slice(0, 5), short)).otherwise(label)


_CHANGES: Mapping[str, _Change] = {
    **dict.fromkeys(("player_lookup", "alias_lookup"), _word),
    **dict.fromkeys(
        (
            "team",
            "team_abbr",
            "home_team_tricode",
            "away_team_tricode",
            "home_team_abbr",
            "away_team_abbr",
        ),
        _code,
    ),
    **dict.fromkeys(("player_status", "injury_status", "bet_side", "market_type"), _word),
    **dict.fromkeys(("market_key", "outcome_name", "home_team", "away_team"), _word),
    **dict.fromkeys(("bookmaker", "bookmaker_key"), _book),
    **dict.fromkeys(("game_id", "timezone"), _trimmed),
    **dict.fromkeys(("player_name", "season_type", "reason"), _kept),
    "season": _season,
}
"""How each text column of a raw table is read, by its name."""


def normalised(frame: pl.DataFrame, without: Collection[str] = ()) -> pl.DataFrame:
    """A raw table's rows with every text as it is compared; an empty text is NULL.

    Players, statuses, sides, markets and names of outcomes in lower case, codes of teams as the
    schedule has them, books by letters and digits; names and reasons of people as they are.
    Columns `without` stay as they are.
    """
    return frame.with_columns(
        _changed(frame[name], change)
        for name, change in _CHANGES.items()
        if name in frame.columns and name not in without
    )


def _changed(values: pl.Series, change: _Change) -> pl.Series:
    """The series with each of its distinct values changed: there are few, and most are right."""
    given = values.unique()
    read = given.to_frame("v").select(change(pl.col("v"))).to_series()
    other = given.ne_missing(read)
    if not other.any():
        return values
    return values.replace(given.filter(other), read.filter(other))


def code_of_name(name: str) -> pl.Expr:
    """The team that a normalised full name stands for; NULL for a name that is not known."""
    return pl.col(name).replace_strict(TEAMS, default=None, return_dtype=pl.String)
