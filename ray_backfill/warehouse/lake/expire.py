"""Old versions of a table: which the window still needs, and what can be deleted with the others.

The window reaches back to the version that stood at its beginning. That one and all later ones
can be restored: their entries of the log stay, a checkpoint stands at the first of them, and every
file that any of them names. Of the rest only what the log itself once named is deleted, and what
this tool staged and never published; files of others that no entry names are counted and left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from ray_backfill.errors import BackfillError
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake import files as _files
from ray_backfill.warehouse.lake import log as _log
from ray_backfill.warehouse.lake.log import LOG, Entry
from ray_backfill.warehouse.lake.stage import staged_by
from ray_backfill.warehouse.lake.sweep import is_inside

__all__ = ["Expiry", "carry_out", "planned"]

_STAGED_AGE = timedelta(days=1)
"""How old what was staged is when nobody publishes it any more."""

_MOST_UNREAD = 10
_VECTOR = "deletion_vector_"
_STEP = 500
"""Objects that are deleted between two looks at the lease."""

_Meta = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expiry:
    """What of a table can go. Objects are as listed: path from the lake's root, size, time."""

    first: int | None
    """The oldest version that stays, where others go; None where none does."""
    versions: int
    """How many go."""
    data: Sequence[_Meta]
    log: Sequence[_Meta]
    foreign: Sequence[_Meta]
    """Files that no entry names and that are not ours: they stay."""
    unread: int
    """Entries behind the last checkpoint: each opening of the table reads them."""


def planned(
    uri: str, name: str, listed: Sequence[_Meta], *, keep: timedelta, now: datetime
) -> Expiry:
    """Look at what is `listed` below a table's folder; reads its log, and changes nothing."""
    root = f"{_objects.table_folder(name)}/"
    in_log = [meta for meta in listed if meta["path"].startswith(f"{root}{LOG}/")]
    times = {
        version: meta["last_modified"]
        for meta in in_log
        if _log.is_entry(meta["path"]) and (version := _log.version_of(meta["path"])) is not None
    }
    newest = _files.open_table(uri, name).version()
    entries = _entries(uri, name, newest, times)
    first = _first(uri, name, entries, times, now - keep)
    gone = [meta for meta in in_log if first is not None and _before(meta["path"], first)]
    named = _named(uri, entries, in_log)
    needed = named if first is None else _needed(uri, name, entries, first)
    data = {meta["path"].removeprefix(root): meta for meta in listed if meta not in in_log}
    staged = {
        path
        for path, meta in data.items()
        if path not in named and staged_by(path) and meta["last_modified"] < now - _STAGED_AGE
    }
    unnamed = data.keys() - named
    return Expiry(
        first=first if gone else None,
        versions=sum(version < first for version in times) if gone and first else 0,
        data=[
            data[path]
            for path in sorted((named & data.keys()) - needed | staged)
            if is_inside(uri, data[path]["path"])
        ],
        log=sorted(gone, key=lambda meta: str(meta["path"])),
        foreign=[data[p] for p in sorted(unnamed) if not staged_by(p) and _VECTOR not in p],
        unread=newest - max((_checkpointed(meta["path"]) for meta in in_log), default=-1),
    )


def _checkpointed(path: str) -> int:
    version = _log.version_of(path)
    return version if version is not None and path.endswith(".checkpoint.parquet") else -1


def _before(path: str, first: int) -> bool:
    version = _log.version_of(path)
    return version is not None and version < first


def _entries(uri: str, name: str, newest: int, times: Mapping[int, datetime]) -> dict[int, Entry]:
    """The entries from the newest back, as far as none is missing."""
    oldest = newest
    while oldest - 1 in times:
        oldest -= 1
    versions = range(oldest, newest + 1)
    with ThreadPoolExecutor(16) as pool:
        found = pool.map(lambda version: _log.read(uri, name, version), versions)
    return {v: entry for v, entry in zip(versions, found, strict=True) if entry is not None}


def _first(
    uri: str,
    name: str,
    entries: Mapping[int, Entry],
    times: Mapping[int, datetime],
    cutoff: datetime,
) -> int | None:
    """The version that stood at the cutoff; None where that is not known, or the first of all."""
    young = [v for v, entry in entries.items() if (entry.at or times[v]) > cutoff]
    first = min(young) - 1 if young else max(entries, default=0)
    if first not in entries:
        return None
    try:
        _files.open_table(uri, name, first)
    except BackfillError:
        return None
    return first


def _named(uri: str, entries: Mapping[int, Entry], in_log: Sequence[_Meta]) -> set[str]:
    """All that the log names: its entries, and what stood before them by checkpoints."""
    found: set[str] = set()
    for entry in entries.values():
        found |= entry.paths
    oldest = min(entries, default=0)
    for meta in in_log:
        version = _log.version_of(meta["path"])
        if version is None or (version > oldest and entries):
            continue
        if meta["path"].endswith(".parquet"):
            found |= _log.in_checkpoint(_objects.get(uri, meta["path"]))
        elif version < oldest and _log.is_entry(meta["path"]):
            found |= _log.parsed((_objects.get(uri, meta["path"]) or b"").splitlines()).paths
    return found


def _needed(uri: str, name: str, entries: Mapping[int, Entry], first: int) -> set[str]:
    """Files of every version from the first on."""
    stored = _files.open_table(uri, name, first)
    found = {unquote(file.path) for file in _files.active_files(stored, None)}
    for version, entry in entries.items():
        if version > first:
            found |= entry.adds
    return found


def carry_out(uri: str, name: str, expiry: Expiry, guard: Callable[[], object]) -> None:
    """Delete it: first the files, then the entries that named them, the oldest first.

    A checkpoint stands at the first version that stays, and one at the newest, before anything
    goes. `guard` is called again and again, and may raise. Killed in between, it is done to its
    end the next time.
    """
    versions: list[int | None] = [] if expiry.first is None else [expiry.first]
    if versions or expiry.unread > _MOST_UNREAD:
        versions.append(None)  # the newest: `_last_checkpoint` points at it from here on
    for version in versions:
        with _objects.translated(f"Writing a checkpoint of {name}"):
            _files.open_table(uri, name, version).create_checkpoint()
    root = f"{_objects.table_folder(name)}/"
    # Somebody may have restored an old version since it was looked at.
    files = _files.active_files(_files.open_table(uri, name), None)
    active = {f"{root}{unquote(file.path)}" for file in files}
    _delete(uri, [meta["path"] for meta in expiry.data if meta["path"] not in active], guard)
    _delete(uri, [meta["path"] for meta in expiry.log], guard)


def _delete(uri: str, paths: Sequence[str], guard: Callable[[], object]) -> None:
    for start in range(0, len(paths), _STEP):
        guard()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda path: _objects.delete(uri, path), paths[start : start + _STEP]))
