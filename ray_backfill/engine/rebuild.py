"""Writing an output anew beside the old one, and letting it take its place as a whole.

The new table is an output like any other, under a name of its own: what a run of it leaves undone
the next one does. Until it is whole nobody sees anything of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from ray_backfill.engine.driver import Driver
from ray_backfill.job import Job
from ray_backfill.job.calendar import Season
from ray_backfill.plan import Facts, Stamp
from ray_backfill.survey.ledger import Ledger
from ray_backfill.survey.stamps import read_stamps, remembered_options
from ray_backfill.survey.survey import survey
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.protocol import Lease

__all__ = ["begin_anew", "new_table", "rebuild_facts", "take_place"]


def new_table(job: Job) -> Job:
    """The job that writes the table which is to take the place of the job's own."""
    return job.into(f"{job.output.name}__rebuild")


def rebuild_facts(
    warehouse: Warehouse,
    job: Job,
    options: Callable[[Any], Any] | None = None,
    wanted: Callable[[Season], bool] = lambda season: True,
) -> Facts:
    """What a plan of the new table is made of: see `survey`.

    What stands in the old one counts for what a run must not lose without a word.
    """
    new, ledger = new_table(job), Ledger(warehouse, job.output.name)
    old = read_stamps(warehouse, job, ledger)
    begun = {} if _is_unfit(warehouse, new) else _begun(warehouse, new)
    base = remembered_options(job, begun or old)
    facts = survey(warehouse, new, lambda _: options(base) if options else base, wanted)
    codes = {code: at for code, at in _computed(old).items() if code not in facts.codes}
    content = ledger.content
    return replace(
        facts,
        stamps=begun,
        replaced=old,
        history=content.history,
        codes={**codes, **content.codes, **facts.codes},
    )


def _begun(warehouse: Warehouse, new: Job) -> dict[date, Stamp]:
    return read_stamps(warehouse, new, Ledger(warehouse, new.output.name))


def _is_unfit(warehouse: Warehouse, new: Job) -> bool:
    """Whether an earlier rebuild left something that this one cannot go on with."""
    fit = warehouse.fit(new.table)
    return fit is not None and bool(fit.differences)


def _computed(stamps: Mapping[date, Stamp]) -> dict[str, datetime]:
    """When each code version computed last."""
    times = sorted(
        (stamp.computed_at, stamp.code_version) for stamp in stamps.values() if stamp.computed_at
    )
    return {code: at for at, code in times if code}


def begin_anew(warehouse: Warehouse, new: Job) -> None:
    """Drop what an earlier rebuild left under the new table's name, where it does not fit."""
    if _is_unfit(warehouse, new):
        warehouse.drop(new.table)


def take_place(warehouse: Warehouse, job: Job, driver: Driver, lease: Lease) -> None:
    """Let the new table take the place of the old one, if it is whole; the report says which."""
    report, plan = driver.report, driver.plan
    left = [str(d.day) for d in plan.selected if str(d.day) not in driver.progress.published]
    if left or report.kept or report.quarantined or report.too_large or report.known_bad:
        report.rebuild = "the old table stands as it was, until the new one is whole"
        return
    new = new_table(job)
    done = warehouse.take_place(job.table, new.table, lease=lease)
    own, other = Ledger(warehouse, job.output.name), Ledger(warehouse, new.output.name)
    codes = {**own.content.codes, **other.content.codes}
    own.write(replace(other.content, codes=codes, tokens=done.tokens))
    warehouse.delete_object(other.key)
    driver.tokens.clear()  # they are of the place where the new table was
    report.rebuild = f"the new table took the place of the old one, as version {done.version}"
