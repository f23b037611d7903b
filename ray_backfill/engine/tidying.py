"""What is put in order when a run has ended. How it ended is settled before, and stays so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from ray_backfill.engine.control import forget_ended
from ray_backfill.engine.upkeep import sweep_ended
from ray_backfill.errors import BackfillError
from ray_backfill.job import Job
from ray_backfill.record.failures import describe
from ray_backfill.record.report import Report, save_report
from ray_backfill.warehouse import Warehouse

__all__ = ["keep", "tidy", "warned"]

_log = logging.getLogger(__name__)


def keep(warehouse: Warehouse, report: Report) -> None:
    """Write the report where others find it, with the bill where there is one."""
    if bill := getattr(warehouse, "billed", None):
        report.billed = bill()
    save_report(warehouse, report)


def tidy(warehouse: Warehouse, job: Job, report: Report) -> None:
    """Keep the report, sweep what ended runs left behind. What fails is a warning of the report."""
    run_id = report.run_id
    steps: dict[str, Callable[[], object]] = {
        "The report was not kept": lambda: keep(warehouse, report),
        "What earlier runs left behind was not swept": lambda: sweep_ended(
            warehouse, job.table, run_id
        ),
        "Old requests to cancel were not taken away": lambda: forget_ended(warehouse, [run_id]),
    }
    before = len(report.warnings)
    try:
        for what, step in steps.items():
            report.warnings += warned(what, step)
    except KeyboardInterrupt:
        report.warnings.append("Tidying up was cut short: the next run does it.")
    if len(report.warnings) > before:
        with suppress(BackfillError, OSError):
            keep(warehouse, report)


def warned(what: str, step: Callable[[], object]) -> list[str]:
    """Do something that decides nothing; gives the warning where it failed, and logs it."""
    try:
        step()
    except Exception as error:  # noqa: BLE001 - whatever it is, the run has ended as it has
        sentence = f"{what}: {describe(error)}"
        _log.warning("%s", sentence)
        return [sentence]
    return []
