"""What comes out of a warehouse is data: JSON and Parquet, checked, and never run."""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from types import UnionType
from typing import Any, get_args

__all__ = ["doubt", "inflated", "parsed", "shaped"]

_log = logging.getLogger(__name__)
_LARGEST = 2**28
"""Bytes of a compressed object when it is opened: the largest cache seen has a hundredth."""


def parsed(data: bytes | None) -> dict[str, Any]:
    """A JSON object; empty for what is absent, broken or anything else than one."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def inflated(data: bytes | None) -> bytes:
    """What zlib made smaller; empty for what is absent, broken, or would fill the memory."""
    opening = zlib.decompressobj()
    try:
        found = opening.decompress(data or b"", _LARGEST)
    except zlib.error:
        return b""
    return found if opening.eof else b""


def shaped(value: object, shape: Any) -> bool:
    """Whether JSON has a shape, so that nothing further in has to ask.

    A shape is `str`, `bool`, `int`, `float` (whole ones too, but finite), `date` and `datetime`
    (as ISO text), or a union of such; `[shape]` a list of any length, `(shape, shape)` a list of
    these; `{str: shape}` and `{date: shape}` an object with any such names, and
    `{"name": shape, "perhaps?": shape}` one with these, which may hold others too.
    """
    if isinstance(shape, UnionType):
        return any(shaped(value, one) for one in get_args(shape))
    if isinstance(shape, dict):
        return isinstance(value, dict) and _has_fields(value, shape)
    if isinstance(shape, list | tuple):
        inner = shape * len(value) if isinstance(shape, list) and isinstance(value, list) else shape
        return (
            isinstance(value, list) and len(value) == len(inner) and all(map(shaped, value, inner))
        )
    if shape in (date, datetime):
        return isinstance(value, str) and _is_iso(value, shape)
    if shape is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    return type(value) is shape


def _has_fields(value: Mapping[str, object], shape: Mapping[Any, Any]) -> bool:
    for name, inner in shape.items():
        if name is str:
            return all(shaped(one, inner) for one in value.values())
        if name is date:
            return all(_is_iso(key, date) and shaped(one, inner) for key, one in value.items())
        known = name.removesuffix("?")
        if not (shaped(value[known], inner) if known in value else known != name):
            return False
    return True


def _is_iso(text: str, kind: type[date]) -> bool:
    try:
        return kind.fromisoformat(text) is not None
    except ValueError:
        return False


@lru_cache(maxsize=1000)
def doubt(what: str) -> None:
    """Warn that something of the warehouse counts as absent; once, however often it is met."""
    _log.warning("%s", what)
