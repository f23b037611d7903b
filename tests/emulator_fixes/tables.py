"""The table resource keeps what it is given, inherits the defaults of its dataset when it is
created, and is changed under its etag.
"""

from __future__ import annotations

import json
import time
from typing import Any

from bqemulator.api.routes import tables
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

_KEPT = ("requirePartitionFilter", "expirationTime")
_more: dict[tuple[str, str, str], dict[str, Any]] = {}


def mend() -> None:
    tables._rest_to_table_meta = _from_rest(tables._rest_to_table_meta)
    tables._table_to_rest = _to_rest(tables._table_to_rest)


def _from_rest(real: Any) -> Any:
    def parse(project: str, dataset: str, body: Any, clock: Any, existing: Any = None) -> Any:
        meta = real(project, dataset, body, clock, existing)
        key = (meta.project_id, meta.dataset_id, meta.table_id)
        before = _more.get(key, {}) if existing else {}
        _more[key] = before | {name: body[name] for name in _KEPT if name in body}
        return meta

    return parse


def _to_rest(real: Any) -> Any:
    def render(meta: Any) -> Any:
        key = (meta.project_id, meta.dataset_id, meta.table_id)
        kept = {name: value for name, value in _more.get(key, {}).items() if value is not None}
        return real(meta) | kept

    return render


def with_defaults(ctx: Any, name: tuple[str, str], body: bytes) -> bytes:
    """What is sent to create a table, with the expiry of its dataset where it states none."""
    dataset = ctx.catalog.get_dataset(*name)
    sent = json.loads(body)
    if dataset is None or "view" in sent:
        return body
    by, partition = sent.get("timePartitioning"), dataset.default_partition_expiration_ms
    table = dataset.default_table_expiration_ms
    if by and partition is not None:
        # One of the two defaults alone applies to a partitioned table. A null is no statement.
        by["expirationMs"] = by.get("expirationMs") or str(partition)
    elif table is not None:
        inherited = str(int(time.time() * 1000) + int(table))
        sent["expirationTime"] = sent.get("expirationTime") or inherited
    return json.dumps(sent).encode()


def add_columns(ctx: Any, name: tuple[str, str, str], fields: list[dict[str, Any]]) -> None:
    """Columns that a PATCH adds to the catalogue are added to the stored table too."""
    meta = ctx.catalog.get_table(*name)
    known = {field.name for field in meta.schema_.fields}
    new = [field for field in fields if field["name"] not in known]
    if new:
        rest = [tables._field_to_rest(field) for field in tables._parse_schema_fields(new)]
        for column, kind in bq_schema_to_duckdb_columns(rest):
            ctx.engine.execute(
                f'ALTER TABLE {quoted_table_ref(*name)} ADD COLUMN IF NOT EXISTS "{column}" {kind}'
            )
