"""The end report of a run, as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray_backfill.cli import console

if TYPE_CHECKING:
    from ray_backfill.record.report import Report

__all__ = ["print_left_out", "print_names", "print_report"]

_LISTED = 20
_EXAMPLES = 3


def print_report(report: Report) -> None:
    """The end report: numbers and each problem with its date and reason, to stdout."""
    console.table(
        f"Run {report.run_id} of {report.job} → {report.table}",
        ["", ""],
        [
            ("published", f"{len(report.published):,} dates, {report.rows:,} rows"),
            *_some("published empty", report.empty),
            *_some("removed", report.removed),
            *_some("stamped anew", report.restamped),
            *_some("failed", report.failed),
            *_some("quarantined", report.quarantined),
            *_some("quarantined before", report.known_bad),
            *_some("too large", report.too_large),
            *_some("blocked", report.blocked),
            *_some("kept", report.kept),
            *_retries(report),
            *_some("not started", report.not_started),
            ("seconds", f"{report.seconds:.1f} ({_stages(report)})"),
            *_bill(report),
            *(("warning", sentence) for sentence in report.warnings),
            (
                "workers",
                f"{report.at_once} at once, peak {report.peak_worker_bytes / 2**20:,.0f} MiB each",
            ),
        ],
    )
    _print_problems(report)
    print_left_out(report.unmatched)
    print_names(report.names, report.job)


def print_left_out(found: Sequence[Mapping[str, Any]]) -> None:
    """What was left out or doubted, by table, source and reason, and what mends it."""
    if not found:
        return
    shown = found[:_LISTED]
    console.table(
        "Input that was left out or doubted",
        ["table", "source", "why", "rows", "dates", "first examples"],
        [
            (e["table"], e["source"], e["why"], e["rows"], _dates(e["dates"]), _examples(e))
            for e in shown
        ],
        right=["rows"],
    )
    if len(found) > _LISTED:
        console.note(f"… and {len(found) - _LISTED} more kinds: `--json` has them all.")
    mends = dict.fromkeys(e["mend"] for e in shown if e["mend"])
    if mends:
        console.note(f"What helps: {'; '.join(f'`{mend}`' for mend in mends)}.")


def print_names(found: Sequence[Mapping[str, Any]], job: str) -> None:
    """Names that match nobody, with the likely ones."""
    if not found:
        return
    console.table(
        "Names that match nobody",
        ["name", "table", "sources", "dates", "rows", "likely", "proposed"],
        [
            (
                e["name"],
                e["table"],
                ", ".join(e["sources"]),
                _dates(e["dates"]),
                e["rows"],
                ", ".join(f"{o['name']} {o['likeness']:.0f}" for o in e["likely"]),
                e["proposed"],
            )
            for e in found[:_LISTED]
        ],
        right=["rows"],
    )
    more = f"… and {len(found) - _LISTED} more. " if len(found) > _LISTED else ""
    console.note(f"{more}`ray-backfill unmatched {job} --write-aliases FILE` proposes aliases.")


def _dates(dates: Mapping[str, int]) -> str:
    first, last = min(dates), max(dates)
    return first if len(dates) == 1 else f"{len(dates):,}: {first} … {last}"


def _examples(entry: Mapping[str, Any]) -> str:
    first = entry["examples"][:_EXAMPLES]
    return "; ".join(f"{e['date']} {e['what']}" for e in first)


def _some(label: str, found: Sequence[str] | dict[str, str]) -> list[tuple[str, str]]:
    return [(label, f"{len(found):,} dates")] if found else []


def _retries(report: Report) -> list[tuple[str, str]]:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.retry_counts.items()))
    return [("retries and splits", counts)] if counts else []


def _bill(report: Report) -> list[tuple[str, str]]:
    if not report.billed:
        return []
    bill = report.billed
    return [("billed", f"{bill['jobs']} jobs, {bill['bytes']:,} bytes, ${bill['dollars']:.4f}")]


def _stages(report: Report) -> str:
    return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.stages.items())


def _print_problems(report: Report) -> None:
    kinds = {
        "failed": report.failed,
        "quarantined": report.quarantined,
        "quarantined before": report.known_bad,
        "too large": report.too_large,
        "blocked": report.blocked,
        "empty": report.empty,
        "kept": report.kept,
        "note": {day: "; ".join(notes) for day, notes in report.notes.items()},
    }
    rows = [(kind, day, why) for kind, found in kinds.items() for day, why in found.items()]
    if rows:
        console.table("Dates to look at", ["what", "date", "why"], rows[:_LISTED])
    if len(rows) > _LISTED:
        console.note(f"… and {len(rows) - _LISTED} more, in the JSON report.")
