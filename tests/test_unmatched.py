"""Names that match nobody: listed with the likely ones, proposed as aliases, and then matched."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_backfill.job import Unmatched, UnmatchedName
from ray_backfill.record.left_out import left_out, unmatched_names
from ray_backfill.warehouse import Warehouse, open_warehouse
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import ALIASES, BETTINGPROS, POINTS_PROPS
from tests.conftest import environment
from tests.engine import output, ran
from tests.league import PLAYER_CONTEXT, fill, plan_of
from tests.test_cli import SCRIPT

ENDING = "ovic"
D1, D2 = date(2025, 11, 1), date(2025, 11, 2)


# -- summing up ------------------------------------------------------------------------------------
def test_what_was_left_out_is_summed_up_with_dates_and_examples() -> None:
    """By table, source and reason; the examples of earlier dates come first."""
    found = [
        Unmatched(D2, "t", "a", "late", 2, ("x",), ""),
        Unmatched(D1, "t", "a", "late", 3, ("y", "z"), ""),
        Unmatched(D1, "t", "b", "odd", 9),
        Unmatched(D1, "t", "c", "nobody", 1, mend="do this"),
    ]
    odd, late, nobody = left_out(found)
    assert (odd["source"], odd["rows"], odd["mend"]) == ("b", 9, "ray-backfill load t FILE")
    assert (late["rows"], late["dates"], late["mend"]) == (5, {str(D1): 3, str(D2): 2}, "")
    told = [(str(D1), "y"), (str(D1), "z"), (str(D2), "x")]
    assert [(e["date"], e["what"]) for e in late["examples"]] == told
    assert nobody["mend"] == "do this"


@pytest.mark.parametrize(
    ("likely", "proposed"),
    [
        ([(("ann", 90.0), ("bob", 60.0))], "ann"),
        ([(("ann", 90.0),)], "ann"),
        ([(("ann", 69.0), ("bob", 10.0))], None),  # not like enough
        ([(("ann", 90.0), ("amy", 81.0))], None),  # two may be meant
        ([(("ann", 90.0),), (("amy", 90.0),)], None),  # another on the other date
        ([(("ann", 90.0),), ()], None),  # nobody on the other date
        ([()], None),
    ],
)
def test_a_name_is_proposed_where_it_stands_out_on_every_date(
    likely: list[tuple[tuple[str, float], ...]], proposed: str | None
) -> None:
    """Whoever is in doubt is listed, and proposed by nobody."""
    days = (D1, D2)
    found = [
        UnmatchedName(day, "t", "book", "an", 2, some)
        for day, some in zip(days, likely, strict=False)
    ]
    (entry,) = unmatched_names(found)
    assert entry["proposed"] == proposed
    assert (entry["rows"], entry["sources"]) == (2 * len(found), {"book": 2 * len(found)})


# -- the command -----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A computed league in whose feeds one player has a name of his own from some date on."""
    house = open_warehouse(str(tmp_path_factory.mktemp("unmatched") / "lake"))
    loaded = fill(house)
    assert ran(house, how=PLAYER_CONTEXT).exit_code == 0
    props = loaded[POINTS_PROPS.name]
    people = output(house, JOB).select("game_date", "player_lookup")
    row = props.join(people, on=people.columns, how="semi").row(0, named=True)
    new = pl.DataFrame([row], schema=props.schema).with_columns(
        pl.lit(f"{row['player_lookup']}{ENDING}").alias("player_lookup"),
        pl.lit("a book of its own").alias("bookmaker"),
    )
    house.append(POINTS_PROPS, new.to_arrow())
    assert ran(house, how=PLAYER_CONTEXT).exit_code == 0
    return house


def command(house: Warehouse, *arguments: str, code: int = 0) -> str:
    """What the command prints of the league."""
    done = subprocess.run(
        [SCRIPT, *arguments, "-w", house.uri],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == code, done.stderr
    return done.stdout + ("" if "--json" in arguments else done.stderr)


def listed(house: Warehouse, *more: str) -> list[dict[str, Any]]:
    answer = json.loads(command(house, "unmatched", "player_context", "--json", *more, code=1))
    assert answer["not_looked_at"] == []
    return list(answer["names"])


def expected(house: Warehouse) -> Counter[tuple[str, str, str, str]]:
    """Distinct rows of names that are in no population of their date, counted by hand."""
    population = set(output(house, JOB).select("game_date", "player_lookup").iter_rows())
    days = {day for day, _ in population}
    aliases = dict(_read(house, ALIASES).select("alias_lookup", "player_lookup").iter_rows())
    found: Counter[tuple[str, str, str, str]] = Counter()
    for table in (POINTS_PROPS, BETTINGPROS):
        for one in _read(house, table).unique().iter_rows(named=True):
            name, day = one["player_lookup"], one["game_date"]
            if table is BETTINGPROS and (
                one["market_type"] != "points" or one["is_active"] is False
            ):
                continue
            meant = {name, aliases.get(name, name)}
            if day in days and name and not any((day, who) in population for who in meant):
                book = "".join(c for c in one["bookmaker"] or "" if c.isalnum()).lower()
                found[(name, table.name, book, str(day))] += 1
    return found


def _read(house: Warehouse, table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(house.read(table, [column.name for column in table.columns]))
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_every_name_is_listed_with_its_table_books_dates_and_lines(league: Warehouse) -> None:
    """As counted by hand from the raw tables and the population that was published."""
    by_hand = expected(league)
    found = listed(league)
    rows: Counter[tuple[str, str]] = Counter()
    for (name, table, _, _), count in by_hand.items():
        rows[name, table] += count
    assert {(e["name"], e["table"]): e["rows"] for e in found} == rows
    for entry in found:
        keys = [key for key in by_hand if key[:2] == (entry["name"], entry["table"])]
        assert set(entry["sources"]) == {key[2] for key in keys}
        assert set(entry["dates"]) == {key[3] for key in keys}


def test_the_report_of_a_run_lists_the_same(league: Warehouse) -> None:
    """So a nightly job tells of them without a command of its own."""
    report = json.loads(command(league, "run", "player_context", "--select", "all", "--json"))
    assert report["names"] == listed(league)
    nobody = [e for e in report["unmatched"] if e["why"] == "no such player on that date"]
    assert sum(e["rows"] for e in nobody) == sum(e["rows"] for e in report["names"])
    assert {e["mend"] for e in nobody} == {
        "ray-backfill unmatched player_context --write-aliases FILE"
    }


def test_what_is_proposed_and_loaded_matches_and_touches_its_dates_alone(
    league: Warehouse, tmp_path: Path
) -> None:
    """The CSV names who stands out; once it is loaded, exactly the dates of these names are due."""
    before = {entry["name"]: entry for entry in listed(league)}
    path = tmp_path / "aliases.csv"
    said = command(league, "unmatched", "player_context", "--write-aliases", str(path), code=1)
    assert f"ray-backfill load {ALIASES.name} {path}" in said
    written = pl.read_csv(path)
    (mine,) = (name for name in before if name.endswith(ENDING))
    proposals = dict(written.select("alias_lookup", "player_lookup").iter_rows())
    assert proposals[mine] == mine.removesuffix(ENDING)
    assert plan_of(league).selected == ()
    command(league, "load", ALIASES.name, str(path))
    feeds = (_read(league, POINTS_PROPS), _read(league, BETTINGPROS).filter(market_type="points"))
    dates = {
        day
        for rows in feeds
        for name, day in rows.select("player_lookup", "game_date").iter_rows()
        if name in proposals
    }
    due = set(output(league, JOB)["game_date"])
    assert {d.day for d in plan_of(league).selected} == dates & due
    assert not set(proposals) & {entry["name"] for entry in listed(league)}


def test_where_all_names_match_it_ends_with_0(league: Warehouse) -> None:
    """A date without lines of nobody."""
    bad = {day for entry in listed(league) for day in entry["dates"]}
    good = next(str(d) for d in output(league, JOB)["game_date"].unique() if str(d) not in bad)
    assert "All names match somebody, of 1 dates." in command(
        league, "unmatched", "player_context", "--dates", good
    )


def test_what_cannot_be_meant_is_refused(lake: Warehouse, tmp_path: Path) -> None:
    """A file that is there, one that is no CSV, and a job without aliases."""
    there = tmp_path / "there.csv"
    there.write_text("mine")
    for job, path, says in (
        ("player_context", there, "is there already"),
        ("player_context", tmp_path / "x.parquet", "does not end with .csv"),
        ("tests.rolling_job:JOB", tmp_path / "x.csv", "has no table of aliases"),
    ):
        said = command(lake, "unmatched", job, "--write-aliases", str(path), code=2)
        assert says in said
    assert there.read_text() == "mine"
