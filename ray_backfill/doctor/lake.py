"""Every step of the lake's own protocol, on a scratch table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import obstore
import polars as pl
from obstore.store import from_url

from ray_backfill.doctor import clock, scratch
from ray_backfill.doctor.check import Check, UnfitError
from ray_backfill.doctor.scratch import DAYS, require
from ray_backfill.errors import BackfillError, LeaseHeldError
from ray_backfill.warehouse import objects as _objects
from ray_backfill.warehouse.lake.warehouse import Lake
from ray_backfill.warehouse.protocol import Lease, Staged

__all__ = ["LakeScratch", "checks", "removed"]

DATASET = "ray_backfill_doctor"
_FEW = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
_CREDENTIALS = (
    "Credentials come from the environment, such as AWS_ACCESS_KEY_ID, "
    "GOOGLE_APPLICATION_CREDENTIALS or AZURE_STORAGE_SAS_TOKEN; AWS_ENDPOINT_URL names another "
    "server."
)


class LakeScratch:
    """A scratch table of a lake, and what the steps before left for the next ones."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.name = scratch.new_name()
        self.table = scratch.table(f"{DATASET}.{self.name}")
        self.lease: Lease | None = None
        self.version = 0
        self._staged: list[Staged] = []
        self._absent = self._absent_folders()
        self.touched = False
        """Whether there may be anything to remove."""

    def _absent_folders(self) -> list[Path]:
        """The folders that are not there before the first step, the deepest first."""
        if not _objects.is_local(self.lake.uri):
            return []
        root = Path(self.lake.uri)
        house = root / _objects.HOUSE
        ours = [house / "leases", house / "doctor", house, root / DATASET, root]
        return [path for path in [*ours, *root.parents] if not path.exists()]

    @property
    def _held(self) -> Lease:
        assert self.lease is not None
        return self.lease

    def _read(self, *columns: str) -> pl.DataFrame:
        found = self.lake.read(self.table, columns or ["day", "value"])
        return cast(pl.DataFrame, pl.from_arrow(found))

    def _values(self) -> list[tuple[date, float]]:
        return scratch.values(self._read())

    # -- the steps -------------------------------------------------------------------------
    def reach(self) -> str:
        """Look at the root, with few attempts: nobody waits minutes for a URL that is wrong."""
        uri = self.lake.uri
        with _objects.translated(f"Listing {uri}"):
            if _objects.is_local(uri):
                if not Path(uri).exists():
                    return f"{uri} is not there yet: the first `load` makes it"
                count = len(os.listdir(uri))  # noqa: PTH208
                return f"{uri} holds {count:,} entries"
            store = from_url(uri, retry_config=_FEW)  # type: ignore[call-overload]
            listed = next(iter(obstore.list(store, chunk_size=1)), [])
        return f"{uri} answers" + ("" if listed else ", and is empty")

    def objects(self) -> str:
        """Write, read, list and delete; what must be made once is not made twice."""
        key, self.touched = f"doctor/{self.name}", True
        self.lake.put_object(key, b"1")
        self.lake.put_object(key, b"12")
        require("The object that was written", self.lake.get_object(key), b"12")
        require("Its listing", self.lake.list_objects(key), [key])
        with _objects.translated(f"Making {key} a second time"):
            path = _objects.object_key(key)
            twice = _objects.put(self.lake.uri, path, b"3", create=True)
        if twice:
            raise UnfitError(
                "An object was made a second time: two runs could hold one lease.",
                hint="The store must know conditional writes (If-None-Match), as S3, GCS and "
                "Azure do.",
            )
        self.lake.delete_object(key)
        require("The object that was deleted", self.lake.get_object(key), None)
        return "written, read, listed, deleted; not made twice"

    def clock(self) -> str:
        """Compare this clock with that of whoever keeps the files."""
        key = f"doctor/{self.name}"
        before = clock.now()
        self.lake.put_object(key, b"1")
        after = clock.now()
        with _objects.translated(f"Looking at {key}"):
            listed = _objects.list_meta(self.lake.uri, _objects.object_key("doctor"))
        self.lake.delete_object(key)
        (meta,) = [m for m in listed if str(m["path"]).endswith(self.name)]
        return clock.compared("that of the files", before, meta["last_modified"], after)

    def create(self) -> str:
        self.lake.ensure(self.table)
        require("A table that was just made", self.lake.exists(self.table.name), True)
        require("Its rows", self._values(), [])
        return f"{self.table.name}"

    def hold(self) -> str:
        """Take the lease, be refused as another run, renew it."""
        self.lease = self._acquire(self.name)
        try:
            self._acquire("another-doctor")
        except LeaseHeldError:
            pass
        else:
            raise UnfitError("Two runs hold one lease.")
        self.lease = self.lake.renew_lease(self._held, seconds=60)
        return "taken, refused to another run, renewed"

    def _acquire(self, run_id: str) -> Lease:
        return self.lake.acquire_lease(self.table, run_id, seconds=60, steal=False)

    def stage(self) -> str:
        self._staged = self._stage_rows([(day, 1.0) for day in DAYS])
        require("Rows that are staged alone", self._values(), [])
        return "three rows of three dates, which no reader sees"

    def _stage_rows(self, found: list[tuple[date, float]]) -> list[Staged]:
        frame = scratch.rows(self.table, self.name, found)
        return self.lake.stage(self.table, frame.to_arrow(), run_id=self.name, task="doctor")

    def publish(self) -> str:
        """Publish, then replace one date and remove another in one commit."""
        first = self.lake.publish(self.table, self._staged, remove=[], lease=self._held)
        require("What was published", self._values(), [(day, 1.0) for day in DAYS])
        self.version = int(first.version)
        again = self._stage_rows([(DAYS[1], 2.0)])
        self.lake.publish(self.table, again, remove=[DAYS[2]], lease=self._held)
        require("A replaced and a removed date", self._values(), [(DAYS[0], 1.0), (DAYS[1], 2.0)])
        return "three dates, then one replaced and one removed in one commit"

    def read(self) -> str:
        """Read some columns of some dates, and the partitions, as a plan does."""
        columns = ["place", "tags", "run_id"]
        found = self.lake.read(self.table, columns, [DAYS[0]]).to_pylist()
        row = {"place": "here", "tags": ["a", "b"], "run_id": self.name}
        require("A row that was read", found, [row])
        parts = [(p.day, p.rows) for p in self.lake.partitions(self.table)]
        require("The partitions", parts, [(DAYS[0], 1), (DAYS[1], 1)])
        return "columns and dates as they were published"

    def restore(self) -> str:
        versions = [entry.version for entry in self.lake.history(self.table.name)]
        self.lake.restore(self.table.name, self.version)
        require("What was restored", self._values(), [(day, 1.0) for day in DAYS])
        return f"version {self.version} of {len(versions)} is the newest again"

    def release(self) -> str:
        self.lake.release_lease(self._held)
        require("Who holds the lease", self.lake.lease_holder(self.table.name), None)
        return "the next run may begin"

    def marked(self) -> str:
        """Write an object that is removed with the rest; gives its key."""
        key, self.touched = f"doctor/{self.name}", True
        self.lake.put_object(key, b"1")
        return key

    def remove(self) -> str:
        """Delete all of this scratch table, and what doctors left that were killed."""
        with _objects.translated(f"Removing {self.table.name}"):
            ours = {self.name, *filter(scratch.is_left_over, self._made())}
            for name in ours:
                self._remove(name)
            left = [name for name in self._made() if name in ours]
        require("What is left", left, [])
        self._remove_folders()
        self.touched = False
        others = len(ours) - 1
        return "nothing is left" + (f", nor of {others} that were killed" if others else "")

    def _made(self) -> set[str]:
        """Names of the scratch tables that anything in the lake belongs to."""
        uri, leases = self.lake.uri, _objects.object_key("leases")
        tables = _objects.subfolders(uri, DATASET)
        held = [n.removeprefix(f"{DATASET}.") for n in _objects.subfolders(uri, leases)]
        objects = _objects.list_names(uri, _objects.object_key("doctor"))
        return {name for name in (*tables, *held, *objects) if scratch.is_name(name)}

    def _remove(self, name: str) -> None:
        uri = self.lake.uri
        beside = (_objects.object_key(f"{kind}/{DATASET}.{name}") for kind in ("leases", "loads"))
        for folder in (f"{DATASET}/{name}", *beside):
            for meta in _objects.list_meta(uri, folder):
                _objects.delete(uri, str(meta["path"]))
            if _objects.is_local(uri):  # an object store has no folders
                shutil.rmtree(f"{uri}/{_objects.inside(uri, folder)}", ignore_errors=True)
        _objects.delete(uri, _objects.object_key(f"doctor/{name}"))

    def _remove_folders(self) -> None:
        """The folders that were not there before, where nobody put anything in meanwhile."""
        if _objects.is_local(self.lake.uri):
            # Left by a doctor that was killed; no load makes a table in it.
            house = Path(self.lake.uri) / _objects.HOUSE
            gone = [Path(self.lake.uri) / DATASET, house / "doctor", house / "loads"]
            for path in dict.fromkeys([*gone, *self._absent]):
                with suppress(OSError):
                    path.rmdir()


@contextmanager
def removed(made: LakeScratch) -> Iterator[LakeScratch]:
    """The scratch table, which is gone when the block ends, however it ends."""
    try:
        yield made
    finally:
        if made.touched:
            with suppress(BackfillError, OSError):
                made.remove()


def checks(made: LakeScratch) -> list[Check]:
    """The steps of a lake in their order."""
    write = f"The right to read, write, list and delete below {made.lake.uri}."
    mend = f"Give this user that right. {_CREDENTIALS}"
    if _objects.is_local(made.lake.uri):
        mend = "Make this user the owner of the folder, or give another one with --warehouse."
    step = "The step before it shows what the lake can do; report this with the whole output."
    return [
        Check("lake", "the lake can be reached", made.reach, needs=write, mend=mend),
        Check(
            "objects",
            "small objects are written, and made once",
            made.objects,
            ("lake",),
            needs=write,
            mend=mend,
        ),
        Check(
            "clock",
            "the clocks agree",
            made.clock,
            ("objects",),
            needs="Clocks that are less than 10 s apart: leases run out by them.",
            mend=clock.MEND,
        ),
        Check("create", "a table is made", made.create, ("objects",), needs=write, mend=mend),
        Check("lease", "one run holds a table", made.hold, ("create",), needs=write, mend=mend),
        Check("stage", "rows are staged unseen", made.stage, ("create",), needs=write, mend=mend),
        Check(
            "publish",
            "exactly the dates of a commit are replaced",
            made.publish,
            ("lease", "stage"),
            needs=write,
            mend=mend,
        ),
        Check("read", "what was published is read", made.read, ("publish",), mend=step),
        Check("restore", "an old version is restored", made.restore, ("publish",), mend=step),
        Check("release", "the lease is given back", made.release, ("lease",), mend=mend),
        Check(
            "removed",
            "all of it is removed again",
            made.remove,
            ("lake",),
            needs=write,
            mend=f"Delete {DATASET}.{made.name}, which no other table needs. {mend}",
        ),
    ]
