"""Defects of names, lines and reports, one a function; as in `defects`."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from tests.reference.defects import Defect, Tables, drawn, sides
from tests.reference.names import (
    ALIASES,
    BETTINGPROS,
    GAMEBOOK,
    INJURIES,
    LINES,
    LOCATIONS,
    PROPS,
    READ,
    REGISTRY,
    SCHEDULE,
    as_written,
    trimmed,
)
from tests.reference.rows import Row

PADS = ("", "", " ", "\t", "  ")
CODES = {"BRK": ("BKN", "brk", " Brk"), "LAC": ("lac", "LAC ")}


# Names ------------------------------------------------------------------------------


def spellings(tables: Tables, random: Random) -> None:
    """Capitals and blanks wherever a name is normalised; books with other signs between."""
    for table, columns in READ.items():
        for row in tables.get(table, []):
            for column, how in columns.items():
                text = row.get(column)
                if not isinstance(text, str) or random.random() < 0.7:
                    continue
                if how in (trimmed, as_written):
                    row[column] = text + random.choice(PADS)
                else:
                    row[column] = random.choice(PADS) + other_case(text, random)


def other_case(text: str, random: Random) -> str:
    """A code in another spelling, any other text in another case."""
    if text in CODES:
        return random.choice(CODES[text])
    return random.choice((text.upper(), text.lower(), text.title(), text + " "))


def empty_texts(tables: Tables, random: Random) -> None:
    """Empty or blank where nothing is known."""
    places = (
        *((GAMEBOOK, c) for c in ("player_name", "team_abbr", "player_lookup", "player_status")),
        *((LINES, c) for c in ("bookmaker_key", "outcome_name", "home_team_abbr", "market_key")),
        *((PROPS, c) for c in ("bookmaker", "player_lookup", "away_team_abbr")),
        *((BETTINGPROS, c) for c in ("bookmaker", "bet_side", "player_lookup")),
        *((INJURIES, c) for c in ("team", "player_lookup", "injury_status", "reason")),
        (SCHEDULE, "season_type"),
    )
    for table, column in places:
        for row in tables.get(table, []):
            if row.get(column) is None or random.random() < 0.004:
                row[column] = random.choice(("", " ", None))


def names_without_codes(tables: Tables, random: Random) -> None:
    """Lines that name the teams, in one of two ways, and give no code."""
    other = {"Los Angeles Clippers": "LA Clippers"}
    for row in tables.get(LINES, []):
        for side in ("home", "away"):
            name = row.get(f"{side}_team")
            if name in other and random.random() < 0.3:
                row[f"{side}_team"] = other[name]
            if name in ("Brooklyn Nets", *other) and random.random() < 0.3:
                row[f"{side}_team_abbr"] = None


# Aliases ----------------------------------------------------------------------------


def renamed(tables: Tables, random: Random) -> None:
    """Spells of games under another name, in every table, with aliases that hold or do not."""
    people = sorted({r["player_lookup"] for r in tables[GAMEBOOK]} - {None, "nobody"})
    for player in random.sample(people, 8):
        spelling = f"{player}x"
        mine = sorted({r["game_date"] for r in tables[GAMEBOOK] if r["player_lookup"] == player})
        spell = set(mine[len(mine) // 3 : len(mine) // 2])
        for table in (GAMEBOOK, PROPS, BETTINGPROS, INJURIES):
            for row in tables.get(table, []):
                if row["player_lookup"] == player and row["game_date"] in spell:
                    row["player_lookup"] = spelling
        for row in tables.get(REGISTRY, []):
            if row["player_lookup"] == player and random.random() < 0.3:
                row["player_lookup"] = spelling
        for _ in range(random.choice((0, 1, 1, 2))):
            tables[ALIASES].append(alias(tables, spelling, player, random))


def alias(tables: Tables, spelling: str, player: str, random: Random) -> Row:
    """An alias of a player, perhaps for one team and season only."""
    teams = sorted({r["team_abbr"] or "ASH" for r in tables[GAMEBOOK]})
    return {
        "alias_lookup": spelling,
        "player_lookup": player,
        "team_abbr": random.choice((None, None, *teams)),
        "season": random.choice((None, None, "2023-24", "2024-2025")),
    }


def doubtful_aliases(tables: Tables, random: Random) -> None:
    """Of several players, with scopes that tell them apart or not; of two people."""
    people = sorted({r["player_lookup"] for r in tables[GAMEBOOK]} - {None, "nobody"})
    for n in range(6):
        first, second = random.sample(people, 2)
        spelling = f"either{n}"
        for row in [*tables.get(PROPS, []), *tables.get(INJURIES, [])]:
            if row["player_lookup"] == first and random.random() < 0.3:
                row["player_lookup"] = spelling
        tables[ALIASES] += [alias(tables, spelling, one, random) for one in (first, second)]
    by_side = [rows for rows in sides(tables).values() if len(rows) > 4]
    for rows in random.sample(by_side, 3):
        one, other = random.sample(sorted({r["player_lookup"] for r in rows} - {None}), 2)
        tables[ALIASES].append({"alias_lookup": one, "player_lookup": other})


# Lines ------------------------------------------------------------------------------


def unusable(tables: Tables, random: Random) -> None:
    """0.0, and numbers that no line can be."""
    wrong: dict[str, tuple[Any, ...]] = {
        "points_line": (0.0, -3.5, 60.0, 60.5, 900.0),
        "opening_line": (0.0, 61.0),
        "outcome_point": (-41.0, 40.5, 40.0, 0.0, 99.5, 351.0, 2200.0),
    }
    for table in (PROPS, BETTINGPROS, LINES):
        for row in tables.get(table, []):
            for column, values in wrong.items():
                if row.get(column) is not None and random.random() < 0.12:
                    row[column] = random.choice(values)


def split_prices(tables: Tables, random: Random) -> None:
    """The two prices of a line in two rows."""
    for row in list(tables.get(PROPS, [])):
        if random.random() < 0.3:
            tables[PROPS].append({**row, "over_price": None})
            row["under_price"] = None


def one_sided(tables: Tables, random: Random) -> None:
    """Lines beside the others that have one price, at any instant."""
    for row in list(tables.get(PROPS, [])):
        if random.random() < 0.2 and row["points_line"] is not None:
            other = {**row, random.choice(("over_price", "under_price")): None}
            other["points_line"] = row["points_line"] + random.choice((-6.0, 6.0))
            if row["snapshot_timestamp"] is not None:
                other["snapshot_timestamp"] += timedelta(hours=random.choice((-2, 0, 2)))
            tables[PROPS].append(other)


def alternates(tables: Tables, random: Random) -> None:
    """Several lines of one book at one instant, at the same prices."""
    for table, column in ((PROPS, "points_line"), (LINES, "outcome_point")):
        for row in list(tables.get(table, [])):
            if row[column] is not None and random.random() < 0.15:
                steps = random.sample((-4.0, -2.0, 2.0, 4.0), 2)
                tables[table] += [{**row, column: row[column] + step} for step in steps]


def uniform(tables: Tables, random: Random) -> None:
    """On some dates one book is the only one, and says the same of everybody."""
    for table, book in ((PROPS, "draft_kings"), (BETTINGPROS, "FanDuel")):
        days = sorted({row["game_date"] for row in tables.get(table, [])})
        chosen = set(random.sample(days, len(days) // 3))
        for row in tables.get(table, []):
            if row["game_date"] in chosen:
                row |= {"bookmaker": book, "points_line": 20.5}


def feed_times(tables: Tables, random: Random) -> None:
    """The feed moves a game by hours, or to another day."""
    for key, _ in drawn(tables, random, 0.4):
        shift = timedelta(hours=random.choice((-4, -3, 2, 3, 4, 24)))
        for table, column in ((LINES, "commence_time"), (PROPS, "game_start_time")):
            for row in tables.get(table, []):
                game = (row["game_date"], row["home_team_abbr"], row["away_team_abbr"])
                if game == key and row.get(column) is not None and random.random() < 0.7:
                    row[column] += shift


# Reports ----------------------------------------------------------------------------


def spoiled_reports(tables: Tables, random: Random) -> None:
    """Rows without a team, without a player, or with a status that nobody lists."""
    for row in tables.get(INJURIES, []):
        if random.random() < 0.25:
            column = random.choice(("team", "team", "player_lookup", "injury_status"))
            row[column] = "resting" if column == "injury_status" else None


def spelled_places(tables: Tables, random: Random) -> None:
    """Arenas and registry by other codes and labels."""
    for row in tables.get(LOCATIONS, []):
        row["team_abbr"] = f" {row['team_abbr'].lower()}"
    for row in tables.get(REGISTRY, []):
        if random.random() < 0.5:
            row["season"] = f"{row['season'][:5]}20{row['season'][5:]}"


FEEDS: dict[str, Defect] = {
    "feed times": feed_times,
    "renamed": renamed,
    "doubtful aliases": doubtful_aliases,
    "unusable lines": unusable,
    "split prices": split_prices,
    "one-sided lines": one_sided,
    "alternates": alternates,
    "uniform lines": uniform,
    "names without codes": names_without_codes,
    "spoiled reports": spoiled_reports,
    "spelled places": spelled_places,
    "empty texts": empty_texts,
    "spellings": spellings,
}
"""In their order: the last ones change what the others find rows by."""
