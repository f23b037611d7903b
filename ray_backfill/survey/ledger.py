"""What is remembered of a table's runs beside it, for guards and to save readings.

It never says what is done: that is read from the table. It is written before a run publishes, so
that what a row was computed from is known wherever the row is. Where it is lost, guards know less
and readings are made that it would have saved.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

from ray_backfill import untrusted
from ray_backfill.job.calendar import Season
from ray_backfill.plan import Facts, Stamp
from ray_backfill.plan.history import Entry, Held, InputHistory
from ray_backfill.staleness.digest import text_digest
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Partition

__all__ = ["Ledger", "LedgerContent", "held_of", "note", "past", "remember"]

_log = logging.getLogger(__name__)
_FORMAT = 1
_MOST_CODES = 100


@dataclass(frozen=True)
class LedgerContent:
    """`tokens`: date -> what its last commit of ours is known by, see `Published.tokens`.
    `codes`: code version -> when a run of it began last. `history`: see `InputHistory`.
    """

    tokens: Mapping[date, str] = field(default_factory=dict)
    codes: Mapping[str, datetime] = field(default_factory=dict)
    history: InputHistory = field(default_factory=InputHistory)


class Ledger:
    """The ledger of one output, read when it is first asked."""

    def __init__(self, warehouse: Warehouse, table: str) -> None:
        self._warehouse = warehouse
        self.key = f"ledger/{table}.json.z"

    @cached_property
    def content(self) -> LedgerContent:
        """What is there; whatever is wrong with a part of it counts as absent."""
        found = self._warehouse.get_object(self.key)
        data = untrusted.parsed(untrusted.inflated(found))
        if data.get("format") != _FORMAT:
            if found:
                _log.warning("%s cannot be read, and counts as absent: guards know less.", self.key)
            return LedgerContent()
        return LedgerContent(
            {
                day: token
                for day, token in _by_day(data.get("tokens")).items()
                if day and isinstance(token, str)
            },
            {code: at for code, text in _dict(data.get("codes")).items() if (at := _moment(text))},
            _history(data),
        )

    def write(self, content: LedgerContent) -> None:
        """Make it hold this."""
        kept = content.history.tables.values()
        entries = (entry for table in kept for found in table.values() for entry in found)
        runs = sorted(content.history.runs | {entry.run_id for entry in entries})
        number = {run_id: at for at, run_id in enumerate(runs)}
        data = {
            "format": _FORMAT,
            "tokens": {str(day): token for day, token in content.tokens.items()},
            "codes": {code: at.isoformat() for code, at in content.codes.items()},
            "runs": runs,
            "known": sorted(content.history.runs),
            "seasons": {
                run: [(s.name, str(s.start), str(s.end)) for s in found]
                for run, found in content.history.seasons.items()
            },
            "inputs": {
                table: {
                    str(day or ""): [[number[e.run_id], *e.held] for e in entries]
                    for day, entries in partitions.items()
                }
                for table, partitions in content.history.tables.items()
            },
        }
        text = json.dumps(data, separators=(",", ":"))
        self._warehouse.put_object(self.key, zlib.compress(text.encode(), 6))
        self.__dict__["content"] = content


def held_of(partition: Partition) -> Held:
    """A partition as the history of inputs keeps it."""
    return Held(partition.rows, text_digest(partition.token)[:8] if partition.sure else "")


def past(
    ledger: Ledger, stamps: Mapping[date, Stamp], prints: Mapping[date, str], code_version: str
) -> tuple[InputHistory, dict[str, datetime]]:
    """What the inputs held when runs began, and when each code version computed last.

    The ledger is asked where a date that stands is not what it should be: else there is nothing
    to guard.
    """
    codes = _codes(stamps)
    same = ((s.fingerprint, s.code_version) for s in stamps.values())
    now = ((prints.get(day), code_version) for day in stamps)
    if all(old == new for old, new in zip(same, now, strict=True)):
        return InputHistory(), codes
    content = ledger.content
    return content.history, _latest(content.codes, codes)


def _codes(stamps: Mapping[date, Stamp]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for stamp in stamps.values():
        if stamp.code_version and stamp.computed_at:
            found = _latest(found, {stamp.code_version: stamp.computed_at})
    return found


def _latest(one: Mapping[str, datetime], other: Mapping[str, datetime]) -> dict[str, datetime]:
    return {
        code: max(found[code] for found in (one, other) if code in found)
        for code in one.keys() | other.keys()
    }


def note(ledger: Ledger, facts: Facts, run_id: str, at: datetime) -> None:
    """Note down what a run begins with, before any row of it is published."""
    content = ledger.content
    held = {source.table: source.held for source in facts.sources}
    runs = {stamp.run_id for stamp in facts.stamps.values()}
    codes = _latest(_latest(content.codes, facts.codes), {facts.code_version: at})
    newest = sorted(codes, key=lambda code: codes[code])[-_MOST_CODES:]
    ledger.write(
        LedgerContent(
            {day: token for day, token in content.tokens.items() if day in facts.stamps},
            {code: codes[code] for code in newest},
            content.history.noted(run_id, held, facts.calendar.seasons, runs),
        )
    )


def remember(ledger: Ledger, tokens: Mapping[date, str]) -> None:
    """Remember what the dates that were published are known by."""
    if tokens:
        ledger.write(replace(ledger.content, tokens={**ledger.content.tokens, **tokens}))


def _history(data: Mapping[str, Any]) -> InputHistory:
    runs = [run for run in _list(data.get("runs")) if isinstance(run, str)]
    tables = {
        table: {day: _entries(found, runs) for day, found in _by_day(partitions).items()}
        for table, partitions in _dict(data.get("inputs")).items()
    }
    seasons = {run: _seasons(found) for run, found in _dict(data.get("seasons")).items()}
    known = {run for run in _list(data.get("known")) if run in runs}
    known = {run for run in known if any(other <= run for other in seasons)}
    return InputHistory(frozenset(known), tables, seasons)


def _seasons(found: Any) -> tuple[Season, ...]:
    seasons = []
    for entry in _list(found):
        match entry:
            case [str(name), str(start), str(end)] if (first := _moment(start)) and (
                last := _moment(end)
            ):
                seasons.append(Season(name, first.date(), last.date()))
    return tuple(seasons)


def _entries(found: Any, runs: list[str]) -> list[Entry]:
    entries = []
    for entry in _list(found):
        match entry:
            case [int(run), int(rows), str(mark)] if 0 <= run < len(runs):
                entries.append(Entry(runs[run], Held(rows, mark)))
    return entries


def _by_day(found: Any) -> dict[date | None, Any]:
    days: dict[date | None, Any] = {}
    for text, value in _dict(found).items():
        if not text:
            days[None] = value
        elif moment := _moment(text):
            days[moment.date()] = value
    return days


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
