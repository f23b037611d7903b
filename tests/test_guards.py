"""What a run does not do without a person's word, and what it says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from deltalake import DeltaTable

from ray_backfill.errors import RefusedError
from ray_backfill.plan import Allow, Selection
from ray_backfill.survey.ledger import Ledger
from ray_backfill.warehouse import Warehouse
from tests.conftest import DAYS, sales
from tests.engine import INLINE, content, output, planned, ran
from tests.rolling_job import MEANS, SALES

D = DAYS[20]
NEXT = [D + timedelta(n) for n in (1, 2) if D + timedelta(n) in DAYS]


def prune(house: Warehouse, *days: date) -> None:
    """Delete dates of the sales, as another tool does."""
    listed = ", ".join(f"'{day}'" for day in days)
    DeltaTable(f"{house.uri}/shop/sales").delete(f"day IN ({listed})")


def keep_shops(house: Warehouse, day: date, shops: int) -> None:
    """Make a date hold the sales of so many shops alone."""
    rows = sales().filter((pl.col("day") == day) & (pl.col("shop") < f"shop{shops}"))
    house.append(SALES, rows.to_arrow(), replace_dates=True)


# -- removals ------------------------------------------------------------------------------------
def test_rows_of_a_date_that_belongs_to_nothing_any_more_are_kept(lake: Warehouse) -> None:
    """Exit 3 with the reason and what changed; the others go on; with a word they are removed."""
    ran(lake)
    truth = content(lake)
    prune(lake, *DAYS[-2:])
    lake.append(SALES, _late(DAYS[3]).to_arrow())
    plan = planned(lake)
    told = "shop.sales 2025-01-05: 5 → 6 rows, 2025-02-27: 5 → 0 rows, 2025-02-28: 5 → 0 rows"
    for day in DAYS[-2:]:
        assert plan.kept[day] == (
            "its 5 rows belong to nothing any more: off-day: nothing is scheduled; "
            f"since run {output(lake)['run_id'][0]} published it: {told}"
        )
    report = ran(lake)
    assert (report.exit_code, report.removed) == (3, [])
    assert list(report.kept) == [str(day) for day in DAYS[-2:]]
    assert "--allow-removals 2, if that is meant" in report.verdict
    assert set(report.published) == {str(DAYS[3] + timedelta(n)) for n in range(3)} & {
        *map(str, DAYS)
    }
    assert (
        content(lake)
        .filter(pl.col("day") >= DAYS[-2])
        .equals(truth.filter(pl.col("day") >= DAYS[-2]))
    )
    too_few = ran(lake, allow=Allow(removals=1))
    assert (too_few.exit_code, too_few.removed, len(too_few.kept)) == (3, [], 2)
    done = ran(lake, allow=Allow(removals=2))
    assert (done.exit_code, done.removed, done.kept) == (0, [str(day) for day in DAYS[-2:]], {})
    assert content(lake)["day"].max() == DAYS[-3]
    assert ran(lake).exit_code == 0


def _late(day: date) -> pl.DataFrame:
    return pl.DataFrame([(day, "late", 7)], schema=dict(SALES.schema()), orient="row")


def test_dates_that_are_not_asked_for_need_no_word(lake: Warehouse) -> None:
    """History that was pruned on purpose stays outside of the range of a nightly run."""
    ran(lake)
    prune(lake, *DAYS[:10])
    report = ran(lake, selection=Selection(start=DAYS[12]))
    assert (report.exit_code, report.kept, report.verdict) == (0, {}, "nothing to do")
    assert ran(lake, selection=Selection(select=("missing",))).exit_code == 0


def test_a_failure_beside_kept_dates_is_told_too(lake: Warehouse) -> None:
    """Refused is what ends the run, and the failed date is named beside it."""
    ran(lake, [f"raise_on={DAYS[4]}"])
    prune(lake, DAYS[-1])
    report = ran(lake, [f"raise_on={DAYS[4]}"])
    assert (report.exit_code, list(report.failed)) == (3, [str(DAYS[4])])
    assert "1 failed" in report.verdict
    assert "1 keep rows that would be lost" in report.verdict


def test_what_a_table_was_computed_from_may_be_unknown(lake: Warehouse) -> None:
    """Where the ledger is lost the guard says so, and holds all the same."""
    ran(lake)
    for key in lake.list_objects("ledger/"):
        lake.delete_object(key)
    prune(lake, DAYS[-1])
    assert planned(lake).kept[DAYS[-1]].endswith("; what it was computed from is not known")


@pytest.mark.parametrize("junk", [b"", b"junk", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_ledger_that_cannot_be_read_counts_as_absent(lake: Warehouse, junk: bytes) -> None:
    """Plans and runs go on, and the next one is written anew."""
    ran(lake)
    lake.put_object("ledger/shop.means.json.z", junk)
    lake.append(SALES, _late(D).to_arrow())
    assert ran(lake).exit_code == 0
    assert len(Ledger(lake, MEANS.name).content.history.runs) == 1


# -- shrinking -----------------------------------------------------------------------------------
def test_a_date_that_comes_out_with_fewer_rows_is_quarantined(lake: Warehouse) -> None:
    """Four of five rows are enough, three are not: both numbers, and what changed."""
    ran(lake)
    truth = content(lake)
    keep_shops(lake, D, 3)
    report = ran(lake)
    assert report.exit_code == 1
    assert report.quarantined == {
        str(D): f"it comes out with 3 rows, 60% of its 5 published ones; shop.sales {D}: 5 → 3 rows"
    }
    assert set(report.published) == {str(day) for day in NEXT}
    assert content(lake).filter(pl.col("day") == D).equals(truth.filter(pl.col("day") == D))
    assert list(ran(lake).known_bad) == [str(D)]
    allowed = ran(lake, allow=Allow(shrink=True))
    assert (allowed.exit_code, allowed.published) == (0, {str(D): 3})
    keep_shops(lake, D, 3)
    assert ran(lake).verdict == "nothing to do"


def test_dates_that_were_only_written_again_are_told_where_nothing_else_changed(
    lake: Warehouse,
) -> None:
    """One mislabelled row does not change a table's count: its date is named all the same."""
    ran(lake)
    moved = sales().with_columns(
        pl.when(pl.col("day") == DAYS[-1]).then(DAYS[-2]).otherwise("day").alias("day")
    )
    lake.append(SALES, moved.filter(pl.col("day") == DAYS[-2]).to_arrow(), replace_dates=True)
    lake.append(SALES, sales().filter(pl.col("day") == DAYS[3]).to_arrow(), replace_dates=True)
    prune(lake, DAYS[-1])
    (why,) = planned(lake).kept.values()
    assert why.endswith(
        f"shop.sales {DAYS[-2]}: 5 → 10 rows, {DAYS[-1]}: 5 → 0 rows, 1 more written again"
    )


def test_four_of_five_rows_are_enough(lake: Warehouse) -> None:
    """A shop that closes is no accident."""
    ran(lake)
    keep_shops(lake, D, 4)
    assert ran(lake).exit_code == 0


def test_a_look_back_that_lost_a_partition_is_quarantined(lake: Warehouse) -> None:
    """The dates whose values would be made of less, by name, before they are computed."""
    ran(lake)
    truth = content(lake)
    prune(lake, D)
    plan = planned(lake)
    assert plan.shrinking == dict.fromkeys(
        NEXT,
        f"its look-back lost a date that its rows were computed from: shop.sales {D}: 5 → 0 rows",
    )
    assert plan.selected == ()
    report = ran(lake)
    assert (report.exit_code, report.quarantined) == (
        3,
        {str(d): w for d, w in plan.shrinking.items()},
    )
    assert content(lake).equals(truth)
    allowed = ran(lake, allow=Allow(shrink=True, removals=1))
    assert set(allowed.published) == {str(day) for day in NEXT}
    assert ran(lake).exit_code == 0


def test_a_partition_that_was_lost_before_a_date_was_published_is_no_loss(lake: Warehouse) -> None:
    """What counts is what the date was computed from, and not what there once was."""
    ran(lake, selection=Selection(dates=DAYS[:10]))
    prune(lake, D)
    ran(lake)
    lake.append(SALES, _late(NEXT[0]).to_arrow())
    assert planned(lake).shrinking == {}
    assert ran(lake).exit_code == 0


def test_a_new_date_has_nothing_to_shrink_from(lake: Warehouse) -> None:
    """Missing dates are computed from what there is."""
    ran(lake, selection=Selection(end=D))
    keep_shops(lake, NEXT[0], 1)
    assert ran(lake).exit_code == 0


# -- older code ----------------------------------------------------------------------------------
def use_code(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr("ray_backfill.staleness.loaded_code.code_of", lambda job: version)


def test_older_code_does_not_take_the_place_of_newer(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was replaced everywhere, or on some dates only, asks for a word."""
    use_code(monkeypatch, "old")
    ran(lake)
    use_code(monkeypatch, "new")
    ran(lake, selection=Selection(dates=(DAYS[3],)))
    use_code(monkeypatch, "old")
    _is_refused(lake, 1)
    use_code(monkeypatch, "new")
    ran(lake)
    use_code(monkeypatch, "old")
    _is_refused(lake, len(DAYS))
    assert set(output(lake)["code_version"]) == {"new"}
    report = ran(lake, allow=Allow(older_code=True))
    assert (report.exit_code, len(report.published)) == (0, len(DAYS))
    assert planned(lake).older_code == ""
    use_code(monkeypatch, "new")
    _is_refused(lake, len(DAYS), mine="new", other="old")


def _is_refused(lake: Warehouse, dates: int, mine: str = "old", other: str = "new") -> None:
    with pytest.raises(RefusedError, match="--allow-older-code") as caught:
        ran(lake)
    assert f"({mine}) is older than that of the table: {other} replaced it on" in str(caught.value)
    assert f"computed {dates} of its dates" in str(caught.value)
    assert planned(lake).older_code == caught.value.message


def test_code_that_was_never_seen_is_new(lake: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is that of a table that nobody remembers anything of."""
    for version in ("a", "b", "c"):
        use_code(monkeypatch, version)
        assert ran(lake).exit_code == 0


def test_older_code_may_go_on_where_nothing_newer_stands(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer work was taken back: there is nothing of it to replace."""
    use_code(monkeypatch, "old")
    ran(lake)
    before = lake.history(MEANS.name)[0].version
    use_code(monkeypatch, "new")
    ran(lake)
    lake.restore(MEANS.name, before)
    use_code(monkeypatch, "old")
    lake.append(SALES, _late(D).to_arrow())
    assert ran(lake).exit_code == 0


def test_older_code_with_nothing_to_do_is_no_failure(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what would be replaced needs a word."""
    use_code(monkeypatch, "old")
    ran(lake)
    use_code(monkeypatch, "new")
    ran(lake, selection=Selection(dates=(DAYS[3],)))
    use_code(monkeypatch, "old")
    assert ran(lake, selection=Selection(dates=(DAYS[5],))).verdict == "nothing to do"


def test_verify_does_not_stamp_newer_work_with_older_code(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal values or not: it would look as if the older code had come later."""
    for version in ("old", "new"):
        use_code(monkeypatch, version)
        ran(lake)
    use_code(monkeypatch, "old")
    with pytest.raises(RefusedError, match="older than that of the table"):
        ran(lake, how=replace(INLINE, verify=3))


def test_stamps_alone_tell_which_code_followed(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the ledger their times do, as long as rows of both stand."""
    use_code(monkeypatch, "old")
    ran(lake)
    use_code(monkeypatch, "new")
    ran(lake, selection=Selection(dates=(DAYS[3],)))
    for key in lake.list_objects("ledger/"):
        lake.delete_object(key)
    use_code(monkeypatch, "old")
    _is_refused(lake, 1)


# -- the ledger ----------------------------------------------------------------------------------
def test_a_ledger_grows_with_what_changes_and_not_with_runs(lake: Warehouse) -> None:
    """Of a run's inputs only what differs is added, and only what its rows still need is kept."""
    ran(lake)
    for n in range(4):
        lake.append(SALES, _late(DAYS[30 + n]).to_arrow())
        ran(lake)
    history = Ledger(lake, MEANS.name).content.history
    standing = set(output(lake)["run_id"])
    assert history.runs <= standing
    entries = history.tables[SALES.name]
    assert {day: len(found) for day, found in entries.items() if len(found) > 1} == {
        DAYS[30 + n]: 2 for n in range(4)
    }
    assert len(history.seasons) == 1


def test_a_run_with_nothing_to_do_leaves_the_ledger_alone(lake: Warehouse) -> None:
    """It is not even read."""
    ran(lake)
    before = lake.get_object("ledger/shop.means.json.z")
    lake.put_object("ledger/shop.means.json.z", b"junk")
    assert ran(lake).verdict == "nothing to do"
    assert lake.get_object("ledger/shop.means.json.z") == b"junk"
    assert before


def test_what_a_run_computes_from_is_noted_before_its_rows_are_seen(
    lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that dies after a commit leaves no row whose inputs are unknown."""
    seen = []
    real = type(lake).publish

    def publish(self: Warehouse, *args: object, **kwargs: object) -> object:
        seen.append(Ledger(lake, MEANS.name).content)
        return real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(type(lake), "publish", publish)
    report = ran(lake)
    assert report.run_id in seen[0].history.runs
    assert seen[0].history.at(report.run_id, SALES.name)[D].rows == 5  # type: ignore[index]
    assert datetime.now(UTC) - seen[0].codes[report.code_version] < timedelta(minutes=10)
