"""Whatever the object store answers, a person reads a sentence: nothing else leaves the lake."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from ray_backfill.errors import BackfillError
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import D1, D2, D3, EVERY, OUT, PLAIN, every, frame, put, scores

_STORE = ("put", "get", "head", "delete", "list", "list_with_delimiter")


class Store:
    """The object store's client, of which every call fails from the `healthy`th on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.healthy = 10**9
        self.error: Exception = GenericError("503 Slow Down")
        self.made = 0
        for name in _STORE:
            monkeypatch.setattr(_objects.obstore, name, self._failing(name))

    def _failing(self, name: str) -> Callable[..., Any]:
        real = getattr(_objects.obstore, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.made += 1
            if self.made > self.healthy:
                raise self.error
            return real(*args, **kwargs)

        return call


def _calls(lake: Lake) -> dict[str, Callable[[], Any]]:
    lake.ensure(OUT)
    lease = lake.acquire_lease(OUT, "r1", seconds=600, steal=False)
    put(lake, lease, scores(D1, 1))
    lake.append(PLAIN, frame(PLAIN, [("a", 1)]).to_arrow())
    staged = lake.stage(OUT, scores(D2, 1).to_arrow(), run_id="r1", task="x")
    late = datetime(2100, 1, 1, tzinfo=UTC)
    two = pl.concat([scores(D1, 3), scores(D3, 1)]).to_arrow()
    return {
        "exists": lambda: lake.exists(OUT.name),
        "tables": lake.tables,
        "partitions": lambda: lake.partitions(OUT),
        "read": lambda: lake.read(OUT, ["points"]),
        "append": lambda: lake.append(EVERY, every().to_arrow()),
        "ensure": lambda: lake.ensure(OUT),
        "stage": lambda: lake.stage(OUT, two, run_id="r1", task="y"),
        "publish": lambda: lake.publish(OUT, staged, remove=[D1], lease=lease),
        "sweep": lambda: lake.sweep(OUT, ended_runs=["r1"], older_than=late),
        "history": lambda: lake.history(OUT.name),
        "restore": lambda: lake.restore(OUT.name, 0),
        "renew": lambda: lake.renew_lease(lease, seconds=60),
        "holder": lambda: lake.lease_holder(OUT.name),
        "release": lambda: lake.release_lease(lease),
        "acquire": lambda: lake.acquire_lease(OUT, "r2", seconds=60, steal=True),
        "put": lambda: lake.put_object("a/b", b"x"),
        "get": lambda: lake.get_object("a/b"),
        "list": lambda: lake.list_objects("a/"),
        "delete": lambda: lake.delete_object("a/b"),
    }


@pytest.mark.parametrize("error", [GenericError("503 Slow Down"), PermissionDeniedError("403")])
def test_no_error_of_the_store_leaves_the_lake_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Each method, with the store gone from its first, second, third … call on."""
    lake = Lake(str(tmp_path / "lake"))
    calls = _calls(lake)
    store = Store(monkeypatch)
    store.error = error
    told: dict[str, list[str]] = {}
    for name, call in calls.items():
        for healthy in count():
            store.healthy, store.made = healthy, 0
            try:
                call()
            except BackfillError as problem:
                told.setdefault(name, []).append(problem.message)
            if store.made <= healthy:
                break  # it made no more calls than that: it has been through
    assert told.keys() >= {"stage", "publish", "append", "sweep", "acquire", "renew", "holder"}
    assert all(error.args[0] in message for messages in told.values() for message in messages)
