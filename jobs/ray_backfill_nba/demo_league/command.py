"""`ray-backfill demo`: a made-up league in a lake, and what the engine does with late data."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import WarehouseOption
from ray_backfill.cli.plan import WorkersOption

if TYPE_CHECKING:
    from ray_backfill.warehouse import Warehouse
    from ray_backfill_nba.demo_league.league import Chunk
    from ray_backfill_nba.demo_league.spec import LeagueSpec

app = typer.Typer()

_JOB = "player_context"
_COLUMNS = ["game_spread", "current_points_line"]
_PLACE = "./demo-lake"


@app.command()
def demo(
    warehouse: WarehouseOption = _PLACE,
    seed: Annotated[int, typer.Option(help="Another seed makes another league.")] = 7,
    first_season: Annotated[
        int, typer.Option("--first-season", help="Year in which the first season begins.")
    ] = 2024,
    seasons: Annotated[int, typer.Option(help="Seasons in a row.")] = 2,
    teams: Annotated[int, typer.Option(help="Teams of the league, an even number.")] = 30,
    games: Annotated[int, typer.Option(help="Games of each team in a season.")] = 82,
    scale: Annotated[int, typer.Option(help="Leagues side by side: 100 is 100 × the data.")] = 1,
    through: Annotated[
        str | None,
        typer.Option(
            help="Last day that has been played, or 'end'. [default: 31 January of the last season]"
        ),
    ] = None,
    withhold: Annotated[
        bool,
        typer.Option(
            "--withhold/--no-withhold",
            help="Let the game lines of the last season's November come late.",
        ),
    ] = True,
    only_load: Annotated[
        bool, typer.Option("--only-load", help="Make the league and stop there.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete a league that the demo made before.")
    ] = False,
    workers: WorkersOption = None,
    no_parallel: Annotated[
        bool, typer.Option("--no-parallel", help="Compute in this process, without Ray.")
    ] = False,
) -> None:
    """Make a made-up league in a lake, compute it, let late data come, and compute again."""
    from ray_backfill.warehouse import open_warehouse
    from ray_backfill_nba.demo_league.load import make_room
    from ray_backfill_nba.demo_league.spec import LeagueSpec

    last = first_season + seasons - 1
    spec = LeagueSpec(
        seed=seed,
        first_season=first_season,
        seasons=seasons,
        teams=teams,
        games=games,
        scale=scale,
        through=_last_day(through, last),
        withhold_lines=f"{last}-11" if withhold else "",
    )
    house = open_warehouse(warehouse)
    make_room(house, replace=replace)
    started = time.perf_counter()
    _load(house, spec)
    if only_load:
        console.note(f"Go on with: ray-backfill run {_JOB} --warehouse {warehouse}")
        return
    _tell_the_story(house, spec, warehouse, workers, no_parallel)
    console.note(f"The lake is at {house.uri}; all in {time.perf_counter() - started:.0f} s.")


@app.command("demo-deliver")
def demo_deliver(warehouse: WarehouseOption = _PLACE) -> None:
    """Deliver the game lines that `demo` withheld, as a feed would that was a month late."""
    from ray_backfill.errors import RefusedError
    from ray_backfill.warehouse import open_warehouse
    from ray_backfill_nba.demo_league.load import recall

    house = open_warehouse(warehouse)
    found = recall(house)
    if found is None:
        raise RefusedError(
            f"There is no made-up league at {house.uri}.",
            hint=f"Make one with: ray-backfill demo --warehouse {warehouse}",
        )
    spec, delivered = found
    if delivered:
        console.note("Nothing is withheld: all lines are there.")
        return
    _deliver(house, spec)
    console.note(f"See what that changes: ray-backfill plan {_JOB} --warehouse {warehouse}")


def _last_day(text: str | None, last: int) -> date | None:
    from ray_backfill.job.calendar import parse_date

    if text is None:
        return date(last + 1, 1, 31)
    return None if text == "end" else parse_date(text)


def _load(house: Warehouse, spec: LeagueSpec) -> None:
    from ray_backfill_nba.demo_league.league import chunk_count
    from ray_backfill_nba.demo_league.load import load

    started = time.perf_counter()
    with _bar("Making a league", chunk_count(spec)) as step:
        rows = load(house, spec, step)
    console.note(
        f"A league of {spec.teams * spec.scale:,} made-up teams, seasons {_seasons(spec)}: "
        f"{rows:,} rows of raw tables in {house.uri}, {time.perf_counter() - started:.1f} s."
    )


def _deliver(house: Warehouse, spec: LeagueSpec) -> None:
    from ray_backfill_nba.demo_league.load import deliver

    rows = deliver(house, spec)
    console.note(f"Delivered: {rows:,} game lines of {spec.withhold_lines}.")


def _tell_the_story(
    house: Warehouse, spec: LeagueSpec, warehouse: str, workers: int | None, no_parallel: bool
) -> None:
    """Run; where lines were withheld show the hole, deliver, show what is stale, run again."""
    from ray_backfill.cli.coverage import coverage
    from ray_backfill.cli.display import LogFormat
    from ray_backfill.cli.plan import plan
    from ray_backfill.cli.run import run
    from ray_backfill_nba.demo_league.spec import season_name

    place: dict[str, Any] = {"warehouse": warehouse}
    how = {
        **place,
        "workers": workers,
        "no_parallel": no_parallel,
        "max_dates": 1_000_000,
        "log_format": LogFormat.TEXT,
    }
    what = {**place, "season": [season_name(spec.years[-1])]}
    _step(f"run {_JOB}", "every date that has games and no rows yet")
    _ended_well(run, _JOB, **how)
    if spec.withhold_lines:
        _step(f"coverage {_JOB}", f"the game lines of {spec.withhold_lines} have not come")
        _ended_well(coverage, _JOB, _COLUMNS, **what)
        _step("demo-deliver", "now they come, late")
        _deliver(house, spec)
        _step(f"plan {_JOB}", "only the dates that they touch are stale")
        _ended_well(plan, _JOB, **place)
        _step(f"run {_JOB}", "those dates again, each replaced as a whole")
        _ended_well(run, _JOB, **how)
    _step(f"coverage {_JOB}", "what there is now")
    _ended_well(coverage, _JOB, _COLUMNS, **what)


def _seasons(spec: LeagueSpec) -> str:
    from ray_backfill_nba.demo_league.spec import season_name

    return ", ".join(season_name(year) for year in spec.years)


def _step(command: str, why: str) -> None:
    console.note(f"\n$ ray-backfill {command}    # {why}")


def _ended_well(command: Callable[..., None], *args: object, **options: object) -> None:
    """A command as a function; an exit code other than 0 ends the demo with it."""
    sys.stdout.flush()
    try:
        command(*args, **options)
    except typer.Exit as end:
        if end.exit_code:
            raise
    sys.stdout.flush()


@contextmanager
def _bar(title: str, steps: int) -> Iterator[Callable[[Chunk], None]]:
    """A progress bar on a terminal; silence elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), TextColumn("{task.fields[table]}"))
    quiet = not sys.stderr.isatty()
    with Progress(
        *columns, TimeRemainingColumn(), console=console.stderr(), transient=True, disable=quiet
    ) as progress:
        task = progress.add_task("", total=steps, table="")
        yield lambda chunk: progress.update(task, advance=1, table=chunk.table.name)
