"""The checks of a project of BigQuery: what each asks, the permission or quota that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ray_backfill.doctor import bigquery_place, clock
from ray_backfill.doctor.bigquery_steps import BigQueryScratch
from ray_backfill.doctor.check import Check
from ray_backfill.errors import BackfillError

__all__ = ["checks", "removed"]

_JOBS = "bigquery.jobs.create on the project"
_READ = "bigquery.readsessions.create on the project, bigquery.tables.getData"
_EDITOR = "Grant this account BigQuery Data Editor on the project, or on the dataset."
_JOB_USER = "Grant this account BigQuery Job User on the project."
_READER = "Grant this account BigQuery Read Session User on the project."


@contextmanager
def removed(made: BigQueryScratch) -> Iterator[BigQueryScratch]:
    """The scratch tables, which are gone when the block ends, however it ends."""
    try:
        yield made
    finally:
        if made.touched:
            with suppress(BackfillError):
                made.remove()


def checks(made: BigQueryScratch, reads: Sequence[str], writes: Sequence[str]) -> list[Check]:
    """The steps of BigQuery in their order; `reads` and `writes` are the datasets of jobs."""
    return [
        *_place(made, tuple(dict.fromkeys((*reads, *writes)))),
        *_tables(made, writes),
        *_protocol(made),
        *_beside(made),
        Check(
            "removed",
            "all of it is removed again",
            made.remove,
            ("project",),
            needs="bigquery.tables.list, bigquery.tables.delete",
            mend=f"What is left deletes itself within a day. {_EDITOR}",
        ),
    ]


def _place(made: BigQueryScratch, datasets: Sequence[str]) -> list[Check]:
    return [
        Check(
            "prices",
            "the prices that costs are told by",
            bigquery_place.prices,
            mend="See the README.",
        ),
        Check(
            "project",
            "the project answers, with these credentials",
            lambda: bigquery_place.project(made.clients),
            needs="Application Default Credentials; bigquery.datasets.get",
            mend="Sign in with `gcloud auth application-default login`, and check the project.",
        ),
        Check(
            "clock",
            "the clocks agree",
            lambda: bigquery_place.time(made.clients, made.tally),
            ("project",),
            needs=f"{_JOBS}; clocks less than 10 s apart: leases run out by them",
            mend=f"{clock.MEND} {_JOB_USER}",
        ),
        Check(
            "locations",
            "the datasets are where the warehouse says",
            lambda: bigquery_place.locations(made.clients, (made.address.staging, *datasets)),
            ("project",),
            needs="bigquery.datasets.get",
            mend="Grant this account BigQuery Metadata Viewer on the project.",
        ),
    ]


def _tables(made: BigQueryScratch, outputs: Sequence[str]) -> list[Check]:
    return [
        Check(
            "create",
            "a table with an expiry of its own and a required filter",
            made.create,
            ("locations",),
            needs="bigquery.datasets.create where the staging dataset is absent, "
            "bigquery.tables.create, .get, .update",
            mend=_EDITOR,
        ),
        Check(
            "outputs",
            "tables can be made where jobs write to",
            lambda: made.outputs(outputs),
            ("locations",),
            needs="bigquery.tables.create, .get, .update, .delete on the datasets of outputs; "
            "bigquery.datasets.create where one is absent",
            mend=_EDITOR,
        ),
        Check(
            "load",
            "a file is loaded",
            made.load,
            ("create",),
            needs=f"{_JOBS}, bigquery.tables.updateData; 1,500 load jobs a table and day",
            mend=f"{_JOB_USER} {_EDITOR}",
        ),
        Check(
            "read",
            "columns and dates are read by the Storage Read API",
            made.read,
            ("load",),
            needs=_READ,
            mend=f"{_READER} Switch the BigQuery Storage API on for the project.",
        ),
    ]


def _protocol(made: BigQueryScratch) -> list[Check]:
    """What a run does."""
    return [
        Check(
            "lease",
            "one run holds a table, by its labels and their etag",
            made.hold,
            ("create",),
            needs="bigquery.tables.update; 5 changes of a table's metadata in 10 s",
            mend=_EDITOR,
        ),
        Check(
            "stage",
            "Arrow rows go to a pending stream, unseen",
            made.stage,
            ("create", "read"),
            needs="bigquery.tables.create, bigquery.tables.updateData; 10,000 streams opened an "
            "hour",
            mend=f"{_EDITOR} Switch the BigQuery Storage API on for the project.",
        ),
        Check(
            "commit",
            "streams are committed together",
            made.commit,
            ("stage",),
            needs="bigquery.tables.updateData; 10,000 streams a commit",
            mend=_EDITOR,
        ),
        Check(
            "merge",
            "MERGE … ON FALSE replaces exactly its dates",
            made.merge,
            ("commit", "lease"),
            needs=f"{_JOBS}, bigquery.tables.getData, .updateData; billing: no DML in a sandbox; "
            "2 statements at once on a table, 20 that wait",
            mend=f"{_JOB_USER} {_EDITOR} Switch billing on.",
        ),
    ]


def _beside(made: BigQueryScratch) -> list[Check]:
    """What plans, views, `restore` and journals take."""
    return [
        Check(
            "partitions",
            "the partitions of a table are listed",
            made.partitions,
            ("merge",),
            needs=f"{_JOBS}, bigquery.tables.get, .list, .getData",
            mend=f"{_JOB_USER} Grant it BigQuery Metadata Viewer on the dataset.",
        ),
        Check(
            "view",
            "what the Read API cannot read comes by a query",
            made.view,
            ("merge",),
            needs=f"{_JOBS}, bigquery.tables.getData",
            mend=f"{_JOB_USER} Only jobs that read views need it.",
        ),
        Check(
            "restore",
            "a table is taken back by time travel",
            made.restore,
            ("merge",),
            needs=f"{_JOBS}, bigquery.tables.create, .getData, .updateData; a dataset that keeps "
            "tables as they were",
            mend="Set the dataset's time travel to seven days; runs go on without it.",
        ),
        Check("release", "the lease is given back", made.release, ("lease",), mend=_EDITOR),
        Check(
            "objects",
            "journals are kept as rows, without a job",
            made.objects,
            ("create", "read"),
            needs=f"bigquery.tables.updateData, {_READ}",
            mend=_EDITOR,
        ),
    ]
