"""`ray-backfill demo`: loads, tells its story, and never deletes what it has not made."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ray_backfill.errors import BackfillError, RefusedError
from ray_backfill.job.calendar import DateRange
from ray_backfill.warehouse import open_warehouse
from ray_backfill_nba.demo_league import LeagueSpec
from ray_backfill_nba.demo_league.command import app
from ray_backfill_nba.demo_league.load import recall, remember
from ray_backfill_nba.raw_tables import GAME_LINES, RAW_TABLES

SMALL = ["--teams", "6", "--games", "24", "--seasons", "1", "--first-season", "2025"]
NOVEMBER = DateRange(date(2025, 11, 1), date(2025, 12, 1))


def call(*arguments: str) -> str:
    """What the command prints; its error where it has one."""
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, BackfillError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def lines_of_november(lake: str) -> int:
    return int(open_warehouse(lake).read(GAME_LINES, ["game_date"], NOVEMBER).num_rows)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def test_only_load_makes_every_table_and_withholds_a_month(lake: str) -> None:
    """Then `demo-deliver` brings the month, once."""
    assert "ray-backfill run" in call("demo", "-w", lake, *SMALL, "--only-load")
    found = {info.name: info.rows for info in open_warehouse(lake).tables()}
    assert set(found) == {table.name for table in RAW_TABLES}
    assert all(found.values())
    assert lines_of_november(lake) == 0
    assert "2025-11" in call("demo-deliver", "-w", lake)
    late = lines_of_november(lake)
    assert late > 100
    assert "Nothing is withheld" in call("demo-deliver", "-w", lake)
    assert lines_of_november(lake) == late


def test_without_withholding_all_lines_are_there(lake: str) -> None:
    """And there is nothing to deliver."""
    call("demo", "-w", lake, *SMALL, "--only-load", "--no-withhold")
    assert lines_of_november(lake) > 100
    assert "Nothing is withheld" in call("demo-deliver", "-w", lake)


def test_a_league_is_only_made_anew_on_request(lake: str) -> None:
    """`--replace` leaves nothing of the old one."""
    call("demo", "-w", lake, *SMALL, "--only-load")
    with pytest.raises(RefusedError, match="--replace"):
        call("demo", "-w", lake, *SMALL, "--only-load")
    rows = {info.name: info.rows for info in open_warehouse(lake).tables()}
    call("demo", "-w", lake, *SMALL, "--only-load", "--replace")
    assert {info.name: info.rows for info in open_warehouse(lake).tables()} == rows


def test_what_the_demo_has_not_made_is_never_touched(tmp_path: Path) -> None:
    """Not even with `--replace`: a folder with anything in it is refused."""
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    for extra in ([], ["--replace"]):
        with pytest.raises(RefusedError, match="not made by the demo"):
            call("demo", "-w", str(tmp_path), *SMALL, "--only-load", *extra)
    assert precious.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [precious]


def test_delivering_to_nowhere_is_refused(lake: str) -> None:
    """With the command that makes a league."""
    with pytest.raises(RefusedError, match="ray-backfill demo"):
        call("demo-deliver", "-w", lake)


def test_the_spec_is_remembered_whole(lake: str) -> None:
    """Dates too, so that the late lines are those of the league that was loaded."""
    house = open_warehouse(lake)
    spec = LeagueSpec(
        seed=9, through=date(2025, 12, 1), withhold_lines="2025-11", conflict_date=date(2025, 11, 5)
    )
    remember(house, spec, delivered=False)
    assert recall(house) == (spec, False)


def test_the_story_ends_with_full_coverage(lake: str) -> None:
    """Run, hole, late lines, a plan that names the view that changed, run, no hole."""
    told = call("demo", "-w", lake, *SMALL, "--no-parallel")
    assert "changed: game_lines" in told
    assert told.count("published") >= 2
    counts = [
        (int(row.split()[2]), int(row.split()[3]))
        for row in told.replace(",", "").splitlines()
        if row.split()[:2] == ["2025-11", "game_spread"]
    ]
    (before, rows), (after, rows_after) = counts
    assert before == 0
    assert rows == rows_after > 500
    assert after > 0.9 * rows


def test_help_does_not_load_polars() -> None:
    """The command is part of every `--help`."""
    code = (
        "import sys, ray_backfill_nba.demo_league.command as c; sys.exit('polars' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
