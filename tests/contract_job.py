"""The rolling job over tables of any dataset: `tests.contract_job:DATASET` names one.

A real project is shared, and a table that was deleted and made again takes streams badly: each
test has a dataset of its own.
"""

from __future__ import annotations

from dataclasses import replace

from ray_backfill.job import Job
from ray_backfill.job.plain import every_date, views_of
from tests import rolling_job


def __getattr__(name: str) -> Job:
    if name.startswith("_"):
        raise AttributeError(name)
    return job_of(name)


def job_of(dataset: str) -> Job:
    """The rolling job with its tables in this dataset."""
    sales = replace(rolling_job.SALES, name=f"{dataset}.sales")
    source = replace(rolling_job.INPUT, table=sales)
    return replace(
        rolling_job.JOB,
        name=f"rolling-{dataset}",
        output=replace(rolling_job.MEANS, name=f"{dataset}.means"),
        inputs=(source,),
        views=views_of((source,)),
        calendar=every_date(source, ("shop",)),
    )
