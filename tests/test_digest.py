"""A digest depends on content alone: not on order, repetition, or how a value is stored."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.digest import NOTHING, Running, partition_digests, text_digest

DAY = date(2025, 11, 4)
texts = st.none() | st.text(alphabet="ab:,~1é\n", max_size=4)
rows_of_text = st.lists(st.tuples(texts, texts), min_size=1, max_size=12)


def frame(rows: list[tuple[str | None, str | None]]) -> pl.DataFrame:
    schema = {"a": pl.String, "b": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(day=pl.lit(DAY))


@given(rows_of_text, st.randoms())
def test_order_and_repetition_do_not_matter(
    rows: list[tuple[str | None, str | None]], rng: random.Random
) -> None:
    """Shuffled and repeated rows have the digest of the rows."""
    again = rows + rng.choices(rows, k=5)
    rng.shuffle(again)
    assert partition_digests(frame(again), "day") == partition_digests(frame(rows), "day")


@given(rows_of_text, rows_of_text)
def test_different_content_has_another_digest(
    left: list[tuple[str | None, str | None]], right: list[tuple[str | None, str | None]]
) -> None:
    """No separator, null or empty text makes two different sets of rows look alike."""
    same = set(left) == set(right)
    digests = partition_digests(frame(left), "day"), partition_digests(frame(right), "day")
    assert (digests[0] == digests[1]) is same


def test_column_names_are_part_of_the_content_and_their_order_is_not() -> None:
    """A renamed column changes the digest, a moved one does not."""
    rows = frame([("x", "y")])
    assert partition_digests(rows.select("b", "day", "a"), "day") == partition_digests(rows, "day")
    assert partition_digests(rows.rename({"a": "c"}), "day") != partition_digests(rows, "day")


def test_equal_numbers_of_other_width_or_sign_of_zero_are_equal() -> None:
    """0.0 and -0.0, and integers of 32 and 64 bits, are the same content."""
    left = pl.DataFrame({"day": [DAY], "x": [0.0], "n": pl.Series([7], dtype=pl.Int32)})
    right = pl.DataFrame({"day": [DAY], "x": [-0.0], "n": pl.Series([7], dtype=pl.Int64)})
    assert partition_digests(left, "day") == partition_digests(right, "day")


def test_every_kind_of_value_enters() -> None:
    """A change in any column of any type changes the digest."""
    base = {
        "day": DAY,
        "text": "a",
        "int": 1,
        "float": 1.5,
        "bool": True,
        "date": DAY,
        "at": datetime(2025, 11, 4, 20, tzinfo=UTC),
        "list": ["a", "b"],
    }
    other = {
        "text": "b",
        "int": 2,
        "float": 1.5000001,
        "bool": False,
        "date": date(2025, 11, 5),
        "at": datetime(2025, 11, 4, 20, 0, 0, 1, tzinfo=UTC),
        "list": ["ab"],
    }
    digest = partition_digests(pl.DataFrame([base]), "day")[DAY]
    seen = {partition_digests(pl.DataFrame([base | {k: v}]), "day")[DAY] for k, v in other.items()}
    nulls = {
        partition_digests(pl.DataFrame([base]).with_columns(pl.lit(None).alias(k)), "day")[DAY]
        for k in other
    }
    assert len({digest} | seen | nulls) == 1 + 2 * len(other)


def test_rows_that_repeat_a_nan_a_null_or_nothing_but_nulls_count_once() -> None:
    """Equal rows are equal whatever they hold, and with no column at all there is one row."""
    nan, rows = float("nan"), []
    for x, text in [(nan, "a"), (nan, None), (None, None), (-0.0, ""), (0.0, ""), (None, "a")]:
        rows.append({"day": DAY, "x": x, "text": text, "none": None})
    once = pl.DataFrame(rows, schema_overrides={"x": pl.Float64})
    again = pl.concat([once, once.reverse(), once])
    assert partition_digests(once, "day") == partition_digests(again, "day")
    assert partition_digests(once.drop("day"), None) == partition_digests(again.drop("day"), None)
    bare = once.select("day")
    assert partition_digests(bare, "day") == partition_digests(bare.head(1), "day")


def test_the_digest_is_stable_across_machines_and_versions() -> None:
    """A stored fingerprint must still be equal tomorrow: the encoding is pinned."""
    rows = pl.DataFrame(
        {"day": [DAY, DAY], "text": ["a", None], "x": [1.5, None], "at": [datetime(2025, 1, 1)] * 2}
    )
    assert partition_digests(rows, "day") == {DAY: "353b8f1bff6feb5a"}


def test_a_window_without_rows_has_a_digest_of_its_own() -> None:
    """Nothing differs from something, and dates are told apart."""
    other = date(2025, 11, 5)
    assert Running().combined([], {}) == NOTHING
    one = Running().combined([DAY], {DAY: "a"})
    assert one not in (NOTHING, Running().combined([other], {other: "a"}))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
def test_running_windows_equal_their_combined_digests(windows: list[tuple[int, int]]) -> None:
    """However windows grow, shrink or move, the running digest is that of their days."""
    days = [date(2025, 1, 1 + n) for n in range(31)]
    digests: dict[date | None, str] = {day: f"d{day.day}" for day in days}
    running = Running()
    for low, high in windows:
        inside = days[low:high]
        parts = [f"{day}={digests[day]}" for day in inside]
        whole = text_digest(";".join(parts)) if parts else NOTHING
        assert running.combined(inside, digests) == whole
