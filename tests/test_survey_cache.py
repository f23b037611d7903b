"""With the cache or without it, and however often it is planned, the decisions are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_backfill.errors import UsageError, WarehouseError
from ray_backfill.job import Calendar, Computed, Context, Day, Frames, Input, Job, View
from ray_backfill.job.calendar import Season, Window
from ray_backfill.job.plain import every_date, views_of
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.plan import Allow, Decision, Selection, make_plan
from ray_backfill.staleness.fingerprint import fingerprints, view_digests
from ray_backfill.survey import survey as surveying
from ray_backfill.survey.reading import read_inputs
from ray_backfill.warehouse import Warehouse
from tests.memory import Memory

FIRST = date(2025, 1, 1)
DATES = [FIRST + timedelta(n) for n in range(8)]
DAY, SHOP = Column("day", Kind.DATE, nullable=False), Column("shop", Kind.STRING)
AMOUNT = Column("amount", Kind.INT)
SALES = Table("raw.sales", (DAY, SHOP, AMOUNT), partition="day")
RETURNS = Table("raw.returns", (DAY, SHOP, AMOUNT), partition="day")
RATES = Table("raw.rates", (DAY, SHOP, AMOUNT))
"""With a date, and no partitions."""
SEASONS = Table("raw.seasons", (Column("start", Kind.DATE),))
OUT = Table("out.totals", (DAY, AMOUNT), key=("day",), partition="day")
EVERY = ("day", "shop", "amount")


@dataclass(frozen=True)
class Options:
    """What a view may show otherwise."""

    factor: int = 1


# -- views of every sort -----------------------------------------------------------------------
def both(frames: Frames, context: Context) -> pl.DataFrame:
    return pl.concat([frames["sales_day"], frames["returns_day"].select(EVERY)])


def priced(frames: Frames, context: Context) -> pl.DataFrame:
    rates = frames["rates"].group_by("shop").agg(rate=pl.col("amount").sum())
    return frames["sales_day"].join(rates, on="shop", how="left")


def sales_and_rates(frames: Frames, context: Context) -> pl.DataFrame:
    return pl.concat([frames["sales_day"], frames["rates"]])


def rates_by_date(frames: Frames, context: Context) -> pl.DataFrame:
    return frames["rates"]


def scaled(frames: Frames, context: Context) -> pl.DataFrame:
    return frames["sales_day"].with_columns(pl.col("amount") * context.options.factor)


def counted(frames: Frames, context: Context) -> pl.DataFrame:
    since = (pl.col("day") - context.season.start).dt.total_days()
    return frames["sales_day"].with_columns(since.alias("since"))


def of_seasons(frames: Frames, context: Context) -> pl.DataFrame:
    return frames["sales_day"].with_columns(pl.lit(len(context.seasons)).alias("seasons"))


def running(frames: Frames, context: Context) -> pl.DataFrame:
    total = frames["sales_season"].group_by("day").agg(pl.col("amount").sum()).sort("day")
    return total.with_columns(pl.col("amount").cum_sum())


def all_rates(frames: Frames, context: Context) -> pl.DataFrame:
    return frames["rates"]


DAY_ONLY = Window.around()
INPUTS = (
    Input("sales_day", SALES, EVERY, DAY_ONLY),
    Input("sales_week", SALES, EVERY, Window.around(before=2, ahead=1)),
    Input("sales_season", SALES, EVERY, Window.season_to_date()),
    Input("returns_day", RETURNS, EVERY, DAY_ONLY),
    Input("returns_before", RETURNS, EVERY, Window.season_before()),
    Input("rates", RATES, EVERY, DAY_ONLY),
    Input("seasons", SEASONS, ("start",), Window.always()),
)
VIEWS = (
    *views_of([i for i in INPUTS if i.name != "seasons"]),
    View("both", ("sales_day", "returns_day"), DAY_ONLY, both),
    View("priced", ("sales_day", "rates"), DAY_ONLY, priced),
    View("sales_and_rates", ("sales_day", "rates"), DAY_ONLY, sales_and_rates),
    View("rates_by_date", ("rates",), DAY_ONLY, rates_by_date),
    View("scaled", ("sales_day",), DAY_ONLY, scaled),
    View("counted", ("sales_day",), DAY_ONLY, counted),
    View("of_seasons", ("sales_day",), DAY_ONLY, of_seasons),
    View("running", ("sales_season",), DAY_ONLY, running, local=False),
    View("all_rates", ("rates",), Window.always(), all_rates, local=False),
)


def calendar(frames: Frames, options: Options) -> Calendar:
    """The dates with sales or rates are due; seasons begin where the table says."""
    starts = sorted(frames["seasons"]["start"].unique().to_list())
    ends = [*starts[1:], FIRST + timedelta(20)]
    seasons = tuple(Season(f"s{n}", start, ends[n]) for n, start in enumerate(starts))
    held = pl.concat([frames["sales_day"].select("day"), frames["rates"].select("day")])
    days = sorted(set(held["day"].to_list()))
    due = [d for d in days if any(d in season.range for season in seasons)]
    return Calendar(seasons, {d: Day(d, None, expected_rows=1) for d in due})


def compute(frames: Frames, dates: Sequence[date], context: Context) -> Computed:
    raise AssertionError("nothing is computed")


JOB = Job(
    name="totals",
    description="Totals.",
    output=OUT,
    inputs=INPUTS,
    views=VIEWS,
    calendar=calendar,
    calendar_inputs={"sales_day": ("day",), "rates": ("day",), "seasons": ("start",)},
    compute=compute,
    modules=("tests.rolling_job",),
    options=Options,
)


# -- what happens to a warehouse -----------------------------------------------------------------
def decisions(house: Warehouse, job: Job, options: Options | None = None) -> tuple[Decision, ...]:
    facts = surveying.survey(house, job, (lambda base: options) if options else None)
    return make_plan("totals", facts, Selection(), 1).decisions


def due(house: Memory, job: Job, options: Options | None = None) -> list[date]:
    return [d.day for d in decisions(house.seen(), job, options) if d.state in ("missing", "stale")]


def run(house: Memory, job: Job, span: int = 3, options: Options | None = None) -> None:
    """Publish what is due, a few dates at a time, stamped as workers do."""
    facts = surveying.survey(house.seen(), job, (lambda base: options) if options else None)
    plan = make_plan("totals", facts, Selection(), 1, allow=Allow(removals=99, shrink=True))
    house.put(OUT, pl.DataFrame(schema=job.table.schema()), plan.removals)
    for season in plan.seasons:
        context = Context(plan.seasons, season, options or Options())
        days = [d.day for d in plan.selected if d.action == "compute" and d.season == season.name]
        for at in range(0, len(days), span):
            _publish(house, job, days[at : at + span], context)


def _publish(house: Memory, job: Job, days: Sequence[date], context: Context) -> None:
    frames = read_inputs(house.seen(), job, days, context.seasons)
    digests = {v.name: view_digests(job, v, frames, context, days) for v in job.views}
    prints = fingerprints(job, digests, days, context.seasons)
    options = f'{{"factor":{context.options.factor}}}'
    at = datetime(2025, 2, 1, tzinfo=UTC)
    rows = [(day, 1, prints[day], "code", options, 1, None, "run", at) for day in days]
    house.put(job.table, pl.DataFrame(rows, schema=dict(job.table.schema()), orient="row"), days)


def rows_of(numbers: Sequence[int], day: date) -> pl.DataFrame:
    rows = [(day, f"shop{n % 2}", n) for n in numbers]
    return pl.DataFrame(rows, schema=dict(SALES.schema()), orient="row")


@dataclass(frozen=True)
class Change:
    """Other rows of a date of a table; of all dates where it has no partitions."""

    table: Table
    day: date
    numbers: tuple[int, ...]

    def __call__(self, house: Memory, job: Job) -> None:
        key = self.day if self.table.partition else None
        house.put(self.table, rows_of(self.numbers, self.day), [key])


@dataclass(frozen=True)
class Begin:
    """Seasons that begin elsewhere."""

    starts: tuple[date, ...]
    table: Table = SEASONS

    def __call__(self, house: Memory, job: Job) -> None:
        house.put(SEASONS, pl.DataFrame({"start": self.starts}, schema={"start": pl.Date}), [None])


@dataclass(frozen=True)
class Restore:
    """A table as it was some versions ago."""

    table: Table
    back: int

    def __call__(self, house: Memory, job: Job) -> None:
        if len(house.versions.get(self.table.name, ())) > self.back:
            house.restore(self.table.name, -1 - self.back)


@dataclass(frozen=True)
class Publish:
    """Everything that is due is published."""

    span: int
    table: Table = OUT

    def __call__(self, house: Memory, job: Job) -> None:
        run(house, job, self.span)


@dataclass(frozen=True)
class Run(Publish):
    """Everything that is due is published, and then nothing is."""

    def __call__(self, house: Memory, job: Job) -> None:
        run(house, job, self.span)
        assert due(house, job) == []


@dataclass(frozen=True)
class Beside:
    """A plan after some steps; while it reads a table, somebody changes one, and takes it back."""

    first: tuple[Change | Begin | Publish, ...]
    read: Table
    meanwhile: Change | Begin | Restore | Publish
    undone: bool

    def __call__(self, house: Memory, job: Job) -> None:
        def change(name: str) -> None:
            if name == self.read.name:
                house.before_read = lambda name: None
                self.meanwhile(house, job)
                house.interrupted = True

        for step in self.first:
            step(house, job)
        house.before_read, house.interrupted = change, False
        decisions(house.seen(), job)
        house.before_read = lambda name: None
        if self.undone and house.interrupted:
            Restore(self.meanwhile.table, 1)(house, job)
        house.interrupted = False


def changes_of(table: Table) -> st.SearchStrategy[Change | Begin]:
    if table is SEASONS:
        later = st.sets(st.sampled_from(DATES[1:]), max_size=2)
        return st.builds(Begin, later.map(lambda days: (FIRST, *sorted(days))))
    numbers = st.lists(st.integers(0, 3), max_size=3).map(tuple)
    return st.builds(Change, st.just(table), st.sampled_from(DATES), numbers)


RAW = (SALES, RETURNS, RATES, SEASONS)
every = st.sampled_from([*RAW, OUT])
changes = st.sampled_from(RAW).flatmap(changes_of)
runs = st.builds(Run, st.integers(1, 5))
publishes = st.builds(Publish, st.integers(1, 5))
restores = st.builds(Restore, every, st.integers(1, 4))
besides = st.builds(
    Beside, st.tuples(changes | publishes), every, changes | restores | publishes, st.booleans()
)
races = st.sampled_from(RAW).flatmap(
    lambda table: st.builds(
        Beside, st.tuples(changes_of(table)), st.just(table), changes_of(table), st.just(True)
    )
)
"""Of one table: what is read is neither what was there before nor what is there afterwards."""
publishing = st.builds(
    Beside,
    st.tuples(changes, publishes),
    st.just(OUT),
    st.builds(Restore, st.just(OUT), st.integers(1, 3)),
    st.just(True),
)
steps = st.lists(changes | restores | runs | besides | races | publishing, min_size=1, max_size=6)
names = st.sampled_from(["", *(view.name for view in VIEWS)])
"""A view; or all of them."""


@contextmanager
def known_code() -> Iterator[None]:
    """The code is what it is: versions are not made anew for each of thousands of plans."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray_backfill.staleness.loaded_code.code_of", lambda job: "code")
        patch.setattr("ray_backfill.staleness.loaded_code.rules_of", lambda job: "rules")
        patch.setattr(surveying, "source_version", lambda modules, shown: "source")
        yield


def begun() -> Memory:
    house = Memory()
    Begin((FIRST, DATES[4]))(house, JOB)
    for n, day in enumerate(DATES[:6]):
        Change(SALES, day, (n, n + 1))(house, JOB)
    Change(RATES, DATES[2], (1, 2))(house, JOB)
    return house


@settings(max_examples=120)
@given(names, steps)
def test_the_cache_changes_no_decision(name: str, steps: Sequence[Any]) -> None:
    """Whatever happens to the tables, also while they are read; and a run leaves nothing due."""
    job = replace(JOB, views=tuple(view for view in VIEWS if name in ("", view.name)))
    house = begun()
    with known_code():
        Run(3)(house, job)
        for step in steps:
            step(house, job)
            kept, anew = decisions(house.seen(), job), decisions(house.without_cache(), job)
            assert kept == anew == decisions(house.seen(), job)


# -- one by one ----------------------------------------------------------------------------------
@pytest.fixture
def house() -> Iterator[Memory]:
    """Sales of six dates, published by a job that shows all views, and planned again."""
    house = begun()
    with known_code():
        Run(3)(house, JOB)
        yield house


def shows(house: Memory, job: Job = JOB, options: Options | None = None) -> bool:
    """Whether the cache shows what the tables do."""
    kept = decisions(house.seen(), job, options)
    return kept == decisions(house.without_cache(), job, options)


@pytest.mark.parametrize(
    ("read", "meanwhile"),
    [
        (SALES, Change(SALES, DATES[1], (7, 7, 7))),
        (SALES, Change(SALES, DATES[2], ())),
        (SALES, Change(RATES, DATES[1], (7,))),
        (RATES, Change(RATES, DATES[1], (7,))),
        (SEASONS, Begin((FIRST, DATES[2]))),
    ],
)
def test_what_another_changes_while_it_is_read_is_not_kept(
    house: Memory, read: Table, meanwhile: Change | Begin
) -> None:
    """A load in the middle of a plan, and then the version of before: digests and calendar."""
    for first in (Change(SALES, DATES[1], (5,)), Change(RATES, DATES[1], (5,)), Begin((FIRST,))):
        Beside((first,), read, meanwhile, undone=True)(house, JOB)
        assert shows(house)


def test_what_is_published_while_stamps_are_read_is_not_kept(house: Memory) -> None:
    """The dates would be taken for complete with the stamps of another version."""
    first = (Change(SALES, DATES[1], (5,)), Publish(9))
    Beside(first, OUT, Restore(OUT, 1), undone=True)(house, JOB)
    assert shows(house)


def test_tables_that_cannot_be_listed_again_end_no_plan(
    house: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan stands; what it read is read again by the next."""

    def fail(table: Table) -> NoReturn:
        raise WarehouseError("The store does not answer.")

    Change(RETURNS, DATES[1], (5,))(house, JOB)
    with monkeypatch.context() as patch:
        house.before_read = lambda name: patch.setattr(house, "partitions", fail)
        assert DATES[1] in due(house, JOB)
    house.before_read = lambda name: None
    assert shows(house)


def test_a_season_that_begins_elsewhere_shows_other_views(house: Memory) -> None:
    """A view may count from the season's first date."""
    Begin((FIRST, DATES[3]))(house, JOB)
    assert shows(house)


def test_a_new_season_does_not_touch_those_before(house: Memory) -> None:
    """Views see their own season and those before it, and so do not change with it."""
    Begin((FIRST, DATES[4], DATES[6]))(house, JOB)
    assert due(house, JOB) == []


def test_options_that_change_what_a_view_shows_are_not_those_of_the_cache(house: Memory) -> None:
    """Each set of options has digests of its own; planning with another leaves nothing behind."""
    double = Options(factor=2)
    assert due(house, JOB, double) == DATES[:6]
    assert shows(house, JOB, double)
    assert due(house, JOB) == []
    assert shows(house)
    run(house, JOB, 3, double)
    assert due(house, JOB) == due(house, JOB, double) == []


def test_an_input_that_is_read_as_another_kind_is_read_again(house: Memory) -> None:
    """The contract of an input is part of what digests rest on: or they differ for ever."""
    job = replace(JOB, views=(VIEWS[0],))
    floats = replace(SALES, columns=(DAY, SHOP, Column("amount", Kind.FLOAT)))
    inputs = tuple(replace(i, table=floats) if i.table == SALES else i for i in INPUTS)
    Run(3)(house, job)
    assert due(house, replace(job, inputs=inputs)) == DATES[:6]
    Run(3)(house, replace(job, inputs=inputs))


def test_a_table_without_partitions_is_shown_whole() -> None:
    """Each date is computed from all of it: any change makes all dates stale, once."""
    source = Input("rates", RATES, EVERY, DAY_ONLY)
    (view,) = views_of([source])
    job, house = replace(JOB, views=(view,)), begun()
    with known_code():
        Run(3)(house, job)
        Change(RATES, DATES[2], (3,))(house, job)
        assert due(house, job) == DATES[:6]
        Run(2)(house, job)


def test_what_cannot_be_told_by_date_is_refused_where_it_is_said() -> None:
    """A view of an input that does not read its partition, a calendar of one that has none."""
    with pytest.raises(UsageError, match=r"'sold' does not read 'day'.*Add 'day'"):
        views_of([Input("sold", SALES, ("shop", "amount"), DAY_ONLY)])
    with pytest.raises(UsageError, match=r"raw\.rates: it has no partition, so no dates"):
        every_date(Input("rates", RATES, EVERY, Window.always()), ("shop",))
