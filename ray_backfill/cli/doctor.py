"""`ray-backfill doctor`: is this place fit for a run?"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_backfill.cli import console
from ray_backfill.cli.options import JsonOption, WarehouseOption
from ray_backfill.cli.plan import memory_of, workers_of
from ray_backfill.errors import UsageError

if TYPE_CHECKING:
    from ray_backfill.doctor.check import Finding

app = typer.Typer()

_STYLES = {"ok": "green", "failed": "bold red", "skipped": "yellow"}


@app.command()
def doctor(
    warehouse: WarehouseOption = "./lake",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="A running Ray cluster, like HOST:6379: looks at each of its nodes. "
            "[default: start a Ray here]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try everything that a run needs, here, in the warehouse and on a cluster, step by step.

    The warehouse is tried on a scratch table, which is removed again. Exit codes: 0 all well;
    1 something failed, with what mends it; 2 bad usage; 130 interrupted.
    """
    from ray_backfill.doctor.check import examine
    from ray_backfill.doctor.examination import examination
    from ray_backfill.warehouse import open_warehouse

    _refuse_dashboard(address)
    house, workers = open_warehouse(warehouse), workers_of(None)
    sizes = {"workers": workers, "worker_bytes": memory_of(None, workers)}
    found = []
    with _interruptible(), examination(house, address, **sizes) as checks:
        for finding in examine(checks):
            found.append(finding)
            _show(finding, aside=as_json)
    counts = {outcome: sum(f.outcome == outcome for f in found) for outcome in _STYLES}
    if as_json:
        console.json_out(_document(house.uri, address, found))
    failed, skipped = counts["failed"], counts["skipped"]
    console.note(
        f"{len(found)} checks: {f'{failed} failed, {skipped} skipped' if failed else 'all well'}."
    )
    raise typer.Exit(1 if failed else 0)


def _refuse_dashboard(address: str | None) -> None:
    if address and address.startswith(("http://", "https://")):
        raise UsageError(
            f"'{address}' is a dashboard; the doctor joins a cluster by Ray's own port.",
            hint="Give HOST:6379. Where only the dashboard can be reached, run it there: "
            f"ray job submit --address {address} -- python -m ray_backfill doctor --address auto",
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, so that nothing is left behind."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(finding: Finding, *, aside: bool) -> None:
    """One line a step, and below what failed what it needs and what mends it."""
    from rich.text import Text

    head = f"{finding.outcome.value:<8}"
    line = f"{finding.check:<16} {finding.found} ({finding.seconds:.1f} s)"
    more = {"asked": finding.asks, "needs": finding.needs, "mend": finding.mend}
    text = Text.assemble((head, _STYLES[finding.outcome.value]), line)
    if finding.outcome == "failed":
        for name, value in more.items():
            text.append(f"\n{'':<25}{name}: {value}" if value else "")
    if aside:
        console.note(text.plain)
    else:
        console.stdout().print(text)


def _document(uri: str, address: str | None, found: list[Finding]) -> dict[str, Any]:
    from datetime import UTC, datetime

    from ray_backfill import __version__

    return {
        "version": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "warehouse": uri,
        "address": address,
        "fit": all(finding.outcome != "failed" for finding in found),
        "checks": [asdict(finding) for finding in found],
    }
