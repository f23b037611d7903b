"""A run's events as log lines, and back: what a log collector reads, a follower can fold again.

Each line is one JSON object with the same first fields: `at` (ISO 8601, UTC), `level`, `event`,
`run`, `job`, `span` and `date` (null where there is none), `message` (a sentence); then the
fields of its event. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

__all__ = ["at_of", "event_of", "line", "lines_of", "text_of"]

_RENAMED = {"day": "date", "message": "error"}
"""Fields of events whose name means something else in a line, or nothing to a log collector."""
_HEAD = frozenset({"at", "level", "event", "run", "job", "span", "date", "message"})
_SILENT = frozenset({"queue"})
"""Kinds that come many times a second and say nothing that is still true later."""
_NEEDED = {
    "run": ("table", "planned", "workers"),
    "phase": ("phase",),
    "stage": ("span", "attempt", "stage"),
    "span_done": ("span",),
    "published": ("date", "rows"),
    "attempt": ("date", "outcome", "error"),
    "retry": ("span", "attempt", "error"),
    "end": ("exit_code",),
}
"""What a progress takes from a line of each kind."""


def line(
    at: float,
    level: str,
    event: str,
    message: str,
    *,
    run: str | None = None,
    job: str | None = None,
    span: str | None = None,
    date: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One log line; `at` in seconds since the epoch, `level` info, warning or error."""
    head = {"at": text_of(at), "level": level, "event": event, "run": run, "job": job}
    return head | {"span": span, "date": date, "message": message} | fields


def lines_of(event: Mapping[str, Any], run: str, job: str) -> list[dict[str, Any]]:
    """The lines of one event of a run: one, or one a date, or none for a kind that only counts.

    The event has its time in `at`, in seconds since the epoch. Kinds that are not known here
    become a line that holds their fields.
    """
    kind = event["event"]
    if kind in _SILENT:
        return []
    fields = {_RENAMED.get(name, name): value for name, value in event.items()}
    if kind == "published":
        days, empty = fields.pop("days"), fields.pop("empty", {})
        parts = [
            fields | {"date": day, "rows": rows} | ({"empty": empty[day]} if day in empty else {})
            for day, rows in days.items()
        ]
    else:
        parts = [fields]
    return [_line(kind, part, run, job) for part in parts]


def _line(kind: str, fields: Mapping[str, Any], run: str, job: str) -> dict[str, Any]:
    level, message = _SAID.get(kind, _said_otherwise)(fields)
    return line(
        fields["at"],
        level,
        kind,
        message,
        run=fields.get("run_id", run),
        job=fields.get("job", job),
        span=fields.get("span"),
        date=fields.get("date"),
        **{n: v for n, v in fields.items() if n not in _HEAD and n != "run_id"},
    )


def event_of(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event that a line tells of; None where it is no line of a run's event.

    Folding these over a run's lines gives the progress that folding its events gives.
    """
    kind, at = line.get("event"), at_of(line.get("at"))
    if not isinstance(kind, str) or at is None or not line.keys() >= _HEAD:
        return None
    if any(line.get(name) is None for name in _NEEDED.get(kind, ())):
        return None
    fields = {n: v for n, v in line.items() if n not in _HEAD}
    for name in ("span", "date"):
        if line[name] is not None:
            fields[name] = line[name]
    if kind == "published":
        day = fields.pop("date")
        fields["days"] = {day: fields.pop("rows")}
        if isinstance(why := fields.pop("empty", None), str):
            fields["empty"] = {day: why}
    if kind == "run":
        fields |= {"run_id": line["run"], "job": line["job"]}
    names = {new: old for old, new in _RENAMED.items()}
    return {"event": kind, "at": at} | {names.get(n, n): v for n, v in fields.items()}


def text_of(at: float) -> str:
    """ISO 8601 of seconds since the epoch, in UTC, with every digit that the number has."""
    whole, _, fraction = format(Decimal(repr(at)), "f").partition(".")
    text = datetime.fromtimestamp(int(whole), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction or '0'}Z"


def at_of(text: object) -> float | None:
    """Seconds since the epoch of what `text_of` made; None where it is something else."""
    if not isinstance(text, str):
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    try:
        seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
        return float(f"{int(seconds)}.{fraction or '0'}")
    except (ValueError, OverflowError):
        return None


# -- sentences ---------------------------------------------------------------------------------
def _said_run(e: Mapping[str, Any]) -> tuple[str, str]:
    return "info", (
        f"Run {e['run_id']}: {e['job']} → {e['table']}, {len(e['planned'])} dates planned, "
        f"{e['workers']} workers."
    )


def _said_phase(e: Mapping[str, Any]) -> tuple[str, str]:
    return "info", f"The run is {e['phase']}."


def _said_stage(e: Mapping[str, Any]) -> tuple[str, str]:
    return "info", f"{e['span']}, attempt {e['attempt']}: {e['stage']}."


def _said_published(e: Mapping[str, Any]) -> tuple[str, str]:
    if e.get("span") is None:
        return "info", f"removed {e['date']}: it belongs to nothing any more."
    if e.get("empty"):
        return "info", f"published {e['date']}, empty: {e['empty']}"
    return "info", f"published {e['date']}: {e['rows']:,} rows."


def _said_attempt(e: Mapping[str, Any]) -> tuple[str, str]:
    said = f"{e['outcome']} {e['date']}: {e['error']}"
    if e.get("carried"):
        return "info", f"Of an earlier run: {said}"
    return "error" if e["outcome"] == "failed" else "warning", said


def _said_retry(e: Mapping[str, Any]) -> tuple[str, str]:
    then = f", {e['action']}" if e.get("action") else ""
    return "warning", f"{e['span']}, attempt {e['attempt']}{then}: {e['error']}"


def _said_span_done(e: Mapping[str, Any]) -> tuple[str, str]:
    return "info", f"{e['span']} is done."


def _said_handover(e: Mapping[str, Any]) -> tuple[str, str]:
    spent = ", ".join(f"{stage} {s:.2f} s" for stage, s in (e.get("seconds") or {}).items())
    return "info", f"{e.get('span')} handed over {e.get('rows') or 0:,} rows: {spent}."


def _said_cancel(e: Mapping[str, Any]) -> tuple[str, str]:
    return "warning", str(e["error"])


def _said_end(e: Mapping[str, Any]) -> tuple[str, str]:
    level = {0: "info", 130: "warning"}.get(e["exit_code"], "error")
    return level, f"{e.get('verdict', 'ended')} (exit {e['exit_code']})"


def _said_otherwise(e: Mapping[str, Any]) -> tuple[str, str]:
    return "info", str(e.get("error", e["event"]))


_SAID: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "run": _said_run,
    "phase": _said_phase,
    "stage": _said_stage,
    "published": _said_published,
    "attempt": _said_attempt,
    "retry": _said_retry,
    "span_done": _said_span_done,
    "handover": _said_handover,
    "cancel": _said_cancel,
    "end": _said_end,
}
