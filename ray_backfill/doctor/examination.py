"""All checks of a place, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ray_backfill.doctor import bigquery, cluster, jobs, lake, machine
from ray_backfill.doctor.bigquery_steps import BigQueryScratch
from ray_backfill.doctor.check import Check
from ray_backfill.doctor.cluster import Cluster
from ray_backfill.doctor.lake import LakeScratch
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse.lake.warehouse import Lake

__all__ = ["examination"]


@contextmanager
def examination(
    warehouse: Warehouse, address: str | None, *, workers: int, worker_bytes: int
) -> Iterator[list[Check]]:
    """The checks of this machine, a warehouse, and a cluster where there is an address.

    What they make is removed when the block ends, however it ends.
    """
    folders = {}
    if isinstance(warehouse, Lake) and "://" not in warehouse.uri:
        folders["the lake"] = warehouse.uri
    first = [*machine.checks(workers, worker_bytes, folders), jobs.check()]
    with ExitStack() as stack:
        if isinstance(warehouse, Lake):
            scratch = stack.enter_context(lake.removed(LakeScratch(warehouse)))
            house, marker, last = lake.checks(scratch), scratch.marked, "objects"
        else:
            made = stack.enter_context(bigquery.removed(BigQueryScratch(warehouse.uri)))
            house, marker, last = bigquery.checks(made, *jobs.datasets()), _nothing, "project"
        if address is None:
            yield [*first, *house, machine.ray_check()]
        else:
            nodes = stack.enter_context(cluster.joined(Cluster(address)))
            yield [*first, *house, *cluster.checks(nodes, warehouse.uri, marker, last)]


def _nothing() -> str:
    return ""
