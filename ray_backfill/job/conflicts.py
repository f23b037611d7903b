"""What several jobs of one warehouse cannot mean together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from ray_backfill.job.job import Job

__all__ = ["Conflict", "conflicts_of"]


class Conflict(NamedTuple):
    """A sentence, and what the jobs are run as that it is about."""

    sentence: str
    specs: tuple[str, ...]


def conflicts_of(jobs: Mapping[str, Job]) -> list[Conflict]:
    """All that is wrong between jobs, each as what it is run as; one job may have two names."""
    distinct = {id(job): (spec, job) for spec, job in sorted(jobs.items(), reverse=True)}
    known = dict(sorted(distinct.values(), key=lambda pair: pair[0]))
    return [*_shared(known), *_other_contracts(known), *_circles(known)]


def _shared(jobs: Mapping[str, Job]) -> Iterator[Conflict]:
    """Jobs that would overwrite each other's rows, or take each other's digests for their own."""
    for what, key in (
        ("compute one table, {}: each would replace the rows of the other", _table_of),
        ("are called {}: they would share a cache", lambda job: job.name),
    ):
        ordered = sorted(jobs, key=lambda spec: key(jobs[spec]))
        for _, group in groupby(ordered, key=lambda spec: key(jobs[spec])):
            specs = tuple(group)
            if len(specs) > 1:
                first = jobs[specs[0]]
                name = first.output.name if key is _table_of else first.name
                yield Conflict(f"{_listed(specs)} {what.format(name)}", specs)


def _table_of(job: Job) -> str:
    # Two folders whose names differ by case alone are one on some machines.
    return job.output.name.lower()


def _other_contracts(jobs: Mapping[str, Job]) -> Iterator[Conflict]:
    """Inputs that another job computes with other columns."""
    computed = {job.output.name: spec for spec, job in jobs.items()}
    for spec, job in jobs.items():
        for source in job.inputs:
            maker = computed.get(source.table.name, spec)
            has = {column.name: column.kind for column in jobs[maker].table.columns}
            if maker == spec:
                continue
            for name in source.columns:
                asked, given = source.table.column(name).kind, has.get(name)
                if asked != given:
                    made = f"{name} as {given}" if given else f"no {name}"
                    yield Conflict(
                        f"'{spec}' reads {name} ({asked}) of {source.table.name}, of which "
                        f"'{maker}' computes {made}",
                        (spec, maker),
                    )


def _circles(jobs: Mapping[str, Job]) -> Iterator[Conflict]:
    """Jobs whose outputs depend on each other: no order computes them."""
    makers = {_table_of(job): spec for spec, job in jobs.items()}
    reads = {
        spec: [makers[t] for i in job.inputs if (t := i.table.name.lower()) in makers]
        for spec, job in jobs.items()
    }
    told: set[frozenset[str]] = set()
    for spec in jobs:
        circle = _way(reads, spec, spec)
        if len(circle) > 1 and frozenset(circle) not in told:
            told.add(frozenset(circle))
            yield Conflict(
                f"{_listed(circle)} read each other's output: dates that depend on each other are "
                "not computed in their order yet",
                tuple(circle),
            )


def _way(reads: Mapping[str, Sequence[str]], start: str, goal: str) -> list[str]:
    """The jobs on a shortest way from one to another through what they read; empty without one."""
    ways, seen = [[start]], set[str]()
    for way in ways:
        for following in reads[way[-1]]:
            if following == goal:
                return way
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


def _listed(specs: Sequence[str]) -> str:
    quoted = [f"'{spec}'" for spec in specs]
    return f"The jobs {', '.join(quoted[:-1])} and {quoted[-1]}"
