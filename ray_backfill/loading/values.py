"""Casts a column of a loaded file to its contract's dtype, without loss, and says what failed.

Each function gives the cast series; a value that could not be cast is NULL there and not in the
original.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl

from ray_backfill.job.table import Kind

__all__ = ["WORDS", "from_objects", "from_text", "from_typed"]

WORDS = {
    Kind.STRING: "text",
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number",
    Kind.BOOL: "true or false",
    Kind.DATE: "a date (YYYY-MM-DD)",
    Kind.TIMESTAMP: "a timestamp (ISO 8601)",
    Kind.STRINGS: "a list of texts",
}
"""What a value of each kind is, for people."""

_DAY = 86_400_000_000  # microseconds
_FIRST, _LAST = ((day - date(1970, 1, 1)).days for day in (date.min, date.max))
_EXACT = 2**53  # the largest range of whole numbers that a float64 holds without gaps
_MIDNIGHT = r"[T ]00:00(:00(\.0+)?)?(Z| UTC|[+-]00:?00)?$"
_TIMESTAMP = (
    r"^(?P<d>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](?P<t>[0-9]{2}:[0-9]{2})(?P<s>:[0-9]{2})?"
    r"(?:\.(?P<f>[0-9]{1,9}))? ?(?:Z|UTC|(?P<g>[+-])(?P<h>[0-9]{2}):?(?P<m>[0-9]{2})?)?)?$"
)
_COMMON = tuple(f"%Y-%m-%d{between}%H:%M:%S%.f{zone}" for zone in ("%z", "") for between in "T ")


def from_text(kind: Kind, values: pl.Series) -> pl.Series:
    """Text (from CSV, or a JSON string) as the kind; empty text is NULL already."""
    if kind is Kind.TIMESTAMP:
        return _in_calendar(_timestamps(values))
    frame = values.alias("v").to_frame()
    cast = frame.select(_text_expr(kind, pl.col("v"))).to_series().alias(values.name)
    return _in_calendar(cast) if kind is Kind.DATE else cast


def _in_calendar(values: pl.Series) -> pl.Series:
    """Dates or times, with NULL for those of years that neither Python nor BigQuery has."""
    first, last = values.to_physical().min(), values.to_physical().max()
    scale = 1 if values.dtype == pl.Date else _DAY
    if first is None or (first >= _FIRST * scale and last < (_LAST + 1) * scale):  # type: ignore[operator]
        return values
    return values.set(~values.dt.year().is_between(1, 9999), None)


def _timestamps(values: pl.Series) -> pl.Series:
    """The commonest ways of writing by Polars' own parser, all others by their parts."""
    value = pl.col("v")
    zoned = value.str.replace(r"(Z| UTC)$", "+0000")
    quick = pl.coalesce(
        zoned.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        for form in _COMMON
    )
    frame = values.alias("v").to_frame().with_columns(t=quick)
    rest = frame["t"].is_null() & frame["v"].is_not_null()
    if rest.any():
        slow = frame.filter(rest).select(_timestamp(value.str.strip_chars())).to_series()
        return frame["t"].scatter(rest.arg_true(), slow).alias(values.name)
    return frame["t"].alias(values.name)


def _text_expr(kind: Kind, value: pl.Expr) -> pl.Expr:
    if kind is Kind.STRING:
        return value
    text = value.str.strip_chars()
    if kind is Kind.INT:
        return text.str.extract(r"^([+-]?\d+)(?:\.0*)?$").cast(pl.Int64, strict=False)
    if kind is Kind.FLOAT:
        return text.cast(pl.Float64, strict=False)
    if kind is Kind.BOOL:
        known = {"true": True, "false": False, "1": True, "0": False}
        return text.str.to_lowercase().replace_strict(known, default=None, return_dtype=pl.Boolean)
    if kind is Kind.DATE:
        written = text.str.replace(_MIDNIGHT, "")
        dated = written.str.to_date("%Y-%m-%d", strict=False)
        return pl.when(written.str.len_bytes() == 10).then(dated)
    return text.map_elements(_texts, return_dtype=pl.List(pl.String), skip_nulls=True)


def _timestamp(text: pl.Expr) -> pl.Expr:
    part = text.str.extract_groups(_TIMESTAMP).struct.field
    written = pl.concat_str(
        part("d"),
        pl.lit("T"),
        part("t").fill_null("00:00"),
        part("s").fill_null(":00"),
        pl.lit("."),
        part("f").fill_null("0").str.pad_end(6, "0").str.slice(0, 6),
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", time_unit="us", strict=False)
    minutes = part("h").cast(pl.Int64) * 60 + part("m").fill_null("0").cast(pl.Int64)
    signed = pl.when(part("g") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    return (written - pl.duration(minutes=signed)).dt.replace_time_zone("UTC")


def _texts(value: str) -> list[str | None] | None:
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if _is_texts(found) else None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)


def from_typed(kind: Kind, values: pl.Series) -> pl.Series:
    """A typed column (from Parquet) as the kind; all NULL where its type cannot be cast.

    Dates and times that are text are read as in CSV: other tools write them so.
    """
    if kind not in (Kind.DATE, Kind.TIMESTAMP):
        return _plainly(kind, values)
    if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        return from_text(kind, values.cast(pl.String))
    return _in_calendar(_plainly(kind, values))


def _plainly(kind: Kind, values: pl.Series) -> pl.Series:
    dtype = values.dtype
    wanted = kind.polars
    if dtype == wanted:
        return values
    number = dtype.is_integer() or dtype.is_float() or dtype.is_decimal()
    if kind is Kind.INT and number:
        return _same(values, values.cast(pl.Int64, strict=False))
    if kind is Kind.FLOAT and number:
        cast = values.cast(pl.Float64, strict=False)
        if not dtype.is_integer():
            return cast
        large = values > _EXACT
        if dtype.is_signed_integer():
            large |= values < -_EXACT
        return cast.set(large.fill_null(False), None)
    if kind is Kind.TIMESTAMP and isinstance(dtype, pl.Datetime):
        aware = values if dtype.time_zone else values.dt.replace_time_zone("UTC")
        return aware.cast(wanted)
    if kind is Kind.TIMESTAMP and dtype == pl.Date:
        return values.cast(wanted)
    if kind is Kind.DATE and isinstance(dtype, pl.Datetime):
        local = values.dt.replace_time_zone(None) if dtype.time_zone in (None, "UTC") else None
        return _absent(values, wanted) if local is None else _same(local, local.cast(pl.Date))
    if kind is Kind.STRING and isinstance(dtype, pl.Categorical | pl.Enum):
        return values.cast(pl.String)
    if kind is Kind.STRINGS and dtype == pl.List(pl.Null):
        return values.cast(wanted)
    return _absent(values, wanted)


def _absent(values: pl.Series, wanted: pl.DataType) -> pl.Series:
    return pl.repeat(None, len(values), dtype=wanted, eager=True).alias(values.name)


def _same(before: pl.Series, after: pl.Series) -> pl.Series:
    """`after`, with NULL where casting it back does not give what was there."""
    changed = (after.cast(before.dtype, strict=False) != before).fill_null(False)
    return after.set(changed, None)


def from_objects(kind: Kind, name: str, values: Sequence[Any]) -> tuple[pl.Series, list[int]]:
    """Values of JSON as the kind, and the positions of those that are of another type.

    Text is read as in CSV where the kind is not text: BigQuery writes its integers so.
    """
    types = set(map(type, values)) - {type(None)}
    if types <= _NATIVE[kind]:
        try:
            return pl.Series(name, values, dtype=kind.polars, strict=True), []
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            pass  # a whole number too large, or a list with something else in it
    given = [_object(kind, value) for value in values]
    cast = from_text(kind, pl.Series(name, given, dtype=pl.String))
    if kind is Kind.STRINGS:
        lists = [value if _is_texts(value) else None for value in values]
        cast = pl.Series(name, lists, dtype=kind.polars)
    missing = cast.is_null()
    return cast, [i for i, value in enumerate(values) if value is not None and missing[i]]


_NATIVE: dict[Kind, set[type]] = {
    Kind.STRING: {str},
    Kind.INT: {int},
    Kind.FLOAT: {float},
    Kind.BOOL: {bool},
    Kind.DATE: set(),
    Kind.TIMESTAMP: set(),
    Kind.STRINGS: {list},
}


def _object(kind: Kind, value: Any) -> str | None:
    """A JSON value as the text that `from_text` reads, or None where its type does not fit."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value) if kind is Kind.BOOL else None
    if kind is Kind.FLOAT and isinstance(value, int) and abs(value) > _EXACT:
        return None
    if kind in (Kind.INT, Kind.FLOAT) and isinstance(value, int):
        return str(value)
    if kind is Kind.FLOAT and isinstance(value, float):
        return repr(value)
    if kind is Kind.INT and isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None
