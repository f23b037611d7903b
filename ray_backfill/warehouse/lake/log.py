"""Reads the entries of a table's log as they lie there, for what Delta's library does not tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import polars as pl

from ray_backfill.warehouse import objects as _objects

__all__ = ["LOG", "Entry", "in_checkpoint", "is_entry", "named", "parsed", "read", "version_of"]

LOG = "_delta_log"

_VERSION = re.compile(r"[0-9]{20}(?=\.)", re.ASCII)
_ENTRY = re.compile(r"(?:.*/)?_delta_log/[0-9]{20}\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One version: when it was committed, if it says so, and the paths below the table."""

    at: datetime | None
    adds: frozenset[str]
    removes: frozenset[str]

    @property
    def paths(self) -> frozenset[str]:
        """All that it names."""
        return self.adds | self.removes


def version_of(path: str) -> int | None:
    """The version that an object of a log is of; None for what is of none."""
    found = _VERSION.match(path.rpartition("/")[2])
    return int(found[0]) if found else None


def is_entry(path: str) -> bool:
    """Whether an object is the entry of one version."""
    return _ENTRY.fullmatch(path) is not None


def read(uri: str, table: str, version: int) -> Entry | None:
    """The entry of a version; None where it is not there any more."""
    path = f"{_objects.table_folder(table)}/{LOG}/{version:020d}.json"
    data = _objects.get(uri, path)
    return None if data is None else parsed(data.splitlines())


def parsed(lines: Iterable[bytes]) -> Entry:
    """An entry of these lines; raises `ValueError` for what is no JSON."""
    at = None
    found: dict[str, set[str]] = {"add": set(), "remove": set()}
    for line in lines:
        if b'"path"' not in line and b'"commitInfo"' not in line:
            continue
        action: dict[str, Any] = json.loads(line)
        for kind in found.keys() & action.keys():
            found[kind].add(unquote(action[kind]["path"]))
        if stamp := action.get("commitInfo", {}).get("timestamp"):
            at = datetime.fromtimestamp(stamp / 1000, UTC)
    return Entry(at, frozenset(found["add"]), frozenset(found["remove"]))


def in_checkpoint(data: bytes | None) -> set[str]:
    """All paths that a checkpoint names."""
    if not data:
        return set()
    frame = pl.read_parquet(BytesIO(data))
    found: set[str] = set()
    for action in {"add", "remove"} & set(frame.columns):
        paths = frame[action].struct.field("path").drop_nulls()
        found.update(unquote(path) for path in paths)
    return found


def named(uri: str, table: str) -> set[str]:
    """Paths of all files that the log names, its checkpoints included."""
    found: set[str] = set()
    for meta in _objects.list_meta(uri, f"{_objects.table_folder(table)}/{LOG}"):
        path = meta["path"]
        if path.endswith(".json"):
            found |= parsed((_objects.get(uri, path) or b"").splitlines()).paths
        elif path.endswith(".parquet"):
            found |= in_checkpoint(_objects.get(uri, path))
    return found
