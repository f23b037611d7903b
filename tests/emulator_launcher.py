"""bqemulator 1.4.0 + fixes needed for google-cloud-bigquery 3.47 writers. Pin bqemulator==1.4.0."""

from __future__ import annotations
import os, re, json, time, threading, contextlib, asyncio, datetime as dt

assert __import__("importlib.metadata").metadata.version("bqemulator") == "1.4.0"
import grpc, pyarrow as pa
from contextlib import asynccontextmanager
from bqemulator.storage import engine as E
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.domain.errors import (
    InvalidQueryError,
    AlreadyExistsError,
    ValidationError,
    ResourceRef,
    resource_already_exists,
    resource_not_found,
)
from bqemulator.versioning.snapshots import SnapshotManager
from bqemulator.domain.events import TableDataChanged
from bqemulator.api.routes import upload as U, jobs as J, tables as T, tabledata as TD
from bqemulator.jobs import executor as X
from bqemulator.catalog.models import JobMeta
from bqemulator.catalog.etag import generate_etag
from bqemulator.grpc_api import write_servicer as W, read_servicer as R
from bqemulator import server as S, api

# 1 -- spatial optional (no network) ------------------------------------------------------------
_orig_spatial = E.DuckDBEngine._load_spatial


def _spatial(self):
    try:
        _orig_spatial(self)
    except Exception:
        pass


if os.environ.get("BQP_SKIP_SPATIAL", "1") == "1":
    E.DuckDBEngine._load_spatial = lambda self: None
else:
    E.DuckDBEngine._load_spatial = _spatial

# 2 -- one DuckDB cursor per thread: no GIL <-> ClientContext deadlock, no shared result sets ----
_tl = threading.local()


def _conn(self):
    base = self._connection
    if base is None:
        raise E.InternalError("DuckDBEngine not started")
    if threading.current_thread() is threading.main_thread():
        return base
    cur = getattr(_tl, "cur", None)
    if cur is None or getattr(_tl, "base", None) is not base:
        cur = base.cursor()
        cur.execute("SET TimeZone='UTC'")
        _tl.cur, _tl.base = cur, base
    return cur


E.DuckDBEngine.connection = property(_conn)
_WL = threading.RLock()  # one writer at a time over REST (main thread) and gRPC (workers)


@asynccontextmanager
async def _write_lock(self):
    async with self._write_lock:
        with _WL:
            yield


E.DuckDBEngine.write_lock = _write_lock
_hi = W.BigQueryWriteHandler.__init__


def _whi(self, *a, **k):
    _hi(self, *a, **k)
    self._write_lock = _WL


W.BigQueryWriteHandler.__init__ = _whi

# 3 -- no full-table copy per write (BQP_SNAPSHOTS=1 restores time travel) -----------------------
if os.environ.get("BQP_SNAPSHOTS") != "1":

    def _rc(self, p, d, t):
        self._events.publish(TableDataChanged(p, d, t))

    SnapshotManager.record_change = _rc
    SnapshotManager.capture_orig = SnapshotManager.capture


# 4 -- multipart: raw split, any media type ------------------------------------------------------
def _multipart(ct, body):
    m = re.search(r'boundary="?([^";]+)"?', ct)
    if not m:
        raise InvalidQueryError("no boundary")
    b = b"--" + m.group(1).encode()
    parts = (
        body.split(b"\r\n" + b) if not body.startswith(b) else (b"\r\n" + body).split(b"\r\n" + b)
    )
    parts = [p for p in parts[1:] if not p.startswith(b"--")]
    if len(parts) != 2:
        raise InvalidQueryError(f"multipart upload requires exactly 2 parts; got {len(parts)}")
    pl = [p.lstrip(b"\r\n") if i == 0 else p[2:] for i, p in enumerate(parts)]
    env = json.loads(pl[0].split(b"\r\n\r\n", 1)[1])
    media = pl[1].split(b"\r\n\r\n", 1)[1]
    return env, media


U._parse_multipart_related = _multipart

# 5 -- client-supplied job ids on uploads; 409 for a known id (all job kinds, in the middleware) --
_orig_lc = U._load_configuration_from_envelope


def _lc(env):
    c = dict(_orig_lc(env))
    c["__ref"] = env.get("jobReference") or {}
    return c


U._load_configuration_from_envelope = _lc


async def _run_load(*, project_id, configuration, media_path, ctx):
    configuration = dict(configuration)
    ref = configuration.pop("__ref", {})
    job_id = ref.get("jobId") or U._new_job_id()
    if ctx.catalog.get_job(project_id, job_id) is not None:
        raise AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
    cfg = {
        **configuration,
        "load": {**configuration["load"], "sourceUris": [f"file://{media_path}"]},
    }
    meta = await _load_meta(project_id, job_id, cfg, ctx)
    meta.configuration["load"].pop("sourceUris", None)
    ctx.catalog.upsert_job(meta)
    return job_id, meta


U._run_load = _run_load


async def _load_meta(project_id, job_id, cfg, ctx):
    try:
        return await execute_load_job(project_id, job_id, cfg, ctx)
    except Exception as exc:
        r = getattr(exc, "bq_reason", None) or "invalid"
        return J._failed_job_meta(
            project_id=project_id,
            job_id=job_id,
            job_type="LOAD",
            config=cfg,
            now=ctx.clock.now(),
            error_result={
                "reason": r,
                "message": getattr(exc, "message", None)
                or f"Error while reading data, error message: {exc}",
            },
        )


_orig_bjr = U._build_job_response


def _bjr(p, j, m, c):
    out = J._build_job_response(p, j, m, c)
    return out


U._build_job_response = _bjr
J._handle_load_job_with_async_envelope = _load_meta

# 6 -- load: by name, atomic, partition decorator, schema updates, create-if-needed --------------
_FMT = {8: "%Y%m%d", 6: "%Y%m", 4: "%Y", 10: "%Y%m%d%H"}


def split_dec(t):
    return t.split("$", 1) if "$" in t else (t, None)


def part_pred(meta, dec):
    tp = meta.time_partitioning
    if tp is None:
        raise InvalidQueryError(
            f"Table {meta.table_id} is not partitioned; cannot use decorator ${dec}"
        )
    if not tp.field:
        raise InvalidQueryError("ingestion-time partitions are not supported")
    want = {"HOUR": 10, "DAY": 8, "MONTH": 6, "YEAR": 4}[tp.type]
    if not dec.isdigit() or len(dec) != want:
        raise InvalidQueryError(f"Invalid partition ID {dec!r}")
    return f"""strftime("{tp.field}", '{_FMT[want]}') = '{dec}'""", tp.field


_ARROW2BQ = X._arrow_type_to_bq_type


def fields_from_arrow(schema):
    out = []
    for f in schema:
        e = X._arrow_field_to_schema_entry(f)
        out.append(e)
    return out


def _read_source(path, fmt, ctx, names=None):
    c = ctx.engine.connection
    q = path.replace("'", "''")
    if fmt == "PARQUET":
        return f"read_parquet('{q}')"
    if fmt in ("NEWLINE_DELIMITED_JSON", "JSON"):
        return f"read_json_auto('{q}', format='newline_delimited')"
    if fmt == "CSV":
        return f"read_csv_auto('{q}', header=true)"
    raise InvalidQueryError(f"Unsupported source format {fmt}")


def _cols(ctx, src):
    return [(r[0], r[1]) for r in ctx.engine.execute(f"DESCRIBE SELECT * FROM {src}").fetchall()]


def _write_rows(ctx, p, d, t, dec, src_cols, src_sql, disp, opts, stats):
    """inside the write lock: one DuckDB transaction = truncate(+partition) + insert by name"""
    meta = ctx.catalog.get_table(p, d, t)
    ref = quoted_table_ref(p, d, t)
    tcols = {f.name.lower(): f for f in meta.schema_.fields}
    extra = [c for c in src_cols if c[0].lower() not in tcols]
    pred = part_pred(meta, dec) if dec else None
    if extra and not ("ALLOW_FIELD_ADDITION" in opts or (disp == "WRITE_TRUNCATE" and not dec)):
        raise InvalidQueryError(
            f"Provided Schema does not match Table {p}:{d}.{t}. Cannot add fields (field: {extra[0][0]})"
        )
    con = ctx.engine.connection
    con.execute("BEGIN")
    try:
        for name, typ in extra:
            con.execute(f'ALTER TABLE {ref} ADD COLUMN "{name}" {typ}')
        if disp == "WRITE_EMPTY":
            w = f" WHERE {pred[0]}" if pred else ""
            if con.execute(f"SELECT COUNT(*) FROM {ref}{w}").fetchone()[0]:
                raise AlreadyExistsError(f"Already Exists: Table {p}:{d}.{t}")
        if disp in ("WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA"):
            con.execute(f"DELETE FROM {ref}" + (f" WHERE {pred[0]}" if pred else ""))
        if pred:
            bad = con.execute(
                f"SELECT COUNT(*) FROM ({src_sql}) WHERE NOT coalesce({pred[0]}, false)"
            ).fetchone()[0]
            if bad:
                raise InvalidQueryError(
                    f"Some rows belong to different partitions rather than destination partition {dec}"
                )
        req = [f.name for f in meta.schema_.fields if f.mode == "REQUIRED"]
        have = {c[0].lower() for c in src_cols}
        for r in req:
            if r.lower() not in have:
                raise InvalidQueryError(f"Missing required field: {r}")
            if con.execute(f'SELECT COUNT(*) FROM ({src_sql}) WHERE "{r}" IS NULL').fetchone()[0]:
                raise InvalidQueryError(f"Required field {r} cannot be null")
        names = ", ".join(f'"{c[0]}"' for c in src_cols)
        n = con.execute(f"INSERT INTO {ref} ({names}) SELECT {names} FROM ({src_sql})").fetchone()[
            0
        ]
        con.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(Exception):
            con.execute("ROLLBACK")
        raise
    if extra:
        sync_schema(ctx, p, d, t)
    total = con.execute(f"SELECT COUNT(*) FROM {ref}").fetchone()[0]
    meta = ctx.catalog.get_table(p, d, t)
    ctx.catalog.update_table(
        meta.model_copy(update={"num_rows": total, "last_modified_time": ctx.clock.now()})
    )
    ctx.snapshots.record_change(p, d, t)
    return n


def sync_schema(ctx, p, d, t):
    """append columns that exist in DuckDB but not in the catalog (ALTER TABLE / field addition)"""
    meta = ctx.catalog.get_table(p, d, t)
    ref = quoted_table_ref(p, d, t)
    tab = ctx.engine.fetch_arrow(f"SELECT * FROM {ref} LIMIT 0")
    ents = {e["name"]: e for e in fields_from_arrow(tab.schema)}
    old = {f.name: f for f in meta.schema_.fields}
    fields = tuple(old[n] if n in old else T._parse_schema_fields([e])[0] for n, e in ents.items())
    ctx.catalog.update_table(
        meta.model_copy(
            update={
                "schema_": type(meta.schema_)(fields=fields),
                "etag": generate_etag(p, d, t, str(ctx.clock.now())),
            }
        )
    )


async def execute_load_job(project_id, job_id, config, ctx):
    now = ctx.clock.now()
    lc = config["load"]
    dst = lc["destinationTable"]
    p, d = dst.get("projectId", project_id), dst["datasetId"]
    t, dec = split_dec(dst["tableId"])
    fmt = lc.get("sourceFormat", "CSV").upper()
    disp = lc.get("writeDisposition", "WRITE_APPEND")
    opts = set(lc.get("schemaUpdateOptions") or [])
    paths = [X._resolve_uri(u, ctx) for u in lc.get("sourceUris", [])]
    nbytes = sum(os.path.getsize(x) for x in paths)
    async with ctx.engine.write_lock():
        if ctx.catalog.get_table(p, d, t) is None:
            if lc.get("createDisposition") == "CREATE_NEVER" or dec:
                raise resource_not_found(ResourceRef("table", p, d, t))
            if ctx.catalog.get_dataset(p, d) is None:
                raise resource_not_found(ResourceRef("dataset", p, d))
            fields = (lc.get("schema") or {}).get("fields")
            if not fields:
                tab = ctx.engine.fetch_arrow(
                    f"SELECT * FROM {_read_source(paths[0], fmt, ctx)} LIMIT 0"
                )
                fields = fields_from_arrow(tab.schema)
            body = {
                "tableReference": {"projectId": p, "datasetId": d, "tableId": t},
                "schema": {"fields": fields},
            }
            for k in ("timePartitioning", "clustering"):
                if lc.get(k):
                    body[k] = lc[k]
            from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

            meta = T._rest_to_table_meta(p, d, body, ctx.clock)
            cols = bq_schema_to_duckdb_columns([T._field_to_rest(f) for f in meta.schema_.fields])
            ctx.engine.execute(
                f"CREATE TABLE {quoted_table_ref(p, d, t)} ("
                + ", ".join(f'"{n}" {y}' for n, y in cols)
                + ")"
            )
            ctx.catalog.create_table(meta)
        rows = 0
        for i, path in enumerate(paths):
            src = _read_source(path, fmt, ctx)
            rows += _write_rows(
                ctx,
                p,
                d,
                t,
                dec,
                _cols(ctx, src),
                f"SELECT * FROM {src}",
                disp if i == 0 else "WRITE_APPEND",
                opts,
                None,
            )
    return JobMeta(
        project_id=project_id,
        job_id=job_id,
        job_type="LOAD",
        state="DONE",
        configuration=config,
        statistics={
            "load": {
                "outputRows": str(rows),
                "inputFiles": str(len(paths)),
                "inputFileBytes": str(nbytes),
                "outputBytes": str(nbytes),
            }
        },
        creation_time=now,
        start_time=now,
        end_time=ctx.clock.now(),
        etag=generate_etag(project_id, job_id, str(now)),
    )


# 7 -- copy: decorators on both sides, several sources, atomic ------------------------------------
_orig_copy = J.execute_copy_job


async def execute_copy_job(project_id, job_id, config, ctx):
    cc = config["copy"]
    srcs = cc.get("sourceTables") or [cc["sourceTable"]]
    dst = cc["destinationTable"]
    t, dec = split_dec(dst["tableId"])
    if (cc.get("operationType") or "COPY") != "COPY":
        return await _orig_copy(project_id, job_id, config, ctx)
    now = ctx.clock.now()
    p, d = dst.get("projectId", project_id), dst["datasetId"]
    parts = []
    cols = None
    first = None
    for s in srcs:
        st, sd = split_dec(s["tableId"])
        sp = s.get("projectId", project_id)
        m = ctx.catalog.get_table(sp, s["datasetId"], st)
        if m is None:
            raise resource_not_found(ResourceRef("table", sp, s["datasetId"], st))
        first = first or m
        parts.append(
            f"SELECT * FROM {quoted_table_ref(sp, s['datasetId'], st)}"
            + (f" WHERE {part_pred(m, sd)[0]}" if sd else "")
        )
    src = " UNION ALL BY NAME ".join(parts)
    async with ctx.engine.write_lock():
        if ctx.catalog.get_table(p, d, t) is None:
            if dec or cc.get("createDisposition") == "CREATE_NEVER":
                raise resource_not_found(ResourceRef("table", p, d, t))
            X._create_copy_destination(
                src_meta=first,
                src_ref=f"({src} LIMIT 0)",
                dst_proj=p,
                dst_ds=d,
                dst_table_id=t,
                dst_ref=quoted_table_ref(p, d, t),
                ctx=ctx,
            )
        n = _write_rows(
            ctx,
            p,
            d,
            t,
            dec,
            [(r[0], r[1]) for r in ctx.engine.execute(f"DESCRIBE {src}").fetchall()],
            src,
            cc.get("writeDisposition", "WRITE_EMPTY"),
            set(),
            None,
        )
    return JobMeta(
        project_id=project_id,
        job_id=job_id,
        job_type="COPY",
        state="DONE",
        configuration=config,
        statistics={"copy": {"copiedRows": str(n)}},
        creation_time=now,
        start_time=now,
        end_time=ctx.clock.now(),
        etag=generate_etag(project_id, job_id, str(now)),
    )


async def _copy_env(project_id, job_id, config, ctx):
    try:
        return await execute_copy_job(project_id, job_id, config, ctx)
    except Exception as exc:
        return J._failed_job_meta(
            project_id=project_id,
            job_id=job_id,
            job_type="COPY",
            config=config,
            now=ctx.clock.now(),
            error_result={
                "reason": getattr(exc, "bq_reason", None) or "invalid",
                "message": getattr(exc, "message", None) or str(exc),
            },
        )


J.execute_copy_job = _copy_env

# 8 -- query destination really written ------------------------------------------------------------
_orig_eq = J._execute_query_or_failed_meta


async def _eq(*, project_id, job_id, bq_sql, query_params, query_config, config, ctx, caller):
    dst = query_config.get("destinationTable")
    disp = query_config.get("writeDisposition") or "WRITE_EMPTY"
    if not dst or dst.get("datasetId", "").startswith("_"):
        return await _orig_eq(
            project_id=project_id,
            job_id=job_id,
            bq_sql=bq_sql,
            query_params=query_params,
            query_config=query_config,
            config=config,
            ctx=ctx,
            caller=caller,
        )
    qc = {k: v for k, v in query_config.items() if k != "writeDisposition"}
    meta = await _orig_eq(
        project_id=project_id,
        job_id=job_id,
        bq_sql=bq_sql,
        query_params=query_params,
        query_config=qc,
        config=config,
        ctx=ctx,
        caller=caller,
    )
    if meta.error_result:
        return meta
    p, d = dst.get("projectId", project_id), dst["datasetId"]
    t, dec = split_dec(dst["tableId"])
    tab = X.JOB_RESULTS.get(job_id)
    try:
        async with ctx.engine.write_lock():
            con = ctx.engine.connection
            nm = f"__bqemu_q{abs(hash(job_id))}"
            con.register(nm, tab)
            try:
                if ctx.catalog.get_table(p, d, t) is None:
                    from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

                    body = {
                        "tableReference": {"projectId": p, "datasetId": d, "tableId": t},
                        "schema": {"fields": X.JOB_SCHEMAS.get(job_id, [])},
                    }
                    for k in ("timePartitioning", "clustering"):
                        if query_config.get(k):
                            body[k] = query_config[k]
                    m = T._rest_to_table_meta(p, d, body, ctx.clock)
                    cols = bq_schema_to_duckdb_columns(
                        [T._field_to_rest(f) for f in m.schema_.fields]
                    )
                    con.execute(
                        f"CREATE TABLE {quoted_table_ref(p, d, t)} ("
                        + ", ".join(f'"{n}" {y}' for n, y in cols)
                        + ")"
                    )
                    ctx.catalog.create_table(m)
                _write_rows(
                    ctx,
                    p,
                    d,
                    t,
                    dec,
                    [(r[0], r[1]) for r in con.execute(f"DESCRIBE SELECT * FROM {nm}").fetchall()],
                    f"SELECT * FROM {nm}",
                    disp,
                    set(query_config.get("schemaUpdateOptions") or []),
                    None,
                )
            finally:
                con.unregister(nm)
    except Exception as exc:
        return J._failed_job_meta(
            project_id=project_id,
            job_id=job_id,
            job_type="QUERY",
            config=config,
            now=ctx.clock.now(),
            error_result={
                "reason": getattr(exc, "bq_reason", None) or "invalid",
                "message": getattr(exc, "message", None) or str(exc),
            },
        )
    return meta


J._execute_query_or_failed_meta = _eq

# 9 -- write API: STRUCT schemas, empty write_stream, parent/_default, extra/missing fields ----------
W._table_arrow_schema = lambda m: TD._build_arrow_schema(
    TD._fields_raw_from_schema(m.schema_.fields)
)
_ob = W.BigQueryWriteHandler._ensure_stream_bound


def _bind(self, name, bound, context):
    if not name and bound is not None:
        return bound
    if name.endswith("/_default") and "/streams/" not in name:
        name = name[:-9] + "/streams/_default"
    return _ob(self, name, bound, context)


W.BigQueryWriteHandler._ensure_stream_bound = _bind


def _cast(col, ty):
    try:
        return col.cast(ty)
    except pa.ArrowNotImplementedError:
        return pa.chunked_array([pa.array(col.to_pylist(), ty)], ty)


def _align(table, target):
    names = set(target.names)
    ex = [n for n in table.column_names if n not in names]
    if ex:
        raise ValueError(
            f"Input schema has more fields than BigQuery schema, extra fields: '{','.join(ex)}'"
        )
    arrs = []
    for f in target:
        if f.name in table.column_names:
            c = table.column(f.name)
            c = c if c.type == f.type else _cast(c, f.type)
            if not f.nullable and c.null_count:
                raise ValueError(f"Field {f.name} is REQUIRED but has null value")
            arrs.append(c)
        else:
            if not f.nullable:
                raise ValueError(f"Missing required field: {f.name}")
            arrs.append(pa.nulls(table.num_rows, f.type))
    return pa.Table.from_arrays(arrs, schema=target)


W._align_to_target = _align

# 10 -- read API: results of queries, offsets ------------------------------------------------------
_ocs = R.BigQueryReadHandler._handle_create_read_session


def _crs(self, rb, context):
    from google.cloud.bigquery_storage_v1 import types

    req = types.CreateReadSessionRequest.deserialize(rb)
    pr = R._parse_table_path(req.read_session.table)
    if pr and pr[1] == X._ANONYMOUS_RESULTS_DATASET:
        job = next((j for j in X.JOB_RESULTS if "anon" + j.replace("-", "") == pr[2]), None)
        if job:
            con = self._ctx.engine.connection
            nm = "__bqemu_r" + pr[2]
            with _WL:
                con.execute(f'CREATE SCHEMA IF NOT EXISTS "{pr[0]}__{pr[1]}"')
                con.register(nm, X.JOB_RESULTS[job])
                con.execute(
                    f"CREATE OR REPLACE TABLE {quoted_table_ref(*pr)} AS SELECT * FROM {nm}"
                )
                con.unregister(nm)
    return _ocs(self, rb, context)


R.BigQueryReadHandler._handle_create_read_session = _crs
_orr = R.BigQueryReadHandler._handle_read_rows


def _rr(self, rb, context):
    from google.cloud.bigquery_storage_v1 import types

    off = types.ReadRowsRequest.deserialize(rb).offset
    if not off:
        yield from _orr(self, rb, context)
        return
    skip = off
    sch = None
    for raw in _orr(self, rb, context):
        r = types.ReadRowsResponse.deserialize(raw)
        if r.row_count <= skip:
            skip -= r.row_count
            continue
        if skip:
            if sch is None:
                sch = pa.ipc.read_schema(pa.py_buffer(_schema_of(self, rb)))
            b = pa.ipc.read_record_batch(
                pa.py_buffer(r.arrow_record_batch.serialized_record_batch), sch
            ).slice(skip)
            r.arrow_record_batch.serialized_record_batch = b.serialize().to_pybytes()
            r.row_count = b.num_rows
            skip = 0
            yield types.ReadRowsResponse.serialize(r)
            continue
        yield raw


def _schema_of(self, rb):
    from google.cloud.bigquery_storage_v1 import types
    from bqemulator.streaming import read_session as RS

    name = types.ReadRowsRequest.deserialize(rb).read_stream.split("/streams/")[0]
    for o in vars(RS).values():
        if isinstance(o, dict) and name in o:
            return o[name].arrow_schema_bytes
    return RS.get_session(name).arrow_schema_bytes


R.BigQueryReadHandler._handle_read_rows = _rr

# 11 -- table resource: keep requirePartitionFilter, expirationTime, tableConstraints; PATCH adds columns; etag 412
_extra = {}
_ortm, _ottr = T._rest_to_table_meta, T._table_to_rest


def _rtm(p, d, body, clock, existing=None):
    m = _ortm(p, d, body, clock, existing)
    k = (m.project_id, m.dataset_id, m.table_id)
    ex = _extra.setdefault(k, {}) if existing else {}
    for f in ("requirePartitionFilter", "expirationTime", "tableConstraints"):
        if f in body:
            ex[f] = body[f]
    _extra[k] = ex
    return m


def _ttr(t):
    b = _ottr(t)
    b.update(
        {
            k: v
            for k, v in _extra.get((t.project_id, t.dataset_id, t.table_id), {}).items()
            if v is not None
        }
    )
    return b


T._rest_to_table_meta, T._table_to_rest = _rtm, _ttr

# 12 -- middleware: 409 for a known job id, faults, add-column on PATCH/PUT -------------------------
REQUESTS = []  # {"kind": query|load|copy|other, "id": job id, "sql": statement}
FAULTS = []  # {"match": regex on "METHOD path?query", "status": 503, "reason": "backendError", "count": 2, "delay": 0, "after": false}


def note(b, is_job):
    if not is_job:
        return
    try:
        js = json.loads(b) if b[:1] == b"{" else {}
    except ValueError:
        js = {}
    c = js.get("configuration") or {}
    kind = "query" if "query" in c or "query" in js else "copy" if "copy" in c else "load"
    sql = (c.get("query") or {}).get("query") or (
        js.get("query") if isinstance(js.get("query"), str) else ""
    )
    REQUESTS.append(
        {
            "kind": kind,
            "id": (js.get("jobReference") or {}).get("jobId") or js.get("requestId") or "",
            "sql": sql,
        }
    )


class Plus:
    def __init__(self, app, ctx):
        self.app, self.ctx = app, ctx

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"]
        q = scope.get("query_string", b"").decode()
        key = f"{scope['method']} {path}?{q}"

        async def body():
            b = b""
            while True:
                m = await receive()
                if m["type"] != "http.request":
                    return b
                b += m.get("body", b"")
                if not m.get("more_body"):
                    return b

        async def reply(status, obj):
            data = json.dumps(obj).encode()
            await send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": [
                        (b"content-type", b"application/json"),
                        (b"content-length", str(len(data)).encode()),
                    ],
                }
            )
            await send({"type": "http.response.body", "body": data})

        def err(code, reason, msg):
            return {
                "error": {
                    "code": code,
                    "message": msg,
                    "status": reason,
                    "errors": [{"domain": "global", "reason": reason, "message": msg}],
                }
            }

        if path == "/__faults":
            b = await body()
            if scope["method"] == "POST":
                FAULTS.append(json.loads(b))
            elif scope["method"] == "DELETE":
                FAULTS.clear()
            return await reply(200, FAULTS)
        if path == "/__requests":
            if scope["method"] == "DELETE":
                REQUESTS.clear()
            return await reply(200, REQUESTS)
        for f in list(FAULTS):
            if f.get("rpc") or f.get("count", 1) <= 0 or not re.search(f["match"], key):
                continue
            f["count"] = f.get("count", 1) - 1
            if f.get("delay"):
                await asyncio.sleep(f["delay"])
            if f.get("status"):
                if f.get("after"):  # do the work, then lose the answer

                    async def drop(m):
                        pass

                    await self.app(scope, receive, drop)
                else:
                    await body()
                return await reply(
                    f["status"],
                    err(
                        f["status"],
                        f.get("reason", "backendError"),
                        f.get("message", "injected fault"),
                    ),
                )
        m = re.fullmatch(r"/bigquery/v2/projects/([^/]+)/jobs", path)
        mu = re.fullmatch(r"/upload/bigquery/v2/projects/([^/]+)/jobs", path)
        mt = re.fullmatch(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/$]+)", path)
        mq = re.fullmatch(r"/bigquery/v2/projects/([^/]+)/queries", path)
        if scope["method"] in ("POST", "PATCH", "PUT") and (
            m or mt or mq or (mu and scope["method"] == "POST")
        ):
            b = await body()
            sent = False
            note(b, bool(m or mu or mq))

            async def receive2():
                nonlocal sent
                if not sent:
                    sent = True
                    return {"type": "http.request", "body": b, "more_body": False}
                return await receive()

            with contextlib.suppress(ValueError, UnicodeDecodeError):
                js = json.loads(b) if b[:1] == b"{" else {}
                jid = (js.get("jobReference") or {}).get("jobId")
                if (
                    jid
                    and (m or mu)
                    and self.ctx.catalog.get_job((m or mu).group(1), jid) is not None
                ):
                    return await reply(
                        409,
                        err(409, "duplicate", f"Already Exists: Job {(m or mu).group(1)}:US.{jid}"),
                    )
                if mt and (meta := self.ctx.catalog.get_table(*mt.groups())):
                    h = dict(scope["headers"]).get(b"if-match")
                    if h and h.decode() != meta.etag:
                        return await reply(
                            412, err(412, "conditionNotMet", "Precondition check failed.")
                        )
                    old = {f.name for f in meta.schema_.fields}
                    new = [
                        f
                        for f in (js.get("schema") or {}).get("fields", [])
                        if f["name"] not in old
                    ]
                    if new:
                        from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

                        for n, y in bq_schema_to_duckdb_columns(
                            [T._field_to_rest(x) for x in T._parse_schema_fields(new)]
                        ):
                            self.ctx.engine.execute(
                                f'ALTER TABLE {quoted_table_ref(*mt.groups())} ADD COLUMN IF NOT EXISTS "{n}" {y}'
                            )
            return await self.app(scope, receive2, send)
        return await self.app(scope, receive, send)


_oca = S.create_app


def _create_app(ctx):
    app = _oca(ctx)
    app.add_middleware(Plus, ctx=ctx)
    return app


S.create_app = _create_app


# 13 -- gRPC faults: {"rpc": "AppendRows", "code": "UNAVAILABLE", "count": 1, "at": n-th request}
def _take(rpc):
    for f in FAULTS:
        if f.get("rpc") == rpc and f.get("count", 1) > 0:
            if f.get("skip", 0) > 0:
                f["skip"] -= 1
                continue
            f["count"] = f.get("count", 1) - 1
            return f


_oar = W.BigQueryWriteHandler._handle_append_rows


def _ar(self, it, context):
    after = []

    def gen():
        for x in it:
            f = _take("AppendRows")
            if f:
                if f.get("after"):
                    after.append(f)
                    yield x
                    continue
                context.set_code(getattr(grpc.StatusCode, f["code"]))
                context.set_details(f.get("message", "injected fault"))
                after.append(None)
                return
            yield x

    for resp in _oar(self, gen(), context):
        if after and after[-1]:
            f = after.pop()
            context.set_code(getattr(grpc.StatusCode, f["code"]))
            context.set_details("injected fault (rows were written)")
            return
        yield resp


W.BigQueryWriteHandler._handle_append_rows = _ar


def _unary(name, attr):
    o = getattr(W.BigQueryWriteHandler, attr)

    def f(self, rb, context):
        x = _take(name)
        if x and not x.get("after"):
            context.set_code(getattr(grpc.StatusCode, x["code"]))
            context.set_details("injected fault")
            return b""
        r = o(self, rb, context)
        if x:
            context.set_code(getattr(grpc.StatusCode, x["code"]))
            context.set_details("injected fault (after)")
            return b""
        return r

    setattr(W.BigQueryWriteHandler, attr, f)


for n, a in (
    ("CreateWriteStream", "_handle_create_write_stream"),
    ("FinalizeWriteStream", "_handle_finalize_write_stream"),
    ("BatchCommitWriteStreams", "_handle_batch_commit_write_streams"),
):
    _unary(n, a)
# 14 -- batch commit of all streams in one DuckDB transaction
_obc = W.BigQueryWriteHandler._handle_batch_commit_write_streams


def _bc(self, rb, context):
    from google.cloud.bigquery_storage_v1 import types
    code = types.StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
    names = types.BatchCommitWriteStreamsRequest.deserialize(rb).write_streams
    known = [s for s in map(self._manager.get, names) if s is not None]
    done = [s.name for s in known if s.state is W.WriteStreamState.COMMITTED]
    if done:
        errors = [types.StorageError(code=code, entity=n, error_message=f"Stream is already committed: {n}") for n in done]
        return types.BatchCommitWriteStreamsResponse.serialize(types.BatchCommitWriteStreamsResponse(stream_errors=errors))
    with _WL:
        con = self._ctx.engine.connection
        con.execute("BEGIN")
        try:
            r = _obc(self, rb, context)
            con.execute("COMMIT")
            return r
        except BaseException:
            with contextlib.suppress(Exception):
                con.execute("ROLLBACK")
            raise


W.BigQueryWriteHandler._handle_batch_commit_write_streams = _bc

if __name__ == "__main__":
    import faulthandler, signal
    from concurrent.futures import ThreadPoolExecutor

    _run = S.EmulatorServer._run_forever_async

    async def _run2(self):
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(64)
        )  # 6 threads would be starved by 8 open AppendRows
        await _run(self)
        os._exit(0)  # never hang on blocked stream threads

    S.EmulatorServer._run_forever_async = _run2
    from bqemulator.cli import main

    main()
