"""What must hold of a job's contract: checked where the job is made, all problems at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches

from ray_backfill import names
from ray_backfill.errors import UsageError
from ray_backfill.job import options
from ray_backfill.job.calendar import Window
from ray_backfill.job.job import Input, Job, View
from ray_backfill.job.table import STAMP, Kind, Table

__all__ = ["check_job", "covered", "undecided_views"]

_CLUSTERS = 4
"""BigQuery clusters by no more columns, and by none of these kinds."""
_UNCLUSTERED = frozenset({Kind.FLOAT, Kind.STRINGS})
_WINDOWS = frozenset({"day", "season_to_date", "season", "season_before", "always"})


def check_job(job: Job) -> None:
    """Raises `UsageError` that names every problem of a job's contract."""
    found = list(dict.fromkeys(_problems(job)))
    if not found:
        return
    many = f"{len(found)} problems" if len(found) > 1 else "a problem"
    lines = "".join(f"\n  {problem}" for problem in found)
    raise UsageError(
        f"The job {names.shown(job.name)} has {many}:{lines}", hint="Correct its definition."
    )


def _problems(job: Job) -> Iterator[str]:
    yield from _wrong_names(job)
    tables = {id(i.table): i.table for i in job.inputs}
    for table in (job.output, *tables.values()):
        yield from _of_table(table)
    yield from _of_output(job.output)
    for source in job.inputs:
        yield from _of_input(source, job.output)
    yield from _twice("two inputs are called", (i.name for i in job.inputs))
    for view in job.views:
        yield from _of_view(job, view)
    yield from _twice("two views are called", (v.name for v in job.views))
    yield from _of_calendar(job)
    yield from options.problems_of(job.options)
    called = {"calendar": job.calendar, "compute": job.compute}
    called |= {f"gate {n}": gate for n, gate in enumerate(job.gates, 1)}
    if job.aliases is not None:
        listed = (job.aliases.alias, job.aliases.name)
        yield from _unknown("its table of aliases", listed, job.aliases.table)
    yield from (f"its {what} is no function" for what, f in called.items() if not callable(f))


def _wrong_names(job: Job) -> Iterator[str]:
    fields = [*(i.name for i in job.inputs), *(v.name for v in job.views)]
    for rule, name in [(names.job_name, job.name), *((names.field_name, n) for n in fields)]:
        try:
            rule(name)
        except UsageError as error:
            yield f"{error.message} {error.hint}"


# -- tables ------------------------------------------------------------------------------------
def _of_table(table: Table) -> Iterator[str]:
    known = [column.name for column in table.columns]
    if not known:
        yield f"{table.name} has no columns"
    # Regardless of case, as BigQuery and DuckDB take them.
    yield from _twice(f"{table.name} has two columns", (name.lower() for name in known))
    for what, listed in (("key", table.key), ("cluster", table.cluster)):
        yield from _unknown(f"the {what} of {table.name}", listed, table)
        yield from _twice(f"the {what} of {table.name} names twice", listed)
    kinds = {column.name: column.kind for column in table.columns}
    if table.partition is not None:
        yield from _unknown(f"the partition of {table.name}", [table.partition], table)
        if kinds.get(table.partition, Kind.DATE) is not Kind.DATE:
            kind = kinds[table.partition]
            yield f"the partition of {table.name}, {table.partition}, is {kind}: it must be a date"
    if len(table.cluster) > _CLUSTERS:
        yield f"the cluster of {table.name} has {len(table.cluster)} columns: {_CLUSTERS} at most"
    for name in table.cluster:
        if kinds.get(name) in _UNCLUSTERED:
            yield f"the cluster of {table.name} names {name}, which is {kinds[name]}"


def _of_output(table: Table) -> Iterator[str]:
    if table.partition is None:
        yield f"its output {table.name} has no partition: a job computes dates"
    stamp = {column.name for column in STAMP}
    for column in table.columns:
        if column.name.lower() in stamp:
            yield (
                f"its output {table.name} has a column {column.name} of its own: that is the name "
                "of a stamp, which is added to every row"
            )


def _unknown(what: str, listed: Iterable[str], table: Table) -> Iterator[str]:
    """A problem for each name that is no column of the table, with the nearest that is."""
    known = [column.name for column in table.columns]
    for name in listed:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"; is {near[0]} meant?" if near else ""
            yield f"{what} names {names.shown(name)}, which is no column of {table.name}{meant}"


def _twice(what: str, listed: Iterable[str]) -> Iterator[str]:
    yield from (f"{what} {names.shown(n)}" for n, count in Counter(listed).items() if count > 1)


# -- inputs and views --------------------------------------------------------------------------
def _of_input(source: Input, output: Table) -> Iterator[str]:
    what = f"the input {source.name}"
    if source.table.name.lower() == output.name.lower():
        yield (
            f"{what} is {output.name}, the job's own output: dates that depend on each other are "
            "not computed in their order yet, so its values would depend on how they are spread. "
            "Compute them out of the tables that the output comes from"
        )
    if not source.columns:
        yield f"{what} reads no columns"
    yield from _unknown(what, source.columns, source.table)
    yield from _twice(f"{what} names twice", source.columns)
    yield from _of_window(what, source.window)


def _of_window(what: str, window: Window) -> Iterator[str]:
    if window.kind not in _WINDOWS:
        yield f"{what} has a window of an unknown kind, {names.shown(str(window.kind))}"
    elif window.kind == "day" and window.before + window.ahead < 0:
        yield f"{what} has a window that holds no date: {window.describe()}"


def _of_view(job: Job, view: View) -> Iterator[str]:
    what = f"the view {view.name}"
    known = {source.name for source in job.inputs}
    if not callable(view.rows):
        yield f"{what} has no function that gives its rows"
    if not view.inputs:
        yield f"{what} shows no input"
    absent = [name for name in view.inputs if name not in known]
    yield from (
        f"{what} shows {names.shown(name)}, which is no input of the job" for name in absent
    )
    yield from _of_window(what, view.window)
    windows = [view.window, *(source.window for source in job.inputs)]
    known_kinds = all(window.kind in _WINDOWS for window in windows)
    if known_kinds and not absent and covered(job, view, Window.covers) is False:
        yield wider(job, view)


def wider(job: Job, view: View) -> str:
    """The sentence about a view whose window holds more than is read."""
    read = ", ".join(f"{name}: {job.input(name).window.describe()}" for name in view.inputs)
    return (
        f"the view {view.name} is wider ({view.window.describe()}) than what is read ({read}): the "
        "rows that it shows would depend on which dates are computed together"
    )


def covered(job: Job, view: View, covers: Callable[[Window, Window], bool | None]) -> bool | None:
    """Whether a job reads all that a view shows; None: the seasons decide.

    A date of a local view comes of that date of each of its inputs. One of another view may come
    of any dates, as of the season before, so that one input that is as wide is enough.
    """
    found = [covers(job.input(n).window, view.window) for n in view.inputs if _is_dated(job, n)]
    if view.local:
        return all(found) if False in found or None not in found else None
    if True in found or len(found) < len(view.inputs):
        return True
    return None if None in found else not found


def _is_dated(job: Job, name: str) -> bool:
    """Whether an input is read by its window; a table without partitions is always read whole."""
    return job.input(name).table.partition is not None


def undecided_views(job: Job) -> Sequence[View]:
    """Views of which only the seasons can tell whether they are wider than what is read."""
    return [view for view in job.views if covered(job, view, Window.covers) is None]


def _of_calendar(job: Job) -> Iterator[str]:
    tables = {source.name: source.table for source in job.inputs}
    for name, columns in job.calendar_inputs.items():
        if name not in tables:
            yield f"the calendar asks for {names.shown(name)}, which is no input of the job"
            continue
        yield from _unknown(f"the calendar's {name}", columns, tables[name])
        yield from _twice(f"the calendar's {name} names twice", columns)
