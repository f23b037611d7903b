"""What BigQuery alone promises: addresses, types, streams, views, time travel, cost."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ray_backfill.engine.tidy import tidy
from ray_backfill.errors import DataError, UsageError, WarehouseError
from ray_backfill.job.calendar import DateRange
from ray_backfill.job.table import Kind
from ray_backfill.plan import Selection
from ray_backfill.record.journal import run_ids
from ray_backfill.warehouse import open_warehouse
from ray_backfill.warehouse.bigquery import catalogue as _bq_catalogue
from ray_backfill.warehouse.bigquery import cost as _bq_cost
from ray_backfill.warehouse.bigquery import errors as _bq_errors
from ray_backfill.warehouse.bigquery import jobs as _bq_jobs
from ray_backfill.warehouse.bigquery import publish as _bq_publish
from ray_backfill.warehouse.bigquery import read as _bq_read
from ray_backfill.warehouse.bigquery import schema as _bq_schema
from ray_backfill.warehouse.bigquery import settings as _bq_settings
from ray_backfill.warehouse.bigquery import stage as _bq_stage
from ray_backfill.warehouse.bigquery import tidy as _bq_tidy
from ray_backfill.warehouse.bigquery.cost import InputCost
from ray_backfill.warehouse.bigquery.warehouse import BigQuery
from ray_backfill.warehouse.protocol import Staged
from tests.bq.conftest import REAL, Place
from tests.bq.test_contract import lease_of, put, staged_rows
from tests.conftest import DAYS, sales
from tests.emulator import Emulator
from tests.lakes import EVERY, PLAIN, every, frame

emulator_only = pytest.mark.skipif(bool(REAL), reason="of the emulator")


def client(place: Place):
    return _bq_settings.clients(_bq_settings.parse(place.house.uri)).rest


def bq(place: Place) -> BigQuery:
    assert isinstance(place.house, BigQuery)
    return place.house


# -- addresses and settings ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("uri", "project", "location", "staging"),
    [
        ("bigquery://my-project", "my-project", "US", "ray_backfill"),
        ("bigquery://p?location=EU", "p", "EU", "ray_backfill"),
        ("bigquery://p?staging=tmp&location=europe-west1", "p", "europe-west1", "tmp"),
        ("bigquery://example.com:p-1/", "example.com:p-1", "US", "ray_backfill"),
    ],
)
def test_an_address_is_project_location_and_dataset(
    uri: str, project: str, location: str, staging: str
) -> None:
    """What the URL leaves out is usual; the address written again is the same one."""
    found = _bq_settings.parse(uri)
    assert (found.project, found.location, found.staging) == (project, location, staging)
    assert _bq_settings.parse(found.uri) == found


@pytest.mark.parametrize(
    "uri",
    [
        "bigquery://",
        "bigquery://p/dataset",
        "bigquery://p?region=EU",
        "bigquery://p?staging=a-b",
        "bigquery://[p",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(uri: str) -> None:
    """Exit 2 with the form that is meant."""
    with pytest.raises(UsageError, match="bigquery://PROJECT"):
        open_warehouse(uri)


@pytest.mark.parametrize(
    ("rest", "grpc"),
    [
        ("http://bigquery.example.com", "127.0.0.1:2"),
        ("http://127.0.0.1:1", "10.0.0.5:2"),
        ("http://127.0.0.1:1", ""),
        ("http://127.0.0.1.example.com:1", "127.0.0.1:2"),
        ("http://user@example.com:1", "localhost:2"),
        ("http://127.0.0.1:many", "127.0.0.1:2"),
        ("http://[::1", "127.0.0.1:2"),
        ("http://127.0.0.1:1", "127.0.0.1"),
    ],
)
def test_only_this_machine_is_talked_to_without_credentials(rest: str, grpc: str) -> None:
    """Anonymous credentials never go to another host; half of the settings is none."""
    with pytest.raises(UsageError, match="on this machine"):
        _bq_settings.local_settings({_bq_settings.REST: rest, _bq_settings.GRPC: grpc})
    assert _bq_settings.local_settings({}) is None


def test_without_credentials_the_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Application Default Credentials or nothing."""
    for name in (_bq_settings.REST, _bq_settings.GRPC):
        monkeypatch.delenv(name, raising=False)
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(**_: object) -> None:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(WarehouseError, match="gcloud auth application-default login"):
        open_warehouse("bigquery://nobody").exists("a.b")


def test_a_warehouse_crosses_processes(fresh: Place) -> None:
    """Pickled, it is its address."""
    again = pickle.loads(pickle.dumps(fresh.house))  # noqa: S301
    assert again.uri == fresh.house.uri


# -- types ---------------------------------------------------------------------------------------
def test_every_kind_of_column_comes_back_as_it_went(fresh: Place) -> None:
    """Edges of each kind and NULLs; an array is never NULL here: such a one comes back empty."""
    table = replace(EVERY, name=f"{fresh.dataset}.every")
    rows = every().with_columns(
        pl.col("texts").list.eval(pl.element().drop_nulls()),
        pl.when(pl.col("number").abs() != 0.0).then(pl.col("number")).alias("number"),
    )
    fresh.house.append(table, rows.to_arrow())
    names = [column.name for column in table.columns]
    found = pl.from_arrow(fresh.house.read(table, names))
    assert found.schema == table.schema()
    expected = rows.with_columns(pl.col("texts").fill_null(pl.lit([], dtype=pl.List(pl.String))))
    order = ["game_date", "whole"]
    assert found.sort(order).equals(expected.sort(order))


def test_a_null_inside_an_array_is_refused(fresh: Place) -> None:
    """BigQuery cannot store it; the column is named, and nothing was written."""
    table = replace(EVERY, name=f"{fresh.dataset}.every")
    with pytest.raises(DataError, match="texts has an array with a NULL"):
        fresh.house.append(table, every().to_arrow())


def test_a_table_without_dates_is_added_to_and_replaced_whole(fresh: Place) -> None:
    """Truncating the data leaves columns that the contract does not know."""
    table = replace(PLAIN, name=f"{fresh.dataset}.plain")
    fresh.house.append(table, frame(PLAIN, [("a", 1)]).to_arrow())
    fresh.house.append(table, frame(PLAIN, [("b", 2)]).to_arrow())
    assert [p.day for p in fresh.house.partitions(table)] == [None]
    assert fresh.house.read(table, ["code"]).num_rows == 2
    fresh.house.append(table, frame(PLAIN, [("c", 3)]).to_arrow(), replace_dates=True)
    assert fresh.house.read(table, ["code", "n"]).to_pylist() == [{"code": "c", "n": 3}]


@pytest.mark.parametrize(
    ("kind", "stored", "fits"),
    [
        (Kind.FLOAT, "INTEGER", True),
        (Kind.FLOAT, "NUMERIC", True),
        (Kind.TIMESTAMP, "DATETIME", True),
        (Kind.INT, "FLOAT", False),
        (Kind.DATE, "TIMESTAMP", False),
        (Kind.STRINGS, "STRING", False),
    ],
)
def test_stored_types_are_read_where_nothing_is_lost(kind: Kind, stored: str, fits: bool) -> None:
    """Whole numbers as floats, never the other way."""
    assert _bq_schema.readable(kind, stored) is fits


# -- the output table ----------------------------------------------------------------------------
def test_the_output_is_created_as_its_contract_says(bigquery: Place) -> None:
    """Partition, required filter, clusters, descriptions, labels; staging expires in a day."""
    table = replace(bigquery.job.table, cluster=("shop",))
    lease = bigquery.house.acquire_lease(table, "run-1", seconds=60, steal=False)
    staged_rows(bigquery, lease, DAYS[0])
    stored = client(bigquery).get_table(f"{client(bigquery).project}.{table.name}", retry=None)
    assert stored.time_partitioning.field == "day"
    assert stored.require_partition_filter
    assert stored.clustering_fields == ["shop"]
    assert stored.description == "Three-day means of sales."
    assert {f.name: f.description for f in stored.schema}["shop"] == "The shop."
    assert {f.name: f.mode for f in stored.schema}["mean"] == "NULLABLE"
    assert {f.name: f.mode for f in stored.schema}["shop"] == "REQUIRED"
    assert stored.labels["written_by"] == "ray-backfill"
    house = _bq_settings.parse(bigquery.house.uri)
    name = house.house(_bq_stage.staging_name(table.name, "run-1"))
    staging = client(bigquery).get_table(name, retry=None)
    assert staging.time_partitioning.field == "day"
    assert timedelta(hours=23) < staging.expires - datetime.now(UTC) <= timedelta(hours=24)


def test_labels_of_others_survive_the_lease(bigquery: Place) -> None:
    """Taking, renewing and releasing change the lease's own labels alone."""
    bigquery.house.ensure(bigquery.job.table)
    full = f"{client(bigquery).project}.{bigquery.job.table.name}"
    stored = client(bigquery).get_table(full, retry=None)
    stored.labels = {**stored.labels, "team": "data"}
    client(bigquery).update_table(stored, ["labels"], retry=None)
    lease = bigquery.house.renew_lease(lease_of(bigquery), seconds=60)
    bigquery.house.release_lease(lease)
    assert client(bigquery).get_table(full, retry=None).labels["team"] == "data"


def test_staged_rows_go_when_the_lease_is_released(bigquery: Place) -> None:
    """A run that ends leaves no staging table."""
    bigquery.ran()
    house = _bq_settings.parse(bigquery.house.uri)
    listed = client(bigquery).list_tables(f"{house.project}.{house.staging}", retry=None)
    assert [t.table_id for t in listed] == ["objects"]


def test_a_sweep_takes_staging_tables_of_ended_runs(bigquery: Place) -> None:
    """By age, and of the runs that are named."""
    lease = lease_of(bigquery, "dead")
    staged_rows(bigquery, lease, DAYS[0])
    table, later = bigquery.job.table, datetime.now(UTC) + timedelta(days=1)
    now = later - timedelta(days=2)
    assert bigquery.house.sweep(table, ended_runs=["dead"], older_than=now) == 0
    assert bigquery.house.sweep(table, ended_runs=["other"], older_than=later) == 0
    assert bigquery.house.sweep(table, ended_runs=["dead"], older_than=later) == 1


def test_tidying_takes_what_is_left_and_says_what_bigquery_does_itself(
    bigquery: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staging tables that are a day old, old journals and reports; the table stays as it is."""
    report = bigquery.ran()
    before = bigquery.content()
    staged_rows(bigquery, lease_of(bigquery, "dead"), DAYS[0])
    name, month = bigquery.job.table.name, timedelta(days=30)
    for n in range(12):
        run = f"202001{n + 1:02}T000000000-{n:06x}"
        bigquery.house.put_object(f"runs/{name}/{run}.ndjson", b"{}")
    young = tidy(bigquery.house, [name], keep=month, dry_run=True)
    assert young.tables[0].removed == 0, "a run may fill it still"
    monkeypatch.setattr(_bq_tidy, "_AGE", timedelta(days=-1))
    assert tidy(bigquery.house, [name], keep=month, dry_run=True).tables[0].removed == 1
    done = tidy(bigquery.house, [name], keep=month, dry_run=False)
    assert (done.tables[0].removed, done.tables[0].before, done.exit_code) == (1, None, 0)
    assert "BigQuery merges files" in done.tables[0].notes[0]
    assert tidy(bigquery.house, [name], keep=month, dry_run=True).tables[0].removed == 0
    assert (done.objects_before, done.objects_after) == (14, 11)
    left = run_ids(bigquery.again().house)
    assert (len(left), left[-1]) == (10, report.run_id)
    assert bigquery.content().equals(before)


# -- streams and statements ----------------------------------------------------------------------
def test_requests_stay_under_the_limit(bigquery: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large rows go in many requests; a row that fits in none is an error that says so."""
    lease = lease_of(bigquery)
    monkeypatch.setattr(_bq_stage, "REQUEST_BYTES", 2_000)
    staged = staged_rows(bigquery, lease, *DAYS)
    bigquery.house.publish(bigquery.job.table, staged, remove=[], lease=lease)
    assert bigquery.content().height == len(DAYS)
    monkeypatch.setattr(_bq_stage, "REQUEST_BYTES", 10)
    with pytest.raises(DataError, match="A row is larger"):
        staged_rows(bigquery, lease, DAYS[0])


def test_a_statement_names_tags_dates_and_columns(bigquery: Place) -> None:
    """What was quarantined, or staged by another attempt, cannot slip in."""
    days = (date(2025, 1, 1), date(2025, 1, 2))
    staged = [Staged(day, 1, 1, {"tag": f"t{n}", "stream": "s"}) for n, day in enumerate(days)]
    sql = _bq_publish.merge_sql("p.a.t", "p.b.s", bigquery.job.output, staged, [date(2025, 2, 1)])
    assert (
        "(ray_backfill_tag = 't0' AND day IN (DATE '2025-01-01')) OR "
        "(ray_backfill_tag = 't1' AND day IN (DATE '2025-01-02'))" in sql
    )
    assert "t.day IN (DATE '2025-01-01', DATE '2025-01-02', DATE '2025-02-01') THEN DELETE" in sql
    assert "INSERT (`day`, `shop`, `mean`)" in sql


def test_rows_that_were_not_counted_are_an_error(bigquery: Place) -> None:
    """More or fewer rows than the workers staged: nothing is silently accepted."""
    lease = lease_of(bigquery)
    staged = [replace(s, rows=2) for s in staged_rows(bigquery, lease, DAYS[0])]
    with pytest.raises(WarehouseError, match="wrote 1 rows where the workers had counted 2"):
        bigquery.house.publish(bigquery.job.table, staged, remove=[], lease=lease)


def test_a_failed_job_is_tried_again_under_another_id(
    bigquery: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own id is taken for good."""
    clients = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri))
    real = _bq_errors.is_transient
    monkeypatch.setattr(
        _bq_jobs, "is_transient", lambda e: "not found" in str(e).lower() or real(e)
    )
    with pytest.raises(WarehouseError, match="failed 7 times"):
        _bq_jobs.query(
            clients, "SELECT * FROM no.such", "Trying", job_id="mine", tally=bq(bigquery).tally
        )
    listed = [clients.rest.get_job(f"mine{tail}", retry=None) for tail in ("", "_1", "_6")]
    assert all(job.error_result for job in listed)


def test_planning_and_publishing_take_few_jobs_a_table_and_one_a_commit(bigquery: Place) -> None:
    """A table is listed before it is read, and again before what was read is kept; none to read
    an input, none for journals, leases and staging."""
    before = bq(bigquery).tally.jobs
    report = bigquery.ran(how=replace(bigquery.how, batch=100))
    commits = len(bigquery.house.history(bigquery.job.table.name))
    assert report.exit_code == 0
    listed = 2 + 1  # sales twice, and the output that is there
    assert bq(bigquery).tally.jobs - before == listed + commits


# -- partitions ----------------------------------------------------------------------------------
def test_metadata_is_trusted_until_rows_without_a_date_are_there(
    bigquery: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal tokens for what did not change; rows that were streamed just now make them all new."""
    local = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri))
    clients, tally = replace(local, local=False), bq(bigquery).tally
    one, other = (_bq_catalogue.partitions(clients, bigquery.sales, tally) for _ in range(2))
    assert [(p.day, p.rows) for p in one] == [(day, 5) for day in DAYS]
    assert one == other
    real = _bq_jobs.rows

    def streaming(clients: object, sql: str, doing: str, **more: object) -> list[object]:
        found = real(clients, sql, doing, **more)  # type: ignore[arg-type]
        unsorted = {"partition_id": "__UNPARTITIONED__", "total_rows": 3}
        return [*found, unsorted] if "INFORMATION_SCHEMA" in sql else found

    monkeypatch.setattr(_bq_jobs, "rows", streaming)
    one, other = (_bq_catalogue.partitions(clients, bigquery.sales, tally) for _ in range(2))
    assert [(p.day, p.rows) for p in one] == [(day, 5) for day in DAYS]
    assert not {p.token for p in one} & {p.token for p in other}


# -- views ---------------------------------------------------------------------------------------
def test_a_view_is_read_by_one_query(bigquery: Place) -> None:
    """The same rows; what it will cost is not known before."""
    from google.cloud.bigquery import Table

    full = f"{client(bigquery).project}.{bigquery.dataset}"
    view = Table(f"{full}.seen")
    view.view_query = f"SELECT * FROM `{full}.sales`"  # noqa: S608
    client(bigquery).create_table(view, retry=None)
    seen = replace(bigquery.sales, name=f"{bigquery.dataset}.seen")
    span, before = DateRange(DAYS[3], DAYS[9]), bq(bigquery).tally.jobs
    found, truth = (
        pl.from_arrow(bigquery.house.read(table, ["day", "shop", "amount"], span)).sort(
            "day", "shop"
        )
        for table in (seen, bigquery.sales)
    )
    assert found.equals(truth)
    assert bq(bigquery).tally.jobs == before + 1
    clients = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri))
    assert _bq_read.scan_bytes(clients, seen, ["day"], span) is None
    assert (_bq_read.scan_bytes(clients, bigquery.sales, ["day"], span) or 0) > 0


# -- time travel ---------------------------------------------------------------------------------
@pytest.fixture
def travelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A server that keeps tables as they were."""
    running = Emulator(tmp_path / "server", snapshots=True).start()
    for name, value in running.settings.items():
        monkeypatch.setenv(name, value)
    try:
        place = Place(open_warehouse("bigquery://past"), "shop")
        place.house.append(place.sales, sales().to_arrow())
        yield place
    finally:
        running.stop()


@emulator_only
def test_restoring_brings_back_the_dates_that_changed(server: Emulator, travelling: Place) -> None:
    """An old version is the newest again; the next run plans what is stale by it."""
    place = travelling
    place.ran()
    old = place.house.history(place.job.table.name)[0].version
    before = place.output()
    place.add((DAYS[20], "late", 1000))
    place.ran()
    assert place.content().height == len(before) + 1
    done = place.house.restore(place.job.table.name, old)
    touched = {DAYS[20] + timedelta(n) for n in range(3)} & set(DAYS)
    assert set(done.dates) == touched
    key = ["day", "shop"]
    assert place.output().sort(key).equals(before.sort(key))
    assert place.house.history(place.job.table.name)[0].operation == "restore"
    assert {d.day for d in place.planned().selected} == touched
    assert place.house.restore(place.job.table.name, int(done.version)).dates == ()


def test_what_is_not_kept_any_more_cannot_be_restored(bigquery: Place) -> None:
    """Older than BigQuery keeps, or in the future: refused, with what it keeps."""
    bigquery.house.ensure(bigquery.job.table)
    for version in (7, int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1000)):
        with pytest.raises(UsageError, match="as it was for 7 days"):
            bigquery.house.restore(bigquery.job.table.name, version)


# -- cost ----------------------------------------------------------------------------------------
def test_a_plan_has_a_cost(bigquery: Place) -> None:
    """Bytes of each input, of the statements, jobs and dollars; less for fewer dates."""
    whole, part = (
        bq(bigquery).cost(bigquery.job, bigquery.planned(selection=selection))
        for selection in (Selection(), Selection(start=DAYS[0], end=DAYS[5]))
    )
    (source,) = whole.inputs
    assert source.table == bigquery.sales.name
    assert whole.read_bytes == source.bytes > part.read_bytes > 0
    assert whole.jobs == 4  # two tables listed, two commits
    assert whole.dollars > part.dollars > 0
    assert bq(bigquery).billed()["jobs"] > 0


def test_a_cost_is_made_of_list_prices() -> None:
    """Ten megabytes a table at least, each kind of byte at its own price."""
    mib = 2**20
    prices = _bq_cost.Prices("2026-09", query_tib=1024.0**2, read_tib=1.0, write_gib=1024.0)
    found = _bq_cost.estimate(
        [InputCost("a", "x.a", 5 * mib), InputCost("v", "x.v", 0, by_query=True)],
        commits=[1, 30],
        listings=2,
        bytes_a_row=mib,
        at=prices,
    )
    assert found.merge_bytes == 2 * (10 + 30) * mib
    assert (found.staged_bytes, found.listing_bytes, found.jobs) == (31 * mib, 20 * mib, 5)
    assert found.dollars == pytest.approx(80 + 20 + 5 / 2**20 + 31)
    assert "v (x.v) is no plain table" in found.notes[0]


def test_prices_are_overridden_in_one_place() -> None:
    """As JSON in the environment; nonsense is refused with what can be given."""
    given = _bq_cost.prices({_bq_cost.VARIABLE: '{"query_tib": 5}'})
    assert (given.query_tib, given.read_tib) == (5.0, _bq_cost.PRICES.read_tib)
    for nonsense in (
        "5",
        '{"query": 5}',
        '{"query_tib": "much"}',
        "{",
        '{"query_tib": NaN}',
        '{"read_tib": -1}',
        '{"write_gib": Infinity}',
        '{"query_tib": true, "read_tib": null}',
    ):
        with pytest.raises(UsageError, match="query_tib"):
            _bq_cost.prices({_bq_cost.VARIABLE: nonsense})


# -- where the emulator is not BigQuery ----------------------------------------------------------
@emulator_only
class TestDifferencesOfTheEmulator:
    """Each thing that the project does otherwise on a local server, or cannot see there."""

    def test_partition_metadata_does_not_change_with_the_content(self, bigquery: Place) -> None:
        """So its tokens are new each time, and a plan always reads."""
        clients = _bq_settings.clients(_bq_settings.parse(bigquery.house.uri))
        bigquery.house.ensure(bigquery.job.table)
        lease = lease_of(bigquery)
        tokens = []
        for mean in (1.0, 2.0):
            put(bigquery, lease, DAYS[0], mean=mean)
            listed = _bq_catalogue._listed(clients, bigquery.job.table, bq(bigquery).tally)
            assert listed is not None
            assert [(p.day, p.rows) for p in listed] == [(DAYS[0], 1)]
            tokens.append(listed[0].token)
        assert tokens[0] == tokens[1]
        one, other = (bigquery.house.partitions(bigquery.job.table) for _ in range(2))
        assert one[0].token != other[0].token

    def test_statements_do_not_say_how_many_rows_they_inserted(self, bigquery: Place) -> None:
        """So what was published is counted in the table."""
        lease = lease_of(bigquery)
        put(bigquery, lease, DAYS[0])
        job_id = bigquery.house.history(bigquery.job.table.name)[0].detail["job"]
        job = client(bigquery).get_job(job_id, retry=None)
        assert job.dml_stats is None
        assert job.num_dml_affected_rows == 1

    def test_jobs_bill_nothing(self, bigquery: Place) -> None:
        """So the bill of a report is zero there, and only there."""
        bigquery.ran()
        assert bq(bigquery).billed()["bytes"] == 0

    def test_tables_have_no_size(self, bigquery: Place) -> None:
        """So the bytes of a row are judged by the contract."""
        full = f"{client(bigquery).project}.{bigquery.sales.name}"
        assert client(bigquery).get_table(full, retry=None).num_bytes == 0

    def test_a_partition_filter_is_not_required(self, bigquery: Place) -> None:
        """So only reading the code tells that every statement has one."""
        bigquery.ran()
        sql = f"SELECT COUNT(*) AS n FROM `{bigquery.job.table.name}`"  # noqa: S608
        (row,) = client(bigquery).query(sql, retry=None).result(retry=None)
        assert row["n"] == len(DAYS) * 5

    def test_a_change_of_rows_leaves_the_etag(self, bigquery: Place) -> None:
        """In BigQuery a statement changes it, and a renewal meanwhile reads the labels again."""
        lease = lease_of(bigquery)
        full = f"{client(bigquery).project}.{bigquery.job.table.name}"
        before = client(bigquery).get_table(full, retry=None).etag
        put(bigquery, lease, DAYS[0])
        assert client(bigquery).get_table(full, retry=None).etag == before

    def test_a_view_has_no_schema(self, bigquery: Place) -> None:
        """In BigQuery it has, and its columns are checked before it is asked."""
        from google.cloud.bigquery import Table

        full = f"{client(bigquery).project}.{bigquery.dataset}"
        view = Table(f"{full}.seen")
        view.view_query = f"SELECT * FROM `{full}.sales`"  # noqa: S608
        assert list(client(bigquery).create_table(view, retry=None).schema) == []
