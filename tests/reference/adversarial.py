"""A small league in which everything that can bite does, drawn from a seed.

Six teams and an expansion pair, two seasons of about 25 dates. Nothing here is likely; all of
it is possible. The values make no sense as basketball, and need not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.defects import SCHEDULES_AND_BOXES
from tests.reference.feed_defects import FEEDS
from tests.reference.names import (
    ALIASES,
    BETTINGPROS,
    GAMEBOOK,
    INJURIES,
    LINES,
    LOCATIONS,
    PROPS,
    REGISTRY,
    SCHEDULE,
)

Row = dict[str, Any]

TEAMS = {
    "ASH": (35.7565, 139.6917, "Asia/Tokyo"),
    "BRK": (40.6826, -73.9754, "America/New_York"),
    "LAC": (33.4457, -112.0712, "America/Phoenix"),
    "DEL": (39.7487, -105.0077, "America/Denver"),
    "ELM": (-33.8688, 151.2093, "Australia/Sydney"),
    "FEN": (53.35, -6.26, "Europe/Dublin"),
}
NAMES = {
    **{team: f"{team.title()} Town {team}s" for team in (*TEAMS, "GHO", "HOL", "EST", "WST")},
    "BRK": "Brooklyn Nets",
    "LAC": "Los Angeles Clippers",
}
"""Two of them are teams whose names are known."""
ROSTER = 6
STEADY = {
    "player05": {"points": 18, "minutes_decimal": 20.0},
    "player11": {"points": 18, "minutes_decimal": 20.0},
    "player17": {"points": 12, "minutes_decimal": 28.0},
    "player23": {"points": 11, "minutes_decimal": 35.0},
    "player29": {"points": 12, "minutes_decimal": 27.999},
    "player35": {"points": 18, "minutes_decimal": 20.0},
}
"""Players just within, or just short of, what makes a star."""
SEASONS = (("2023-24", 2023, date(2023, 10, 24)), ("2024-25", 2024, date(2025, 2, 13)))
GAME_BOOKS = (
    "draftkings",
    "DraftKings",
    "fanduel",
    "Fan Duel",
    "betmgm",
    "caesars",
    "consensus",
    "unnamed_close",
)
PROP_BOOKS = ("DraftKings", "draft_kings", "fanduel", "betmgm", "caesars", "prizepicks")
PRO_BOOKS = ("DraftKings", "FanDuel", "BettingPros Consensus", "BetMGM", "Caesars", "Pro Only")
STATUSES = (
    "out",
    "Out ",
    "doubtful",
    "questionable",
    "day-to-day",
    "Day-To-Day",
    "probable",
    " Probable",
    "available",
    "gtd",
)
DECIMAL = (1.8, 1.87, 1.91, 1.91, 1.95, 2.0, 2.1)
AMERICAN = (-120, -115, -110, -110, -105, 100, 105, 120, 0)


@dataclass
class Plan:
    """One game as it is meant to have happened."""

    day: date
    home: str
    away: str
    season: str
    year: int
    game_id: str
    season_type: str | None
    regular: bool | None
    playoffs: bool | None
    tipoff: datetime | None
    neutral: bool | None
    status: int = 3
    scores: tuple[int | None, int | None] = (100, 99)
    boxes: bool = True


@dataclass
class League:
    """The raw tables under construction."""

    random: Random
    tables: dict[str, list[Row]] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    team_of: dict[str, str] = field(default_factory=dict)
    serial: int = 0

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def add(self, table: str, row: Row, copies: int = 1) -> None:
        for _ in range(copies):
            self.tables.setdefault(table, []).append(dict(row))

    def next_id(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}{self.serial:05d}"

    def game_id(self, kind: str, year: int) -> str:
        """An id of the league: the kind's three digits, the season's year, and a number."""
        return self.next_id(f"{kind}{year % 100:02d}")


DEFECTS = {**SCHEDULES_AND_BOXES, **FEEDS}
"""What a league can have besides, each by its name."""


def adversarial_tables(seed: int, defects: Iterable[str] | None = None) -> dict[str, list[Row]]:
    """The raw tables of a seed, each in a shuffled order.

    With the named `DEFECTS`; where none are named, with some that the seed draws.
    """
    league = League(Random(f"league {seed}"))
    for n, team in enumerate(team for team in TEAMS for _ in range(ROSTER)):
        league.team_of[f"player{n:02d}"] = team
    for name, year, start in SEASONS:
        season(league, name, year, start, last=name == SEASONS[-1][0])
    for plan in league.plans:
        schedule_rows(league, plan)
        game_lines(league, plan)
    references(league)
    chosen = Random(f"defects {seed}").sample(sorted(DEFECTS), 6) if defects is None else defects
    for name in DEFECTS:
        if name in chosen:
            DEFECTS[name](league.tables, Random(f"{name} {seed}"))
    for table, rows in league.tables.items():
        Random(f"{table} {seed}").shuffle(rows)
        absent = Random(f"no {table} {seed}").random() < 0.1
        if defects is None and absent and table in (LINES, BETTINGPROS):
            rows.clear()
    return league.tables


# The schedule -------------------------------------------------------------------


def season(league: League, name: str, year: int, start: date, *, last: bool) -> None:
    """One season: preseason, about 25 dates, a play-in, playoffs, and days yet to come."""
    random = league.random
    dates: list[date] = []
    day = start
    while len(dates) < 25:
        dates.append(day)
        begun = len(dates) > 1
        gap = 1 if league.chance(0.62) else random.choice((2, 2, 3, 12, 16 if last else 4))
        gap = gap if begun else min(gap, 3)
        day += timedelta(gap)
    other_leagues(league, name, year, dates)
    for n, day in enumerate(dates):
        left = len(dates) - n
        teams = random.sample(sorted(TEAMS), 6)
        for pair in range(random.choice((1, 2, 2, 3))):
            home, away = teams[2 * pair], teams[2 * pair + 1]
            plan = drawn_plan(league, name, year, day, home, away, left)
            if n == 0:
                plan.regular, plan.season_type, plan.status = True, "regular", 3
                plan.boxes = True
            if last and left <= 3:
                plan.status = 3 if pair == 0 else random.choice((1, 1, 2, 3))
                plan.boxes = plan.status == 3 and (pair == 0 or league.chance(0.5))
                if pair == 0:  # who plays here was on another team's roster yesterday
                    for player in random.sample(sorted(league.team_of), 4):
                        league.team_of[player] = home
            league.plans.append(plan)
            if plan.boxes:
                box_scores(league, plan)
            postponed(league, plan, start, dates)
            player_lines(league, plan)
            reports(league, plan)
        trades(league)
    if last:
        days_to_come(league, name, year, dates[-1])


def drawn_plan(
    league: League, name: str, year: int, day: date, home: str, away: str, left: int
) -> Plan:
    """A game of the season with some of the trouble that a schedule has."""
    random = league.random
    hour = random.choice((17, 20, 23, 24, 26, 27))
    tipoff = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
        hours=hour, minutes=random.choice((0, 10, 30))
    )
    kind: tuple[str | None, bool | None, bool | None] = ("regular", True, False)
    prefix = "002"
    if left <= 3:
        prefix = "004"
        kind = random.choice(
            (("playoffs", False, True), ("Playoffs", False, None), (None, False, True))
        )
    elif left <= 6:
        prefix, kind = "005", (random.choice(("playin", "Play-In", "play_in")), False, False)
    elif league.chance(0.05):
        prefix, kind = "006", ("cup_final", False, False)
    plan = Plan(
        day,
        home,
        away,
        name,
        year,
        league.game_id(prefix, year),
        *kind,
        None if league.chance(0.08) else tipoff,
        random.choices((None, False, True), (9, 5, 1))[0],
    )
    plan.scores = (random.randint(80, 130), random.randint(80, 130))
    plan.boxes = not league.chance(0.05)
    return plan


def other_leagues(league: League, name: str, year: int, dates: list[date]) -> None:
    """Preseason and All-Star games, with box scores that must never count."""
    random = league.random
    games = [
        ("001", None, dates[0] - timedelta(6), "ASH", "BRK"),
        ("002", "Pre Season", dates[0] - timedelta(4), "LAC", "DEL"),
        ("003", None, dates[9], "EST", "WST"),
        ("009", "All-Star Game", dates[9] + timedelta(1), "EST", "WST"),
        ("009", "Rising_Stars", dates[8], "EST", "WST"),
    ]
    for prefix, kind, day, home, away in games:
        league.add(
            SCHEDULE,
            {
                "game_id": league.game_id(prefix, year),
                "season": name,
                "season_year": year,
                "game_date": day,
                "game_date_est": datetime(day.year, day.month, day.day, 23, tzinfo=UTC),
                "game_status": 3,
                "home_team_tricode": home,
                "away_team_tricode": away,
                "season_type": kind,
                "is_regular_season": random.choice((True, False, None)),
                "is_playoffs": False,
                "home_team_score": 150,
                "away_team_score": 140,
            },
        )
        if day not in dates:
            for player in random.sample(sorted(league.team_of), 5):
                league.add(
                    GAMEBOOK, box_row(league, day, player, random.choice((home, away)), 30_000)
                )


def days_to_come(league: League, name: str, year: int, last: date) -> None:
    """Games nobody has played: with rosters, without any, and too far ahead."""
    for days, home, away in (
        (1, "ASH", "DEL"),
        (2, "GHO", "HOL"),
        (3, "BRK", "GHO"),
        (5, "FEN", "LAC"),
        (40, "ASH", "BRK"),
    ):
        plan = drawn_plan(league, name, year, last + timedelta(days), home, away, 30)
        plan.status, plan.boxes, plan.scores = 1, False, (None, None)
        league.plans.append(plan)
        player_lines(league, plan)
        reports(league, plan)


def postponed(league: League, plan: Plan, start: date, dates: list[date]) -> None:
    """Puts the game's id on an earlier or a later date as well, with lines and without a game."""
    if not league.chance(0.1):
        return
    ghost = Plan(**vars(plan))
    ghost.day = plan.day - timedelta(league.random.choice((1, 2, 9)))
    ghost.status = 1
    if plan.status == 3 and league.chance(0.3):
        ghost.day = plan.day + timedelta(league.random.choice((1, 3)))
    elif ghost.day < start:
        return
    if ghost.tipoff is not None:
        ghost.tipoff += ghost.day - plan.day
    if ghost.status < plan.status or ghost.day < plan.day:
        ghost.scores = (None, None)
        schedule_rows(league, ghost, disagree=False)
        game_lines(league, ghost)
        player_lines(league, ghost)


def schedule_rows(league: League, plan: Plan, *, disagree: bool = True) -> None:
    """The scrapes of one game."""
    random = league.random
    row = {
        "game_id": plan.game_id,
        "season": plan.season,
        "season_year": plan.year,
        "game_date": plan.day,
        "game_date_est": plan.tipoff,
        "game_status": plan.status,
        "home_team_tricode": plan.home,
        "away_team_tricode": plan.away,
        "season_type": plan.season_type,
        "is_regular_season": plan.regular,
        "is_playoffs": plan.playoffs,
        "neutral_site_flag": plan.neutral,
        "home_team_score": plan.scores[0],
        "away_team_score": plan.scores[1],
        "processed_at": random.choice((None, scraped(plan.day, 12))),
    }
    league.add(SCHEDULE, row, random.choice((1, 1, 1, 2, 3)))
    while league.chance(0.3):  # earlier scrapes of lower status say what they like
        older = {**row, **wrong_schedule(league, plan), "game_status": 1}
        older["processed_at"] = random.choice((None, scraped(plan.day, 30)))
        if plan.status > 1:
            league.add(SCHEDULE, older)
    while league.chance(0.15):  # an older scrape of the same status
        older = {**row, **wrong_schedule(league, plan)}
        older["processed_at"] = (
            None if row["processed_at"] and league.chance(0.5) else scraped(plan.day, 2)
        )
        if row["processed_at"] is not None:
            league.add(SCHEDULE, older)
    if plan.status == 3 and league.chance(0.05):  # another id for the same game, not final
        league.add(
            SCHEDULE,
            {
                **row,
                "game_id": league.game_id("002", plan.year),
                "game_status": 1,
                "processed_at": None,
            },
        )
    opening = plan.day in (start for _, _, start in SEASONS)
    if disagree and not opening and league.chance(0.025):
        league.add(SCHEDULE, {**row, **wrong_schedule(league, plan)})


def wrong_schedule(league: League, plan: Plan) -> Row:
    """One or two columns of a game, other than planned."""
    wrong = {
        "game_date_est": None if plan.tipoff is None else plan.tipoff - timedelta(hours=5),
        "neutral_site_flag": not plan.neutral,
        "home_team_score": 77,
        "season_type": "cup_final",
    }
    return {name: wrong[name] for name in league.random.sample(sorted(wrong), 2)}


def scraped(day: date, hours: int) -> datetime:
    return datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(hours=hours)


def trades(league: League) -> None:
    """Sends a player elsewhere, now and then."""
    if league.chance(0.35):
        player = league.random.choice(sorted(league.team_of))
        league.team_of[player] = league.random.choice(sorted(TEAMS))


# The gamebook -------------------------------------------------------------------


def box_scores(league: League, plan: Plan) -> None:
    """Both teams' rows of one game, mostly adding up to its score; seldom only one team's."""
    random = league.random
    complete = league.chance(0.7)
    sides = [plan.home, plan.away]
    if league.chance(0.03):
        sides.pop()
    sums = {plan.home: 0, plan.away: 0}
    for team in sides:
        players = [player for player, at in league.team_of.items() if at == team]
        rows = []
        for player in players:
            minutes = random.randint(12_000, 42_000)
            row = box_row(league, plan.day, player, team, minutes)
            spoil(league, row, complete)
            rows.append(row)
        if complete and rows:
            stretch(league, rows)
        for row in rows:
            if row["player_status"] == "active":
                row |= STEADY.get(row["player_lookup"], {})
            if not league.chance(0.03):
                sums[team] += row["points"] or 0
                duplicates(league, row)
    if league.chance(0.94):  # else the score is another one
        plan.scores = (sums[plan.home], sums[plan.away])
    elif league.chance(0.5):
        plan.scores = random.choice(((None, None), (101, None), (None, 88), (95, 95), (0, 0)))
    if league.chance(0.1):
        nobody = box_row(league, plan.day, "nobody", plan.home, 20_000)
        league.add(GAMEBOOK, {**nobody, "player_lookup": None})
    if league.chance(0.1):
        stray = box_row(league, plan.day, f"stray{league.random.randint(0, 3)}", "ZZZ", 20_000)
        league.add(GAMEBOOK, {**stray, "team_abbr": random.choice(("ZZZ", None))})


def box_row(league: League, day: date, player: str, team: str, minutes: int) -> Row:
    """A plain row of a player who played."""
    random = league.random
    fga, fta = random.randint(4, 25), random.randint(0, 12)
    return {
        "game_id": f"{day:%Y%m%d}_XXX_YYY",
        "game_date": day,
        "player_lookup": player,
        "player_name": player.title(),
        "team_abbr": team,
        "player_status": "active",
        "minutes_decimal": minutes / 1000,
        "points": random.randint(0, 40) if random.random() < 0.7 else random.choice((20, 25)),
        "field_goals_made": random.randint(0, fga),
        "field_goals_attempted": fga,
        "three_pointers_made": 1,
        "three_pointers_attempted": 3,
        "free_throws_made": random.randint(0, fta),
        "free_throws_attempted": fta,
        "offensive_rebounds": random.randint(0, 4),
        "defensive_rebounds": 2,
        "total_rebounds": 4,
        "assists": 3,
        "steals": 1,
        "blocks": 1,
        "turnovers": random.randint(0, 6),
        "personal_fouls": 2,
        "processed_at": None,
    }


def spoil(league: League, row: Row, complete: bool) -> None:
    """What box scores leave out, and rows of those who did not play."""
    random = league.random
    if league.chance(0.15):
        row["player_status"] = random.choice(("dnp", "inactive", None, "suspended"))
        if league.chance(0.6):
            for name in ("minutes_decimal", "points", "field_goals_attempted"):
                row[name] = random.choice((None, 0))
        return
    if league.chance(0.04):
        row |= {"minutes_decimal": 0.0, "points": 0}
    if league.chance(0.04):
        row["player_name"] = None
    if complete:
        return
    if league.chance(0.12):
        row["minutes_decimal"] = random.choice((None, 0.0))
    if league.chance(0.06):
        row["points"] = None
    for name in ("field_goals_attempted", "free_throws_attempted", "turnovers"):
        if league.chance(0.06):
            row[name] = None
    if league.chance(0.06):
        row["offensive_rebounds"] = None
    if league.chance(0.06):
        row["field_goals_made"] = None


def stretch(league: League, rows: list[Row]) -> None:
    """Makes a team's minutes those of a game, with or without overtime, or just between two."""
    played = [r for r in rows if r["player_status"] == "active" and r["minutes_decimal"]]
    if len(played) < 3:
        return
    wanted = league.random.choice((240_000, 240_010, 252_499, 252_500, 265_000, 277_500, 290_000))
    each = wanted // len(played)
    for row in played:
        row["minutes_decimal"] = each / 1000
    played[0]["minutes_decimal"] = (wanted - each * (len(played) - 1)) / 1000


def duplicates(league: League, row: Row) -> None:
    """The row, perhaps several times, perhaps with another that says something else."""
    random = league.random
    if league.chance(0.4):
        row["processed_at"] = scraped(row["game_date"], 24)
    league.add(GAMEBOOK, row, random.choice((1, 1, 1, 1, 2, 4)))
    other = {
        **row,
        random.choice(("points", "turnovers")): random.randint(0, 30),
        random.choice(("player_status", "points")): random.choice((None, 7)),
    }
    if other["player_status"] == 7:
        other["player_status"] = "dnp"
    if league.chance(0.06) and row["processed_at"] is not None:
        other["processed_at"] = random.choice((None, scraped(row["game_date"], 23)))
        league.add(GAMEBOOK, other)
    elif league.chance(0.004):
        if league.chance(0.3):
            other["team_abbr"] = random.choice(sorted(TEAMS))
        if league.chance(0.3):
            other["player_name"] = "Somebody Else"
        league.add(GAMEBOOK, other)


# Lines --------------------------------------------------------------------------


def moments(league: League, day: date, tipoff: datetime | None) -> list[datetime | None]:
    """When a book was looked at: before tip-off, at it, after it, or nobody knows."""
    random = league.random
    tip = tipoff or datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
    kind = random.random()
    if kind < 0.2:
        return [None] * random.choice((1, 1, 2))
    times: list[datetime | None] = [
        tip
        - timedelta(minutes=random.choice((1, 30, 240, 600, 1500)), seconds=random.choice((0, 13)))
        for _ in range(random.choice((1, 2, 3)))
    ]
    if kind < 0.3:
        times = []
    if league.chance(0.3):
        times.append(tip)
    if league.chance(0.3):
        times.append(tip + timedelta(minutes=random.choice((1, 45))))
    if league.chance(0.2):
        times.append(None)
    return times


def feed_start(league: League, plan: Plan) -> datetime | None:
    """What a feed takes for the tip-off: about right, wrong or unknown."""
    if plan.tipoff is None and plan.day.toordinal() % 2:
        return None
    guess = plan.tipoff or datetime(plan.day.year, plan.day.month, plan.day.day, 23, tzinfo=UTC)
    return league.random.choice((guess, guess, guess + timedelta(hours=3), None))


def price(league: League) -> float | None:
    return None if league.chance(0.15) else league.random.choice(DECIMAL)


def game_lines(league: League, plan: Plan) -> None:
    """Spreads and totals of one game, side by side and multiplied."""
    random = league.random
    offered = random.sample(GAME_BOOKS, random.choice((0, 2, 3, 4, 6)))
    if league.chance(0.4):
        offered = [book for book in offered if book.lower()[0] not in "df"]
    level = random.choice((-31, -30, -12, -6.5, -3, 0, 0, 2.5, 8, 30, 33))
    height = random.choice((148, 149, 215.5, 220, 231, 300, 303))
    for book in offered:
        start = feed_start(league, plan)
        for when in moments(league, plan.day, plan.tipoff or start):
            base = {
                "snapshot_timestamp": when,
                "game_id": league.next_id("hash"),
                "commence_time": start,
                "game_date": plan.day,
                "home_team": NAMES[plan.home],
                "away_team": NAMES[plan.away],
                "home_team_abbr": plan.home,
                "away_team_abbr": plan.away,
                "bookmaker_key": book,
            }
            if league.chance(0.04):
                base |= {"home_team_abbr": plan.away, "away_team_abbr": plan.home}
            if league.chance(0.02):
                base["home_team_abbr"] = None
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                spread = float(level + random.choice((-0.5, 0, 0, 0.5)))
                one_market(league, base, "spreads", (NAMES[plan.home], NAMES[plan.away]), spread)
            for _ in range(random.choice((0, 1, 1, 2))):
                total = float(height + random.choice((-1, 0, 0, 0.5)))
                one_market(league, base, "totals", ("Over", "Under"), total)
    if league.chance(0.1):
        league.add(
            LINES,
            {
                "game_date": plan.day,
                "home_team": NAMES[plan.home],
                "away_team": NAMES[plan.away],
                "home_team_abbr": plan.home,
                "away_team_abbr": plan.away,
                "bookmaker_key": random.choice((None, "draftkings")),
                "market_key": random.choice(("spreads", "h2h")),
                "outcome_name": random.choice(("Draw", None, NAMES["EST"])),
                "outcome_point": 4.0,
                "outcome_price": 1.9,
            },
        )


def one_market(
    league: League, base: Row, market: str, names: tuple[str, str], point: float
) -> None:
    """The two outcomes of a market, of which one may be missing."""
    random = league.random
    skipped = random.choices((None, 0, 1), (8, 1, 1))[0]
    for side, name in enumerate(names):
        if side == skipped:
            continue
        signed = -point if market == "spreads" and side == 1 else point
        row = {
            **base,
            "market_key": market,
            "outcome_name": name,
            "outcome_point": None if league.chance(0.02) else signed,
            "outcome_price": price(league),
        }
        league.add(LINES, row, random.choice((1, 1, 1, 2, 5)))
        if league.chance(0.08):
            league.add(LINES, {**row, "outcome_price": price(league)})


def player_lines(league: League, plan: Plan) -> None:
    """Points lines of the players of both teams, from both sources."""
    for player, team in league.team_of.items():
        if team in (plan.home, plan.away):
            points = float(league.random.choice((10, 14.5, 19.5, 20, 25)))
            if league.chance(0.7):
                props(league, plan, player, points)
            if league.chance(0.6):
                bettingpros(league, plan, player, points)


def spelling(league: League, player: str) -> str:
    """The player's lookup as a feed may write it."""
    return f"{player}jr" if league.chance(0.1) else player


def props(league: League, plan: Plan, player: str, points: float) -> None:
    """The Odds API's rows for one player."""
    random = league.random
    offered = random.sample(PROP_BOOKS, random.choice((1, 2, 3, 5)))
    if league.chance(0.5):
        offered = [book for book in offered if book[0].lower() not in "df"]
    for book in offered:
        start = feed_start(league, plan)
        for when in moments(league, plan.day, plan.tipoff or start):
            for _ in range(random.choice((1, 1, 1, 2))):
                row = {
                    "snapshot_timestamp": when,
                    "game_date": plan.day,
                    "game_start_time": start,
                    "home_team_abbr": plan.home,
                    "away_team_abbr": plan.away,
                    "bookmaker": None if league.chance(0.01) else book,
                    "player_lookup": spelling(league, player),
                    "points_line": (
                        None if league.chance(0.02) else points + random.choice((-1, 0, 0, 0.5))
                    ),
                    "over_price": price(league),
                    "under_price": price(league),
                }
                if league.chance(0.03):
                    row["away_team_abbr"] = None
                if league.chance(0.03):
                    row["home_team_abbr"] = row["away_team_abbr"] = "ZZZ"
                league.add(PROPS, row, random.choice((1, 1, 1, 3)))


def bettingpros(league: League, plan: Plan, player: str, points: float) -> None:
    """BettingPros' rows for one player: each side of each book, with other markets between."""
    random = league.random
    offered = random.sample(PRO_BOOKS, random.choice((1, 2, 4)))
    if league.chance(0.5):
        offered = [book for book in offered if book[0] not in "DF"]
    if league.chance(0.5):
        offered = [book for book in offered if "Consensus" not in book]
    for book in offered:
        lookup = spelling(league, player)
        lines: set[tuple[datetime | None, float]] = set()
        for when in moments(league, plan.day, plan.tipoff):
            for _ in range(random.choice((1, 1, 2))):
                lines.add((when, points + random.choice((-0.5, 0, 0, 1))))
        for when, line in sorted(lines, key=str):
            active = random.choices((True, None, False), (7, 2, 1))[0]
            for side in ("over", "under"):
                if league.chance(0.1):
                    continue
                row = {
                    "game_date": plan.day,
                    "market_type": "points",
                    "bet_side": side,
                    "player_lookup": lookup,
                    "bookmaker": book,
                    "points_line": line,
                    "opening_line": random.choice((None, points - 2, points + 1)),
                    "odds_american": None if league.chance(0.1) else random.choice(AMERICAN),
                    "is_active": active,
                    "bookmaker_last_update": when,
                    "opening_timestamp": None,
                }
                league.add(BETTINGPROS, row, random.choice((1, 1, 2, 6)))
                if league.chance(0.08):
                    league.add(BETTINGPROS, {**row, "odds_american": random.choice(AMERICAN)})
                if league.chance(0.2):
                    league.add(
                        BETTINGPROS,
                        {**row, "market_type": "rebounds", "points_line": 3.5},
                    )


# Injuries -----------------------------------------------------------------------


def reports(league: League, plan: Plan) -> None:
    """Several reports a day, before midnight, before tip-off, at it and after it."""
    random = league.random
    midnight = datetime(
        plan.day.year, plan.day.month, plan.day.day, tzinfo=ZoneInfo("America/New_York")
    ).astimezone(UTC)
    tip = plan.tipoff or midnight + timedelta(hours=19)
    for team in (plan.home, plan.away):
        people = sorted(player for player, at in league.team_of.items() if at == team)
        times = [
            midnight - timedelta(minutes=1),
            midnight,
            tip - timedelta(hours=3),
            tip - timedelta(seconds=1),
            tip,
            tip + timedelta(hours=1),
        ]
        for when in random.sample(times, random.choice((0, 0, 1, 2, 3, 4))):
            listed = random.sample(people, min(len(people), random.randint(1, 4)))
            listed += random.sample(["unknown", *sorted(league.team_of)[:3]], 1)
            for player in sorted(set(listed)):
                row = {
                    "report_timestamp": when,
                    "game_date": plan.day,
                    "team": None if league.chance(0.03) else team,
                    "player_lookup": spelling(league, player),
                    "injury_status": random.choice(STATUSES),
                    "reason": random.choice((None, "Left ankle; sprain", "Rest")),
                    "processed_at": random.choice((None, None, when + timedelta(minutes=5))),
                }
                league.add(INJURIES, row, random.choice((1, 1, 1, 2)))
                if row["processed_at"] is not None and league.chance(0.15):
                    league.add(INJURIES, {**row, "injury_status": "out", "processed_at": when})
                elif league.chance(0.008):
                    league.add(INJURIES, {**row, "reason": "Something else"})


# Reference tables ---------------------------------------------------------------


def references(league: League) -> None:
    """Registry, arenas and aliases, with holes."""
    random = league.random
    homeless = "FEN" if league.chance(0.3) else None
    for team, arena in TEAMS.items():
        if team != homeless:
            row = dict(zip(("latitude", "longitude", "timezone"), arena, strict=True))
            league.add(LOCATIONS, {"team_abbr": team, **row}, random.choice((1, 2)))
    players = sorted(league.team_of)
    for name, year, _ in (("2022-23", 2022, None), *SEASONS, ("2025-26", 2025, None)):
        for n, player in enumerate(players):
            if league.chance(0.4):
                continue
            born = date(1985 + n % 20, 1 + n % 12, 1 + n % 28)
            if n % 9 == 0:
                born = date(1996, 2, 29)
            if n % 7 == 0:
                born = date(1990, 2, 10 + n % 15)
            elif league.chance(0.3):
                born -= timedelta(400 * (1 + n % 3))
            if league.chance(0.3):
                born = None
            row = {
                "season": name,
                "player_lookup": spelling(league, player),
                "birth_date": born,
                "processed_at": random.choice((None, scraped(date(year, 9, 1), 0))),
            }
            league.add(REGISTRY, row, random.choice((1, 1, 2)))
            if league.chance(0.1):
                wrong = date(1970, 1, 1)
                older = row["processed_at"] is not None and league.chance(0.7)
                league.add(
                    REGISTRY,
                    {
                        **row,
                        "birth_date": wrong,
                        "processed_at": None if older else row["processed_at"],
                    },
                )
    for player in players:
        if league.chance(0.8):
            league.add(ALIASES, {"alias_lookup": f"{player}jr", "player_lookup": player})
        if league.chance(0.05):
            league.add(ALIASES, {"alias_lookup": f"{player}jr", "player_lookup": players[0]})
    league.add(ALIASES, {"alias_lookup": players[4], "player_lookup": players[5]})
    league.tables[REGISTRY] = [
        row for row in league.tables[REGISTRY] if row["player_lookup"] != players[4]
    ]
