"""Query and load jobs under ids of our own, so that a lost answer is found again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ray_backfill.warehouse.bigquery.errors import (
    ATTEMPTS,
    HTTP_SECONDS,
    explained,
    is_transient,
    pause,
    tried,
)

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["Tally", "load", "query", "rows"]

_FIRST_LOOK = 0.05
_LONGEST_LOOK = 2.0


@dataclass
class Tally:
    """The jobs that this process ran, and the bytes that were billed for them."""

    jobs: int = 0
    billed: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, job: Any) -> None:
        with self._lock:
            self.jobs += 1
            self.billed += int(getattr(job, "total_bytes_billed", None) or 0)


def query(
    clients: Clients, sql: str, doing: str, *, job_id: str = "", tally: Tally, **config: Any
) -> Any:
    """The finished job of a statement.

    `job_id` makes it happen once: where an answer was lost, the job is found by its id. A job
    that failed for a transient reason keeps its id for good; the next attempt adds a number.
    """
    from google.cloud.bigquery import QueryJobConfig

    def begin(ident: str) -> Any:
        return clients.rest.query(
            sql,
            QueryJobConfig(use_legacy_sql=False, **config),
            job_id=ident,
            retry=None,
            job_retry=None,
            timeout=HTTP_SECONDS,
        )

    return _once(clients, begin, doing, job_id or f"rbf_{uuid4().hex}", tally)


def rows(clients: Clients, sql: str, doing: str, *, tally: Tally) -> list[Any]:
    """The rows of a query with a small result."""
    job = query(clients, sql, doing, tally=tally)
    return tried(doing, lambda: list(job.result(retry=None, job_retry=None)))


def load(clients: Clients, begin: Callable[[str], Any], doing: str, *, tally: Tally) -> Any:
    """The finished load job that `begin(job_id)` uploads; what was not uploaded is sent again."""
    return _once(clients, begin, doing, f"rbf_{uuid4().hex}", tally)


def _once(
    clients: Clients, begin: Callable[[str], Any], doing: str, job_id: str, tally: Tally
) -> Any:
    for attempt in range(ATTEMPTS):
        ident = f"{job_id}_{attempt}" if attempt else job_id
        job = _finished(clients, begin, doing, ident)
        tally.add(job)
        if not job.error_result:
            return job
        error = job.exception()
        if not is_transient(error) or attempt == ATTEMPTS - 1:
            raise explained(doing, error, attempt + 1) from error
        pause(attempt)
    raise AssertionError


def _finished(clients: Clients, begin: Callable[[str], Any], doing: str, ident: str) -> Any:
    """The job under this id once it is done; begun where there is none yet."""
    from google.api_core.exceptions import Conflict, NotFound

    def begun() -> Any:
        try:
            return begin(ident)
        except Conflict:
            # An earlier answer got lost: the job is there, and must not run a second time.
            return clients.rest.get_job(ident, retry=None, timeout=HTTP_SECONDS)

    job, look = tried(doing, begun), _FIRST_LOOK
    while job.state != "DONE":
        time.sleep(look)
        look = min(_LONGEST_LOOK, look * 1.5)
        try:
            current = job
            tried(
                doing,
                lambda current=current: current.reload(retry=None, timeout=HTTP_SECONDS),  # type: ignore[misc]
                expected=(NotFound,),
            )
        except NotFound:
            job = tried(doing, begun)
    return job
