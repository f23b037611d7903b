"""Load jobs of Parquet: under the caller's id, by column name, in one transaction."""

# ruff: noqa: S608 - names are quoted, and the server is the tests' own

from __future__ import annotations

import json
import os
import re
from typing import Any

from bqemulator.api.routes import jobs, upload
from bqemulator.catalog.etag import generate_etag
from bqemulator.catalog.models import JobMeta
from bqemulator.domain.errors import (
    AlreadyExistsError,
    InvalidQueryError,
    ResourceRef,
    resource_not_found,
)
from bqemulator.storage.sql_identifiers import quoted_table_ref

_REFERENCE = "__reference"


def mend() -> None:
    upload._parse_multipart_related = _parts
    upload._load_configuration_from_envelope = _with_reference(
        upload._load_configuration_from_envelope
    )
    upload._run_load = _run
    # The uploads' own answer leaves the times of the job out.
    upload._build_job_response = jobs._build_job_response


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The two parts of an upload, by bytes: a mail parser changes line ends in Parquet."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise InvalidQueryError("no boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + found.group(1).encode())[1:3]
    head, media = (part.split(b"\r\n\r\n", 1)[1] for part in parts)
    return json.loads(head), media


def _with_reference(real: Any) -> Any:
    """Keep the id that the caller gave with the configuration."""

    def read(envelope: dict[str, Any]) -> dict[str, Any]:
        return {**real(envelope), _REFERENCE: envelope.get("jobReference") or {}}

    return read


async def _run(
    *, project_id: str, configuration: dict[str, Any], media_path: str, ctx: Any
) -> tuple[str, JobMeta]:
    config = dict(configuration)
    job_id = config.pop(_REFERENCE, {}).get("jobId") or upload._new_job_id()
    if ctx.catalog.get_job(project_id, job_id) is not None:
        raise AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
    try:
        meta = await _load(project_id, job_id, config, media_path, ctx)
    except Exception as error:  # noqa: BLE001 - a failed job is an answer
        meta = jobs._failed_job_meta(
            project_id=project_id,
            job_id=job_id,
            job_type="LOAD",
            config=config,
            now=ctx.clock.now(),
            error_result={
                "reason": getattr(error, "bq_reason", None) or "invalid",
                "message": getattr(error, "message", None) or str(error),
            },
        )
    ctx.catalog.upsert_job(meta)
    return job_id, meta


async def _load(project: str, job_id: str, config: dict[str, Any], path: str, ctx: Any) -> JobMeta:
    started, load = ctx.clock.now(), config["load"]
    place = load["destinationTable"]
    table, _, day = place["tableId"].partition("$")
    name = (place.get("projectId", project), place["datasetId"], table)
    if load["sourceFormat"] != "PARQUET":
        raise InvalidQueryError("only Parquet is loaded here")
    async with ctx.engine.write_lock():
        rows = _insert(name, day, load.get("writeDisposition", "WRITE_APPEND"), path, ctx)
    size = str(os.path.getsize(path))  # noqa: PTH202
    counts = {"outputRows": str(rows), "inputFiles": "1", "inputFileBytes": size}
    return JobMeta(
        project_id=project,
        job_id=job_id,
        job_type="LOAD",
        state="DONE",
        configuration=config,
        statistics={"load": {**counts, "outputBytes": size}},
        creation_time=started,
        start_time=started,
        end_time=ctx.clock.now(),
        etag=generate_etag(project, job_id, str(started)),
    )


def _insert(name: tuple[str, str, str], day: str, disposition: str, path: str, ctx: Any) -> int:
    """Truncate the table or its day where asked and insert by name, or leave it as it was."""
    meta = ctx.catalog.get_table(*name)
    if meta is None:
        raise resource_not_found(ResourceRef("table", *name))
    into, connection = quoted_table_ref(*name), ctx.engine.connection
    source = "read_parquet('" + path.replace("'", "''") + "')"
    columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    _check(meta, columns, source, connection)
    listed = ", ".join(f'"{column}"' for column in columns)
    connection.execute("BEGIN")
    try:
        if disposition.startswith("WRITE_TRUNCATE"):
            column = meta.time_partitioning.field if day else ""
            only = f" WHERE strftime(\"{column}\", '%Y%m%d') = '{day}'" if day else ""
            connection.execute(f"DELETE FROM {into}{only}")
        insert = f"INSERT INTO {into} ({listed}) SELECT {listed} FROM {source}"
        rows = connection.execute(insert).fetchone()[0]
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    total = connection.execute(f"SELECT COUNT(*) FROM {into}").fetchone()[0]
    changed = {"num_rows": total, "last_modified_time": ctx.clock.now()}
    ctx.catalog.update_table(meta.model_copy(update=changed))
    ctx.snapshots.record_change(*name)
    return int(rows)


def _check(meta: Any, columns: list[str], source: str, connection: Any) -> None:
    """Refuse columns that the table lacks, and NULLs that it does not take."""
    modes = {field.name: field.mode for field in meta.schema_.fields}
    for column in columns:
        if column not in modes:
            raise InvalidQueryError(f"Provided Schema does not match: no such field: {column}")
        if modes[column] == "REQUIRED":
            count = f'SELECT COUNT(*) FROM {source} WHERE "{column}" IS NULL'
            if connection.execute(count).fetchone()[0]:
                raise InvalidQueryError(f"Required field {column} cannot be null")
