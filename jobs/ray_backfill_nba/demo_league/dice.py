"""Chance without state: every number is a hash of the seed and of what it is about.

A roll depends on nothing but its key, so a league is the same whatever the chunks, threads or
order it is generated in. Keys are unsigned integers below 2**32 in a UInt64 column, and all
arithmetic stays below 2**64, so nothing overflows and nothing depends on a library's own hash.
"""

from __future__ import annotations

from hashlib import blake2b
from zlib import crc32

import polars as pl

__all__ = ["bell", "chance", "digits", "distribute", "key_of", "number", "roll", "seeded"]

_MASK = 0xFFFFFFFF
_SPREAD = 0x9E3779B1


def seeded(seed: int, *parts: int | str) -> int:
    """A 32-bit number of a seed and what it is for, outside of any frame."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def _mix(h: pl.Series) -> pl.Series:
    """Spread 32-bit values over all 32 bits (the finalizer of MurmurHash3)."""
    h = h ^ (h // (1 << 16))
    h = (h * 0x85EBCA6B) & _MASK
    h = h ^ (h // (1 << 13))
    h = (h * 0xC2B2AE35) & _MASK
    return h ^ (h // (1 << 16))


def _mixed(h: pl.Expr) -> pl.Expr:
    """As a function of whole columns: as an expression each step would hold the last one twice."""
    return h.map_batches(_mix, return_dtype=pl.UInt64, is_elementwise=True)


def _u64(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)


def key_of(base: int, *parts: pl.Expr | str) -> pl.Expr:
    """A key of the columns `parts` (integers from 0 to 2**32), below 2**32."""
    h = _u64(base & _MASK)
    for part in parts:
        column = (pl.col(part) if isinstance(part, str) else part).cast(pl.UInt64)
        h = _mixed((h + column * _u64(_SPREAD)) & _u64(_MASK))
    return h


def roll(label: str, key: str = "key") -> pl.Expr:
    """32 random bits about `label`, for each row's key."""
    return _mixed((pl.col(key) + _u64(crc32(label.encode()))) & _u64(_MASK))


def number(label: str, sides: int, key: str = "key") -> pl.Expr:
    """A whole number in [0, sides)."""
    return (roll(label, key) % _u64(sides)).cast(pl.Int64)


def chance(label: str, per_mille: int | pl.Expr, key: str = "key") -> pl.Expr:
    """True in `per_mille` of a thousand cases."""
    return number(label, 1000, key) < per_mille


def bell(label: str, key: str = "key") -> pl.Expr:
    """About normal with mean 0 and deviation 1: the sum of four uniform numbers.

    Integers until the last division, so that no machine rounds it another way.
    """
    total = _halves(roll(f"{label}/a", key)) + _halves(roll(f"{label}/b", key))
    return (total.cast(pl.Int64) - 131070) / 37837.0


def _halves(bits: pl.Expr) -> pl.Expr:
    """The sum of the upper and the lower 16 bits."""
    return bits.map_batches(
        lambda h: h // (1 << 16) + (h & 0xFFFF), return_dtype=pl.UInt64, is_elementwise=True
    )


def digits(*labels: str, key: str = "key") -> pl.Expr:
    """Text of ten digits a label: an identifier that says nothing."""
    return pl.concat_str(roll(label, key).cast(pl.String).str.zfill(10) for label in labels)


def distribute(total: pl.Expr, weight: pl.Expr, group: str) -> pl.Expr:
    """Whole shares of `total` in proportion to `weight`, adding up to it in each group.

    Exact: a share is the difference of two cumulative shares, each rounded down.
    """
    upto = weight.cum_sum().over(group)
    whole = weight.sum().over(group)
    return (total * upto) // whole - (total * (upto - weight)) // whole
