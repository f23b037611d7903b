"""Defects of schedules and box scores, one a function, put into raw tables that have none of them.

Each takes the tables and its own random source, and changes the rows in place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random

from tests.reference.names import GAMEBOOK, SCHEDULE
from tests.reference.rows import Row

Tables = dict[str, list[Row]]
Defect = Callable[[Tables, Random], None]
Key = tuple[date, str, str]


def slate(tables: Tables) -> dict[Key, list[Row]]:
    """The schedule's rows of regular-season games with a final, by game."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in tables[SCHEDULE]:
        found[row["game_date"], row["home_team_tricode"], row["away_team_tricode"]].append(row)
    return {
        key: rows
        for key, rows in sorted(found.items())
        if any(r["game_status"] == 3 and r["season_type"] == "regular" for r in rows)
    }


def drawn(tables: Tables, random: Random, share: float) -> list[tuple[Key, list[Row]]]:
    """Some games, never those of a season's first week: the season has to begin."""
    games = slate(tables)
    firsts = {
        season: min(day for (day, _, _), rows in games.items() if rows[0]["season"] == season)
        for season in {rows[0]["season"] for rows in games.values()}
    }
    late = [
        (key, rows)
        for key, rows in games.items()
        if key[0] > firsts[rows[0]["season"]] + timedelta(7)
    ]
    return random.sample(late, max(2, round(len(late) * share)))


def take_boxes(tables: Tables, key: Key, *teams: str) -> None:
    """Takes the gamebook rows of teams of a game away."""
    tables[GAMEBOOK] = [
        row
        for row in tables[GAMEBOOK]
        if row["game_date"] != key[0] or row["team_abbr"] not in teams
    ]


def sides(tables: Tables) -> dict[tuple[date, str], list[Row]]:
    """The gamebook's rows by date and team."""
    found: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for row in tables[GAMEBOOK]:
        if row["team_abbr"] is not None:
            found[row["game_date"], row["team_abbr"]].append(row)
    return dict(sorted(found.items()))


# The schedule -----------------------------------------------------------------------


def finals_without_scores(tables: Tables, random: Random) -> None:
    """Status 3 and no usable score; of some the box scores are missing too: never played."""
    for key, rows in drawn(tables, random, 0.2):
        score = random.choice(((None, None), (0, 0), (99, None)))
        for row in rows:
            row["home_team_score"], row["away_team_score"] = score
        take_boxes(tables, key, *random.choice(((), key[1:], key[1:2])))


def called_off(tables: Tables, random: Random) -> None:
    """A status that nobody lists; of some there are box scores nonetheless."""
    for key, rows in drawn(tables, random, 0.15):
        status = random.choice((0, 4, 5, 6))
        for row in rows:
            row["game_status"] = status
        if random.random() < 0.5:
            take_boxes(tables, key, *key[1:])


def stuck(tables: Tables, random: Random) -> None:
    """Still scheduled or live, long after; with box scores of both, of one or of none."""
    for key, rows in drawn(tables, random, 0.2):
        for row in rows:
            row["game_status"] = random.choice((1, 2))
            if random.random() < 0.7:
                row["home_team_score"] = row["away_team_score"] = None
        take_boxes(tables, key, *random.choice(((), key[1:], key[1:2])))


def without_status(tables: Tables, random: Random) -> None:
    """With a score it was played, else it is open."""
    for _, rows in drawn(tables, random, 0.2):
        score = random.random() < 0.7
        for row in rows:
            row["game_status"] = None
            if not score:
                row["home_team_score"] = None


def late_scrapes(tables: Tables, random: Random) -> None:
    """The newest scrape knows less than an older one."""
    for _, rows in drawn(tables, random, 0.3):
        newest = dict(max(rows, key=lambda row: row["game_status"]))
        newest |= {"game_status": 1, "home_team_score": None, "away_team_score": None}
        newest["processed_at"] = datetime(2026, 1, 1, tzinfo=UTC)
        tables[SCHEDULE].append(newest)


def labels(tables: Tables, random: Random) -> None:
    """Seasons by other names, by another one's name, or by none."""
    for key, rows in drawn(tables, random, 0.4):
        year = key[0].year if key[0].month >= 7 else key[0].year - 1
        label = random.choice(("Unknown", f"{year}", f"{year}-{year + 1}", "2001-02", " "))
        for row in rows:
            row["season"] = label


def strange_ids(tables: Tables, random: Random) -> None:
    """Ids that say nothing: the label decides, or the date."""
    for n, (key, rows) in enumerate(drawn(tables, random, 0.3)):
        year = key[0].year if key[0].month >= 7 else key[0].year - 1
        label = random.choice(("Unknown", f"{year}-{year + 1}", rows[0]["season"]))
        for row in rows:
            row |= {"game_id": f"other{n}", "season": label}


def kinds(tables: Tables, random: Random) -> None:
    """Types in other words or none; flags unknown; ids and types of exhibitions."""
    for _, rows in drawn(tables, random, 0.5):
        kind = random.choice((None, "", "REGULAR", "Regular Season", "exhibition", "Pre-Season"))
        flag = random.choice((None, None, True))
        digit = random.choice("2222135")
        for row in rows:
            row |= {"season_type": kind, "is_regular_season": flag, "is_playoffs": None}
            row["game_id"] = f"00{digit}{row['game_id'][3:]}"


def two_games(tables: Tables, random: Random) -> None:
    """A second game of the home team on the date, against a team that has none."""
    for n, (key, rows) in enumerate(drawn(tables, random, 0.2)):
        that_day = [row for row in tables[SCHEDULE] if row["game_date"] == key[0]]
        busy = {row[f"{side}_team_tricode"] for row in that_day for side in ("home", "away")}
        idle = sorted({"ASH", "BRK", "DEL", "ELM", "FEN", "LAC", "GHO", "HOL"} - busy)[0]
        other = {**rows[0], "game_id": f"{rows[0]['game_id'][:5]}9{n:04d}"}
        other["game_status"] = random.choice((1, 3, 5))
        pair = (key[1], idle) if random.random() < 0.5 else (idle, key[1])
        other["home_team_tricode"], other["away_team_tricode"] = pair
        tables[SCHEDULE].append(other)


def lone_openers(tables: Tables, random: Random) -> None:
    """A game that is called regular eight days and more before the season begins."""
    seasons: dict[str, tuple[Key, list[Row]]] = {}
    for key, rows in slate(tables).items():
        seasons.setdefault(rows[0]["season"], (key, rows))
    for n, (key, rows) in enumerate(seasons.values()):
        day = key[0] - timedelta(random.choice((8, 12)))
        row = {**rows[0], "game_date": day, "game_id": f"{rows[0]['game_id'][:5]}8{n:04d}"}
        tables[SCHEDULE].append(row)
        boxes = [r for r in tables[GAMEBOOK] if r["game_date"] == key[0]]
        tables[GAMEBOOK] += [{**r, "game_date": day} for r in boxes]


def tipoffs(tables: Tables, random: Random) -> None:
    """Stored as midnight, as the wall clock of the East, or on the next day."""
    for key, rows in drawn(tables, random, 0.4):
        midnight = datetime(key[0].year, key[0].month, key[0].day, tzinfo=UTC)
        hours = random.choice((0, 18.5, 19, 29, 40))
        for row in rows:
            row["game_date_est"] = midnight + timedelta(hours=hours)


# The gamebook -----------------------------------------------------------------------


def sides_missing(tables: Tables, random: Random) -> None:
    """The box score of one team never came."""
    for key, _ in drawn(tables, random, 0.15):
        take_boxes(tables, key, random.choice(key[1:]))


def cut_off(tables: Tables, random: Random) -> None:
    """The last players of a box score are missing."""
    for key, _ in drawn(tables, random, 0.2):
        side = sides(tables).get((key[0], random.choice(key[1:])), [])
        lost = sorted({row["player_lookup"] or "" for row in side})[2:]
        tables[GAMEBOOK] = [
            row
            for row in tables[GAMEBOOK]
            if row["game_date"] != key[0] or row["player_lookup"] not in lost
        ]


def zero_minutes(tables: Tables, random: Random) -> None:
    """0 minutes for people who played, or for a whole team; or no minutes at all."""
    for rows in sides(tables).values():
        of_all = random.random()
        odd = {row["player_lookup"] for row in rows if random.random() < 0.05}
        for row in rows:
            if row["player_status"] != "active":
                continue
            if of_all < 0.15 or row["player_lookup"] in odd:
                row["minutes_decimal"] = 0.0
            elif of_all < 0.3:
                row["minutes_decimal"] = None


def stray_dates(tables: Tables, random: Random) -> None:
    """Box scores filed under the day after their game."""
    for key, _ in drawn(tables, random, 0.15):
        for row in tables[GAMEBOOK]:
            if row["game_date"] == key[0] and row["team_abbr"] in key[1:]:
                row["game_date"] = key[0] + timedelta(1)


SCHEDULES_AND_BOXES: dict[str, Defect] = {
    "finals without scores": finals_without_scores,
    "called off": called_off,
    "stuck": stuck,
    "without status": without_status,
    "late scrapes": late_scrapes,
    "labels": labels,
    "strange ids": strange_ids,
    "kinds": kinds,
    "two games": two_games,
    "lone openers": lone_openers,
    "tip-offs": tipoffs,
    "sides missing": sides_missing,
    "cut off": cut_off,
    "zero minutes": zero_minutes,
    "stray dates": stray_dates,
}
