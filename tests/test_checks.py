"""What a job's contract must hold is said where the job is made, all of it, each by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.errors import DataError, JobCodeError, RefusedError, UsageError
from ray_backfill.job import Calendar, DateState, Day, Input, Job, View
from ray_backfill.job.calendar import ALL_DATES, DateRange, Season, Window
from ray_backfill.job.options import from_json, parse_options, to_json
from ray_backfill.job.plain import every_date
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.survey.calendars import calendar_of
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.engine import ran
from tests.rolling_job import INPUT, JOB, MEANS, SALES

VIEW = JOB.views[0]
PRICES = Table("shop.prices", (Column("shop", Kind.STRING), Column("price", Kind.FLOAT)))


def refused(**changes: Any) -> str:
    """What is said of the rolling job with these changes."""
    with pytest.raises(UsageError) as caught:
        replace(JOB, **changes)
    assert caught.value.exit_code == 2
    return caught.value.message


def output(*more: Column, **changes: Any) -> dict[str, Any]:
    return {"output": replace(MEANS, columns=(*MEANS.columns, *more), **changes)}


def source(**changes: Any) -> dict[str, Any]:
    return {"inputs": (replace(INPUT, **changes),)}


def view(**changes: Any) -> dict[str, Any]:
    return {"views": (replace(VIEW, **changes),)}


def options(**fields: Any) -> dict[str, Any]:
    """An option set of these fields, each a kind and a default."""
    made = [(name, kind, field(default=value)) for name, (kind, value) in fields.items()]
    return {"options": make_dataclass("Options", made, frozen=True)}


@dataclass
class Loose:
    """Options that could change while a run works."""

    flag: bool = False


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (source(columns=("day", "amuont")), "input sales names 'amuont', which is no column of "),
        (source(columns=("day", "amuont")), "shop.sales; is amount meant?"),
        (source(columns=("day", "day")), "the input sales names twice 'day'"),
        (source(columns=()), "the input sales reads no columns"),
        (source(window=Window.around(before=3, ahead=-4)), "holds no date: D - 3 … D - 4"),
        (source(window=Window("week")), "a window of an unknown kind, 'week'"),  # type: ignore[arg-type]
        ({"inputs": (INPUT, INPUT)}, "two inputs are called 'sales'"),
        (output(Column("run_id", Kind.INT)), "a column run_id of its own"),
        (output(Column("Run_ID", Kind.INT)), "a column Run_ID of its own"),
        (output(Column("mean", Kind.INT)), "shop.means has two columns 'mean'"),
        (output(Column("Mean", Kind.INT)), "shop.means has two columns 'mean'"),
        (output(key=("day", "shopp")), "key of shop.means names 'shopp', which is no column"),
        (output(key=("day", "day")), "the key of shop.means names twice 'day'"),
        (output(partition="dya"), "the partition of shop.means names 'dya', which is no column"),
        (output(partition="shop"), "the partition of shop.means, shop, is string: it must be a"),
        (output(partition=None), "its output shop.means has no partition"),
        (output(cluster=("nope",)), "the cluster of shop.means names 'nope'"),
        (output(cluster=("mean",)), "the cluster of shop.means names mean, which is float"),
        (
            output(
                *(c := [Column(f"c{n}", Kind.INT) for n in range(5)]), cluster=[x.name for x in c]
            ),
            "the cluster of shop.means has 5 columns: 4 at most",
        ),
        (source(table=replace(SALES, partition="sday")), "partition of shop.sales names 'sday'"),
        (source(table=replace(SALES, key=("nope",))), "the key of shop.sales names 'nope'"),
        ({"views": (VIEW, VIEW)}, "two views are called 'sales'"),
        (view(inputs=("saels",)), "the view sales shows 'saels', which is no input"),
        (view(inputs=()), "the view sales shows no input"),
        (view(rows=None), "the view sales has no function that gives its rows"),
        (view(window=Window.around(before=3)), "is wider (D - 3 … D) than what is read (sales: D"),
        (view(window=Window.always()), "is wider (all of it) than what is read"),
        ({"calendar_inputs": {"nope": ()}}, "the calendar asks for 'nope', which is no input"),
        ({"calendar_inputs": {"sales": ("d",)}}, "the calendar's sales names 'd', which is no"),
        ({"compute": None}, "its compute is no function"),
        ({"gates": ("no",)}, "its gate 1 is no function"),
        (
            options(since=(date, date(2025, 1, 1))),
            "the option since = datetime.date(2025, 1, 1) is",
        ),
        (options(shops=(tuple, ("a",))), "the option shops = ('a',) is a tuple: options are bool"),
        (options(limit=(int | None, None)), "the option limit = None is a NoneType"),
        (options(limit=(int, "5")), "the option limit = '5' is a str"),
        (options(limit=(int, True)), "the option limit = True is a bool"),
        (options(factor=(float, float("nan"))), "the option factor = nan is no number"),
        ({"options": make_dataclass("O", [("a", int)], frozen=True)}, "a has no plain default"),
        ({"options": Loose}, "the dataclass of its options is not frozen"),
        ({"options": dict}, "its options are no dataclass"),
        ({"name": "a b"}, "'a b' is not a job's name"),
    ],
)
def test_what_a_contract_cannot_mean_is_named(changes: dict[str, Any], says: str) -> None:
    assert says in refused(**changes)


def test_all_problems_are_named_at_once() -> None:
    """Whoever writes a job corrects it once, not once a problem."""
    said = refused(
        **source(columns=("day", "amuont"), name="two words"),
        **output(Column("run_id", Kind.INT), key=("nope",)),
        **options(since=(date, date(2025, 1, 1))),
    )
    assert said.startswith("The job 'rolling' has 7 problems:\n")
    for one in (
        "amuont",
        "two words",
        "run_id",
        "'nope'",
        "since",
        "view sales shows 'sales'",
        "calendar asks for 'sales'",
    ):
        assert one in said


def test_a_job_that_reads_its_own_output_is_refused_by_name() -> None:
    """A running total of D from D - 1 would depend on which dates stand in one span."""
    own = replace(INPUT, name="before", table=MEANS, columns=("day", "shop", "mean"))
    said = refused(inputs=(INPUT, own))
    assert "the input before is shop.means, the job's own output" in said
    shouted = replace(own, table=replace(MEANS, name="Shop.Means"))
    assert "the job's own output" in refused(inputs=(INPUT, shouted))


# -- windows -----------------------------------------------------------------------------------
SEASONS = tuple(Season(str(y), date(y, 3, 1), date(y, 3, 13 + y % 3)) for y in (2023, 2024, 2025))
DUE = [day for season in SEASONS for day in season.range.days()]
windows = st.one_of(
    st.builds(
        lambda b, a: Window.around(before=b, ahead=a), st.integers(-2, 4), st.integers(-2, 4)
    ),
    st.builds(lambda a: Window.season_to_date(ahead=a), st.integers(0, 3)),
    st.just(Window.season_to_date(upto_day=False)),
    st.just(Window.whole_season()),
    st.just(Window.season_before()),
    st.just(Window.always()),
)


@given(windows, windows)
def test_a_window_that_covers_another_holds_all_of_its_dates(outer: Window, inner: Window) -> None:
    """Whatever the seasons; and where it is said to cover it not, some date is outside."""
    pairs = [(outer.bounds(day, SEASONS), inner.bounds(day, SEASONS)) for day in DUE]
    holds = all(o is None or (i is not None and o.holds(i)) for o, i in pairs)
    known = outer.covers(inner)
    if known is not None and any(i is None or i for _, i in pairs):
        assert known == holds


@pytest.mark.parametrize("length", [20, 60])
def test_where_the_seasons_decide_a_view_is_checked_with_the_calendar(length: int) -> None:
    """An input of forty days holds a season to date only where seasons are short."""
    wide = replace(INPUT, window=Window.around(before=40))
    job = replace(JOB, inputs=(wide,), views=(replace(VIEW, window=Window.season_to_date()),))
    season = Season("s", date(2025, 1, 1), date(2025, 1, 1) + timedelta(length))
    days = {day: Day(day, None) for day in season.range.days()}
    if length <= 41:
        assert called(job, Calendar((season,), days)).days == days
    else:
        assert "the view sales is wider (season start … D)" in said_of(
            Calendar((season,), days), job
        )


def test_a_view_of_other_dates_is_as_wide_as_its_widest_input() -> None:
    """What is not local may come of the season before; a table without partitions is read whole."""
    before = replace(INPUT, name="before", window=Window.season_before())
    both = View("both", ("before", "sales"), Window.around(), VIEW.rows, local=False)
    replace(JOB, inputs=(INPUT, before), views=(both,))
    alone = replace(both, inputs=("before",))
    assert "the view both is wider" in refused(inputs=(INPUT, before), views=(alone,))
    priced = Input("prices", PRICES, ("shop", "price"), Window.always())
    both = View("priced", ("sales", "prices"), Window.around(before=2), VIEW.rows)
    replace(JOB, inputs=(INPUT, priced), views=(both,))


# -- options -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Options:
    """One of each kind."""

    flag: bool = False
    count: int = 3
    factor: float = 1
    name: str = ""


TYPED = replace(JOB, options=Options)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "NaN", "Infinity"])
def test_a_number_that_json_has_not_is_no_option(text: str) -> None:
    with pytest.raises(UsageError, match="factor takes a number"):
        parse_options(TYPED, [f"factor={text}"], Options())


def test_a_float_is_one_however_it_is_written() -> None:
    """Its annotation says so: the default `1` and a typed `1` stamp the same."""
    assert parse_options(TYPED, ["factor=1.5"], Options()).factor == 1.5
    stamped = {to_json(Options()), to_json(parse_options(TYPED, ["factor=1"], Options()))}
    assert stamped == {'{"count":3,"factor":1.0,"flag":false,"name":""}'}


@given(
    st.builds(
        Options,
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    )
)
def test_options_come_back_from_their_stamp(given_options: Options) -> None:
    assert from_json(TYPED, to_json(given_options)) == given_options


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "null", '{"count":"7"}', '{"factor":NaN}', '{"flag":1}', '{"name":null}', "1"],
)
def test_a_stamp_of_another_shape_gives_the_defaults(text: str) -> None:
    """As of a job whose option had another kind: the plan shows both sets as the reason."""
    assert from_json(TYPED, text) == Options()


# -- calendars ---------------------------------------------------------------------------------
YEAR = Season("2025", date(2025, 1, 1), date(2026, 1, 1))
D = date(2025, 3, 1)
DUE_DAY = Day(D, None)


def called(job: Job, gives: object, dates: DateRange = ALL_DATES) -> Calendar:
    """What comes of a calendar that gives this, or raises it."""

    def calendar(frames: object, options: object) -> Any:
        if isinstance(gives, BaseException):
            raise gives
        return gives

    return calendar_of(replace(job, calendar=calendar), {}, None, dates)


def said_of(gives: object, job: Job = JOB) -> str:
    with pytest.raises((RefusedError, JobCodeError)) as caught:
        called(job, gives)
    assert caught.value.exit_code == 3
    return caught.value.message


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        (None, "it is a NoneType, not a ray_backfill.job.Calendar"),
        (
            ValueError("no sales"),
            "The calendar of rolling raised ValueError: no sales",
        ),
        (SystemExit(0), "The calendar of rolling raised SystemExit: 0"),
        (pl.exceptions.ColumnNotFoundError("x"), "raised ColumnNotFoundError: x"),
        (Calendar((), {D: DUE_DAY}), "1 due dates lie in no season: 2025-03-01"),
        (
            Calendar((replace(YEAR, end=D),), {D: DUE_DAY}),
            "1 due dates lie in no season: 2025-03-01",
        ),
        (
            Calendar((YEAR, replace(YEAR, name="b")), {}),
            "the season b begins on 2025-01-01, before",
        ),
        (Calendar((YEAR, replace(YEAR, start=YEAR.end)), {}), "seasons without dates"),
        (
            Calendar((YEAR, Season("2025", YEAR.end, date(2027, 1, 1))), {}),
            "have one name, of 2025",
        ),
        (Calendar((YEAR,), {D: Day(D + timedelta(1), None)}), "days under the date of another"),
        (
            Calendar((YEAR,), {(at := datetime(2025, 3, 1)): Day(at, None)}),
            "days that are no dates: 2025-03-01 00:00:00",
        ),
        (Calendar((YEAR,), {D: Day(D, DateState.STALE)}), "days whose state is neither None"),
        (Calendar((YEAR,), {D: Day(D, "blocked")}), "days whose state is neither None"),  # type: ignore[arg-type]
        (Calendar((YEAR,), {D: Day(D, None, expected_rows=-1)}), "whose expected_rows is no count"),
        (Calendar((YEAR,), {D: Day(D, None, expected_rows=None)}), "expected_rows is no count"),  # type: ignore[arg-type]
        (Calendar((YEAR,), {D: Day(D, None, absent_rows=-1)}), "whose absent_rows is no count"),
    ],
)
def test_a_calendar_that_cannot_be_planned_from_is_named(gives: object, says: str) -> None:
    assert says in said_of(gives)


def test_what_a_calendar_says_of_its_data_or_memory_passes() -> None:
    """What a job says by our own errors is said so."""
    for error in (DataError("the schedule is torn"), MemoryError()):
        with pytest.raises(type(error)):
            called(JOB, error)


def test_due_dates_that_no_table_can_hold_are_blocked_by_name() -> None:
    """Also where no season can hold them; the others go on."""
    last = date.max
    days = {D: DUE_DAY, last: Day(last, None), date(1959, 12, 31): Day(date(1959, 12, 31), None)}
    found = called(JOB, Calendar((YEAR,), days), DateRange(date(1960, 1, 1), date(2160, 1, 1)))
    assert found.days[D].state is None
    for day in (last, date(1959, 12, 31)):
        assert found.days[day].state == DateState.BLOCKED
        assert "outside of 1960-01-01 … 2159-12-31" in found.days[day].reason


def test_a_calendar_of_every_date_reaches_to_the_ends() -> None:
    """The last date of all has no season, as no half-open range holds it; the day before has."""
    ends = [date.min, date.max - timedelta(1), date.max]
    frame = pl.DataFrame({"day": ends, "shop": ["a"] * 3})
    found = every_date(INPUT, ("shop",))({"sales": frame}, None)
    kept = calendar_of(replace(JOB, calendar=lambda frames, options: found), {}, None, ALL_DATES)
    assert [kept.days[day].state for day in ends] == [None, None, DateState.BLOCKED]
    assert [kept.season(day) is None for day in ends] == [False, False, True]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: every_date(Input("p", PRICES, ("shop",), Window.always()), ("shop",)),
            "has no pa",
        ),
        (lambda: every_date(INPUT, ("shopp",)), "it has no column shopp"),
    ],
)
def test_every_date_of_what_has_no_dates_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


# -- in a plan ---------------------------------------------------------------------------------
def raising(*words: object) -> Any:
    raise ValueError("no such league")


def test_what_a_job_raises_in_a_plan_is_named(lake: Warehouse) -> None:
    """A calendar at once; a view as soon as there is something to compare with."""
    ran(lake)
    for changes, what in (
        ({"calendar": raising, "name": "other"}, "calendar"),
        (view(rows=raising), "view sales"),
    ):
        job = replace(JOB, modules=("tests.test_checks",), **changes)
        with pytest.raises(
            JobCodeError, match=f"The {what} of {job.name} raised ValueError: no such league"
        ):
            survey(lake, job)


def test_a_calendar_is_not_blamed_for_tables_that_are_absent(tmp_path: Path) -> None:
    """It may take for granted that what it requires has rows: what to load is said instead."""
    house = open_warehouse(str(tmp_path / "lake"))
    with pytest.raises(RefusedError, match="required input absent: shop"):
        survey(house, replace(JOB, calendar=raising))
