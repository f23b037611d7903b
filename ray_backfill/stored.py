"""What comes out of a warehouse is data: JSON and Parquet, checked, and never run."""

from __future__ import annotations

import json
import zlib
from typing import Any

__all__ = ["inflated", "parsed"]

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
