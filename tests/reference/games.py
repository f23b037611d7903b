"""What a row of the schedule says of its game, and the game itself. Domain rules, section 1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from tests.reference.rows import Row, letters

PRESEASON, REGULAR, ALL_STAR = "preseason", "regular", "allstar"
PLAYOFFS, PLAY_IN, CUP_FINAL = "playoffs", "playin", "cup_final"
KIND_OF_DIGIT = {
    "1": PRESEASON,
    "2": REGULAR,
    "3": ALL_STAR,
    "4": PLAYOFFS,
    "5": PLAY_IN,
    "6": CUP_FINAL,
}
KIND_OF_TYPE = {
    "preseason": PRESEASON,
    "regular": REGULAR,
    "allstar": ALL_STAR,
    "risingstars": ALL_STAR,
    "playoff": PLAYOFFS,
    "playin": PLAY_IN,
    "cupfinal": CUP_FINAL,
}
"""How a season type begins, in letters."""
NEVER_COUNTS = {PRESEASON, ALL_STAR}
GAME_ID = re.compile(r"00(\d)(\d\d)\d{5}", re.ASCII)
LABEL = re.compile(r"(\d{4})-(\d{2}|\d{4})", re.ASCII)
FIRST_SEASON = 46
"""Of 1946-47: two digits below it are of this century."""

SCHEDULED, LIVE, FINAL = 1, 2, 3
SCORES = {"home_team_score", "away_team_score"}


def season_name(year: int) -> str:
    return f"{year}-{(year + 1) % 100:02d}"


# Season of a game ---------------------------------------------------------------


def season_of_id(game_id: str | None) -> str | None:
    """The season in an id '00tyy' and five digits."""
    found = GAME_ID.fullmatch(game_id or "")
    if found is None:
        return None
    year = int(found[2])
    return season_name(year + (1900 if year >= FIRST_SEASON else 2000))


def season_of_label(label: str | None) -> str | None:
    """'2025-26' or '2025-2026', as '2025-26'; None for any other text."""
    found = LABEL.fullmatch(label or "")
    if found is None:
        return None
    year = int(found[1])
    return season_name(year) if int(found[2]) in (year + 1, (year + 1) % 100) else None


def season_of_date(day: date) -> str:
    """July to June."""
    return season_name(day.year if day.month >= 7 else day.year - 1)


def season_of(row: Row) -> str:
    """The id's season, else the label's, else the date's."""
    return (
        season_of_id(row.get("game_id"))
        or season_of_label(row.get("season"))
        or season_of_date(row["game_date"])
    )


def label_against_id(row: Row) -> bool:
    """Whether a row's label names another season than its id."""
    by_id, by_label = season_of_id(row.get("game_id")), season_of_label(row.get("season"))
    return by_id is not None and by_label is not None and by_id != by_label


# Kind of a game -----------------------------------------------------------------


def kind_of_id(game_id: str | None) -> str | None:
    found = GAME_ID.fullmatch(game_id or "")
    return None if found is None else KIND_OF_DIGIT.get(found[1])


def kind_of_type(season_type: str | None) -> str | None:
    """The kind that the letters of a season type begin with."""
    text = letters(season_type)
    return next((kind for start, kind in KIND_OF_TYPE.items() if text.startswith(start)), None)


def kind_of(row: Row) -> str | None:
    """The type's kind, else the id's, else what the flags say."""
    kind = kind_of_type(row.get("season_type")) or kind_of_id(row.get("game_id"))
    if kind is not None:
        return kind
    if row.get("is_playoffs") is True:
        return PLAYOFFS
    return REGULAR if row.get("is_regular_season") is True else None


def never_counts(kind: str | None, game_id: str | None) -> bool:
    """Preseason and All-Star games, by kind or by id."""
    return kind in NEVER_COUNTS or kind_of_id(game_id) in NEVER_COUNTS


# Scores and states --------------------------------------------------------------


def usable_score(home: int | None, away: int | None) -> bool:
    """Both sides known, and not 0-0."""
    return home is not None and away is not None and (home, away) != (0, 0)


def was_played(row: Row, both_have_rows: bool) -> bool:
    """Final with a usable score or with rows of both teams; a usable score without a status."""
    score = usable_score(row.get("home_team_score"), row.get("away_team_score"))
    status = row.get("game_status")
    return (status == FINAL and (score or both_have_rows)) or (status is None and score)


def state_of(played: bool, status: int | None, day: date, newest_played: date | None) -> str:
    """`played`, `off`, `overdue` or `open`."""
    if played:
        return "played"
    past = newest_played is not None and day < newest_played
    if status not in (SCHEDULED, LIVE, FINAL, None) or (status == FINAL and past):
        return "off"
    return "overdue" if past else "open"


def interpreted(row: Row, both_have_rows: bool) -> Row:
    """A row of the schedule with what follows from it: season, kind, regular, neutral, played."""
    kind = kind_of(row)
    regular = row.get("is_regular_season")
    return {
        **row,
        "season_name": season_of(row),
        "kind": kind,
        "regular": kind == REGULAR if regular is None else regular,
        "neutral": row.get("neutral_site_flag") is True,
        "played": was_played(row, both_have_rows),
    }


@dataclass(frozen=True)
class Game:
    """One game, as the schedule has it after settling."""

    day: date
    home: str
    away: str
    game_id: str | None
    season: str
    stated_tipoff: datetime | None
    tipoff: datetime | None
    tipoff_disputed: bool
    status: int | None
    state: str
    season_type: str | None
    kind: str | None
    regular: bool
    neutral: bool
    home_score: int | None
    away_score: int | None
    disagree: tuple[str, ...]

    def has(self, team: str) -> bool:
        return team in (self.home, self.away)

    def other(self, team: str) -> str:
        return self.away if team == self.home else self.home

    @property
    def teams(self) -> tuple[str, str]:
        return (self.home, self.away)

    @property
    def played(self) -> bool:
        return self.state == "played"

    @property
    def off(self) -> bool:
        return self.state == "off"

    @property
    def overdue(self) -> bool:
        return self.state == "overdue"

    @property
    def after_season(self) -> bool:
        """Whether the game is a play-in or a playoff game."""
        return self.kind in (PLAY_IN, PLAYOFFS)

    @property
    def phase(self) -> str:
        if self.after_season:
            return "playoffs"
        if self.day.month in (10, 11):
            return "early"
        if self.day.month in (12, 1, 2):
            return "mid"
        return "late"

    @property
    def scored(self) -> bool:
        """Whether the score is usable."""
        return usable_score(self.home_score, self.away_score)

    @property
    def scores_disagree(self) -> bool:
        return bool(SCORES & set(self.disagree))

    def score_of(self, team: str) -> int | None:
        """The team's score, where the game has been played and its score is usable."""
        if not self.played or not self.scored:
            return None
        return self.home_score if team == self.home else self.away_score

    def won_by(self, team: str) -> bool | None:
        """Whether `team` won; None where there is no result."""
        own, other = self.score_of(team), self.score_of(self.other(team))
        return None if own is None or other is None else own > other
