"""The commands of a warehouse's tables, as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ray_backfill.catalog import catalogue
from ray_backfill.job.table import Table
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill_nba.raw_tables import LOCATIONS, SCHEDULE
from tests.conftest import environment

SCRIPT = str(Path(sys.executable).parent / "ray-backfill")
HEADER = (
    "game_id,season,season_year,game_date,game_date_est,game_status,home_team_tricode,"
    "away_team_tricode,season_type,is_regular_season,is_playoffs,neutral_site_flag,"
    "home_team_score,away_team_score\n"
)
GAME = "0022500001,2025-26,2025,{day},{day} 23:30:00 UTC,3,OKC,HOU,{type},true,false,,125,124\n"


def command(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        input=stdin,
        env=environment(),
    )


def schedule(folder: Path, *days: str, kind: str = "regular") -> str:
    path = folder / "schedule.csv"
    path.write_text(HEADER + "".join(GAME.format(day=day, type=kind) for day in days))
    return path.name


def test_load_list_and_history(tmp_path: Path) -> None:
    file = schedule(tmp_path, "2025-10-21", "2025-10-22")
    done = command(tmp_path, "load", "nbac_schedule", file, "-w", "house")
    assert done.returncode == 0, done.stderr
    assert "nba_raw.nbac_schedule: added 2 rows, 2 dates" in done.stdout
    again = command(tmp_path, "load", SCHEDULE.name, file, "--replace", "-w", "house", "--json")
    report = json.loads(again.stdout)
    assert (report["rows"], report["replaced"], report["version"]) == (2, True, "1")
    listed = json.loads(command(tmp_path, "tables", "-w", "house", "--json").stdout)
    assert [(t["name"], t["rows"], t["first"], t["last"]) for t in listed] == [
        ("nba_raw.nbac_schedule", 2, "2025-10-21", "2025-10-22")
    ]
    assert "2025-10-22" in command(tmp_path, "tables", "-w", "house").stdout
    versions = json.loads(
        command(tmp_path, "history", "nbac_schedule", "-w", "house", "--json").stdout
    )
    assert [(v["version"], v["operation"]) for v in versions] == [(1, "replace"), (0, "append")]
    assert "first=2025-10-21" in command(tmp_path, "history", SCHEDULE.name, "-w", "house").stdout


def test_values_that_no_job_knows_are_named(tmp_path: Path) -> None:
    file = schedule(tmp_path, "2025-10-21", kind="exhibition")
    done = command(tmp_path, "load", "nbac_schedule", file)
    assert done.returncode == 0
    assert "season_type: loaded values that no job knows: 'exhibition' (1 rows)." in done.stderr


def test_a_wrong_file_ends_with_one_and_says_where(tmp_path: Path) -> None:
    file = schedule(tmp_path, "2025-10-21", "tomorrow")
    done = command(tmp_path, "load", "nbac_schedule", file)
    assert done.returncode == 1
    assert "schedule.csv, line 3, column game_date: text 'tomorrow' is not a date" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", "There is no raw table 'nothing'"),
        ("nba_raw.nothing", "There is no raw table 'nba_raw.nothing'"),
        *[(name, "is computed by a job") for name in sorted(catalogue().outputs())[:1]],
    ],
)
def test_only_raw_tables_are_loaded(tmp_path: Path, name: str, says: str) -> None:
    done = command(tmp_path, "load", name, schedule(tmp_path, "2025-10-21"))
    assert done.returncode == 2
    assert says in done.stderr
    assert LOCATIONS.name in done.stderr


def test_restore_asks_and_says_what_follows(tmp_path: Path) -> None:
    file = schedule(tmp_path, "2025-10-21")
    command(tmp_path, "load", "nbac_schedule", file)
    command(tmp_path, "load", "nbac_schedule", file)
    arguments = ("restore", "nbac_schedule", "--version", "0")
    assert command(tmp_path, *arguments, stdin="n\n").returncode == 1
    assert Lake(str(tmp_path / "lake")).tables()[0].rows == 2
    done = command(tmp_path, *arguments, "--yes")
    assert done.returncode == 0, done.stderr
    assert "the next run recomputes them" in done.stderr
    assert Lake(str(tmp_path / "lake")).tables()[0].rows == 1
    assert command(tmp_path, *arguments[:-1], "99", "--yes").returncode == 2


def test_restore_is_refused_while_a_run_holds_the_table(tmp_path: Path) -> None:
    command(tmp_path, "load", "nbac_schedule", schedule(tmp_path, "2025-10-21"))
    lake = Lake(str(tmp_path / "lake"))
    lease = lake.acquire_lease(Table(SCHEDULE.name, ()), "run-7", seconds=600, steal=False)
    done = command(tmp_path, "restore", "nbac_schedule", "--version", "0", "--yes")
    assert done.returncode == 3
    assert "run-7" in done.stderr
    assert len(lake.history(SCHEDULE.name)) == 1
    lake.release_lease(lease)
    assert command(tmp_path, "restore", SCHEDULE.name, "--version", "0", "-y").returncode == 0


def test_an_absent_warehouse_is_empty_and_stays_so(tmp_path: Path) -> None:
    done = command(tmp_path, "tables", "-w", "nowhere")
    assert done.returncode == 0
    assert "There are no tables in" in done.stderr
    assert json.loads(command(tmp_path, "tables", "-w", "nowhere", "--json").stdout) == []
    assert command(tmp_path, "history", "nbac_schedule", "-w", "nowhere").returncode == 2
    assert command(tmp_path, "history", SCHEDULE.name, "-w", "nowhere").returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import ray_backfill.cli.tables\n"
        "print({'polars', 'pyarrow', 'deltalake', 'ray'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
