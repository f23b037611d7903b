"""What is asked of a project of BigQuery before anything is made in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ray_backfill.doctor import clock
from ray_backfill.doctor.check import UnfitError
from ray_backfill.warehouse.bigquery import cost as _bq_cost
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.jobs import Tally
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["dataset", "locations", "prices", "project", "time"]

_DAY_MS = 86_400_000


def prices() -> str:
    """The prices that costs are told by."""
    at = _bq_cost.prices()
    return (
        f"of {at.as_of}: ${at.query_tib:g} a TiB scanned, ${at.read_tib:g} a TiB read, "
        f"${at.write_gib:g} a GiB written; at least 10 MiB a table and query. "
        f"{_bq_cost.VARIABLE} overrides them"
    )


def project(clients: Clients) -> str:
    """Ask once or twice: nobody waits half a minute for a project that is wrong."""
    rest, name = clients.rest, clients.address.project
    found = tried(
        f"Listing the datasets of {name}",
        lambda: list(rest.list_datasets(max_results=1, retry=None, timeout=HTTP_SECONDS)),
        attempts=2,
    )
    who = getattr(rest._credentials, "service_account_email", None) or "the user signed in"
    where = "a server on this machine" if clients.local else who
    return f"{name} answers ({where})" + ("" if found else "; no dataset yet")


def time(clients: Clients, tally: Tally) -> str:
    """Compare this clock with BigQuery's."""
    before = clock.now()
    sql = "SELECT CURRENT_TIMESTAMP() AS now"
    (row,) = _bq_jobs.rows(clients, sql, "Asking for the time", tally=tally)
    return clock.compared("BigQuery's", before, row["now"], clock.now())


def locations(clients: Clients, datasets: Sequence[str]) -> str:
    """Where the datasets are, and what expires in them by default."""
    said, elsewhere, wanted = [], [], clients.address.location
    for name in datasets:
        found = dataset(clients, name)
        said.append(_described(name, found))
        if found is not None and found.location.upper() != wanted.upper():
            elsewhere.append(f"{name} is in {found.location}")
    if elsewhere:
        raise UnfitError(
            f"The warehouse's location is {wanted}: {', '.join(elsewhere)}.",
            hint="No job can touch two locations: write the warehouse with ?location=… as its "
            "datasets have it.",
        )
    return "; ".join(said)


def dataset(clients: Clients, name: str) -> Any | None:
    """A dataset as it is; None where there is none."""
    from google.api_core.exceptions import NotFound

    full = f"{clients.address.project}.{name}"
    try:
        return tried(
            f"Looking at the dataset {name}",
            lambda: clients.rest.get_dataset(full, retry=None, timeout=HTTP_SECONDS),
            expected=(NotFound,),
        )
    except NotFound:
        return None


def _described(name: str, found: Any | None) -> str:
    if found is None:
        return f"{name} is not there yet"
    defaults = {
        "tables": found.default_table_expiration_ms,
        "partitions": found.default_partition_expiration_ms,
    }
    expiry = ", ".join(
        f"{what} expire by default after {int(ms) / _DAY_MS:g} days"
        for what, ms in defaults.items()
        if ms
    )
    return f"{name} is in {found.location}, {expiry or 'nothing expires by default'}"
