"""A digest depends on content alone: not on order, repetition, or how a value is stored."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.errors import ContractError
from ray_backfill.job.table import Kind
from ray_backfill.staleness.digest import NOTHING, Running, partition_digests, text_digest

DAY = date(2025, 11, 4)
VALUES: dict[Kind, st.SearchStrategy[object]] = {
    Kind.STRING: st.text(alphabet="ab\0é", max_size=14),
    Kind.INT: st.integers(-(2**63), 2**63 - 1),
    Kind.FLOAT: st.floats(),
    Kind.BOOL: st.booleans(),
    Kind.DATE: st.dates(date(1900, 1, 1)),
    Kind.TIMESTAMP: st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)),
    Kind.STRINGS: st.lists(st.none() | st.text(alphabet="a:~1", max_size=14), max_size=3),
}
SCHEMA = {"day": pl.Date(), "whole": pl.Int32(), **{kind.value: kind.polars for kind in Kind}}
Row = tuple[object, ...]
rows_of_every_kind = st.lists(
    st.tuples(
        st.none() | st.sampled_from([DAY, DAY + timedelta(1)]),
        st.none() | st.integers(-9, 9),
        *(st.none() | VALUES[kind] for kind in Kind),
    ),
    min_size=1,
    max_size=9,
)


def built(rows: list[Row]) -> pl.DataFrame:
    """A frame of every kind of column, with memory of its own."""
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


WAYS: tuple[Callable[[pl.DataFrame, list[bool]], pl.DataFrame], ...] = (
    lambda frame, keep: frame.filter(pl.Series(keep)),
    lambda frame, keep: frame[[n for n, kept in enumerate(keep) if kept]],
    lambda frame, keep: pl.concat(
        [frame.slice(n, 1) for n, kept in enumerate(keep) if kept] or [frame.clear()]
    ),
    lambda frame, keep: pl.concat(
        [frame.slice(n, 1) for n, kept in enumerate(keep) if kept] or [frame.clear()], rechunk=True
    ),
)
"""Ways to take some rows of a frame: by copying, and by pointing into its memory."""
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


@given(rows_of_every_kind, st.data())
def test_the_digest_of_a_part_of_a_frame_is_that_of_its_rows(
    rows: list[Row], data: st.DataObject
) -> None:
    """However a frame shares its memory with others, only its own rows are hashed."""
    low = data.draw(st.integers(0, len(rows)))
    high = data.draw(st.integers(low, len(rows)))
    frame = built(rows)
    for part in (frame.slice(low, high - low), frame.tail(len(rows) - low).head(high - low)):
        assert partition_digests(part, "day") == partition_digests(built(rows[low:high]), "day")
        assert partition_digests(part, None) == partition_digests(built(rows[low:high]), None)
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    kept = [row for row, good in zip(rows, keep, strict=True) if good]
    for way in WAYS:
        assert partition_digests(way(frame, keep), "day") == partition_digests(built(kept), "day")


@pytest.mark.parametrize("kind", Kind)
def test_one_changed_value_among_many_rows_changes_its_date_alone(kind: Kind) -> None:
    """A rate that is corrected in a frame of all currencies, seen by those who use one of them."""
    old, new = {
        Kind.STRING: ("a", "b"),
        Kind.INT: (1, 2),
        Kind.FLOAT: (1.6, 1.7),
        Kind.BOOL: (True, False),
        Kind.DATE: (DAY, DAY + timedelta(1)),
        Kind.TIMESTAMP: (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC)),
        Kind.STRINGS: (["a"], ["b"]),
    }[kind]

    def digest(value: object) -> dict[date | None, str]:
        both = pl.DataFrame({"day": [DAY, DAY], "of": ["AUD", "EUR"], "value": [old, value]})
        return partition_digests(both.filter(pl.col("of") == "EUR"), "day")

    assert digest(old) != digest(new)


def test_neither_the_number_of_rows_nor_the_type_of_a_column_can_be_mistaken() -> None:
    """How many rows and of what kind is hashed too: no text can pass for the bytes of others."""
    length = [n.to_bytes(8, "little").decode() for n in (127, 50, 60)]
    text = f"\0{length[0]}a{'b' * 127}\0\0{length[1]}{length[2]}{'c' * 101}"
    one = pl.DataFrame({"a": [text], "b": [""]})
    two = pl.DataFrame({"a": ["a", "b" * 127], "b": ["c" * 50, "c" * 51 + "\0" * 9]})
    assert partition_digests(one, None) != partition_digests(two, None)
    empty, zero = (pl.DataFrame({"day": [DAY], "x": [value]}) for value in ("", 0))
    assert partition_digests(empty, "day") != partition_digests(zero, "day")
    ab, a_b = pl.DataFrame({"a": [0], "b": [0]}), pl.DataFrame({"a,b": [0]})
    assert partition_digests(ab, None) != partition_digests(a_b, None)


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


def test_categories_count_by_their_names_and_lists_are_no_text() -> None:
    """What a category is numbered depends on what came before; a list of one is not its text."""
    kinds = (pl.Categorical(), pl.Enum(["b", "a"]), pl.String())
    digests = {
        partition_digests(pl.DataFrame({"x": pl.Series(["a", "b"], dtype=kind)}), None)[None]
        for kind in kinds
    }
    assert len(digests) == 1
    text, listed = pl.DataFrame({"x": ["1:a"]}), pl.DataFrame({"x": [["a"]]})
    assert partition_digests(text, None) != partition_digests(listed, None)


def test_a_column_that_cannot_be_digested_is_named() -> None:
    """A view that shows a struct is told so, and which column it is."""
    with pytest.raises(ContractError, match=r"'pair'.*Struct"):
        partition_digests(pl.DataFrame({"pair": [{"a": 1}]}), None)


def test_the_digest_is_stable_across_machines_and_versions() -> None:
    """A stored fingerprint must still be equal tomorrow: the encoding is pinned."""
    rows = pl.DataFrame(
        {"day": [DAY, DAY], "text": ["a", None], "x": [1.5, None], "at": [datetime(2025, 1, 1)] * 2}
    )
    assert partition_digests(rows, "day") == {DAY: "bbbd46a9d96a580e"}


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
