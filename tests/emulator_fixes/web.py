"""In front of REST: faults, the request log, known job ids, etags.

`POST /__faults` adds one, `GET` shows them, `DELETE` takes them back:

* REST: `match` (a regex on `METHOD path?query`), `body` (one on the body), `status`, `reason`
* gRPC: `rpc` (AppendRows, CreateWriteStream, FinalizeWriteStream, BatchCommitWriteStreams,
  ReadRows), `code` (a status like UNAVAILABLE), `stream` (a regex on its name)
* both: `count` (1), `skip` (how many pass before it strikes), `after` (the work is done and its
  answer lost)

`GET /__requests` lists the jobs that were begun: kind, id, statement.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from bqemulator import server
from emulator_fixes.tables import add_columns, with_defaults

FAULTS: list[dict[str, Any]] = []
REQUESTS: list[dict[str, str]] = []

_JOBS = re.compile(r"(?:/upload)?/bigquery/v2/projects/([^/]+)/jobs")
_QUERIES = re.compile(r"/bigquery/v2/projects/([^/]+)/queries")
_TABLES = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables")
_TABLE = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/$]+)")


def mend() -> None:
    real = server.create_app

    def create(ctx: Any) -> Any:
        app = real(ctx)
        app.add_middleware(Front, ctx=ctx)
        return app

    server.create_app = create


def take(rpc: str, stream: str) -> dict[str, Any] | None:
    """The fault that strikes this gRPC call, counted down."""
    for fault in FAULTS:
        if fault.get("rpc") == rpc and re.search(fault.get("stream", ""), stream) and _due(fault):
            return fault
    return None


def _due(fault: dict[str, Any]) -> bool:
    if fault.get("skip", 0) > 0:
        fault["skip"] -= 1
        return False
    left = fault.get("count", 1)
    fault["count"] = max(0, left - 1)
    return bool(left > 0)


class Front:
    """ASGI middleware around the whole REST server."""

    def __init__(self, app: Any, ctx: Any) -> None:
        self.app = app
        self.ctx = ctx
        self.changing = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        own = {"/__faults": FAULTS, "/__requests": REQUESTS}.get(scope["path"])
        if own is not None:
            await self._own(own, scope["method"], body, send)
            return
        fault = _struck(scope, body)
        if fault and not fault.get("after"):
            await _fail(send, fault["status"], fault.get("reason", "backendError"))
            return
        if scope["method"] in ("PATCH", "PUT"):
            # No other change may come between the look at the etag and the change.
            async with self.changing:
                await self._answer(scope, body, send, fault)
        else:
            await self._answer(scope, body, send, fault)

    async def _answer(self, scope: Any, body: bytes, send: Any, fault: Any) -> None:
        if refused := self._refused(scope, body):
            await _fail(send, *refused)
            return
        _log(scope, body)
        if scope["method"] == "POST" and (found := _TABLES.fullmatch(scope["path"])):
            body = with_defaults(self.ctx, found.groups(), body)
        if fault:
            await self.app(scope, _replay(body), _nowhere)
            await _fail(send, fault["status"], fault.get("reason", "backendError"))
            return
        await self.app(scope, _replay(body), send)

    async def _own(self, found: list[Any], method: str, body: bytes, send: Any) -> None:
        if method == "POST":
            found.append(json.loads(body))
        elif method == "DELETE":
            found.clear()
        await _reply(send, 200, found)

    def _refused(self, scope: Any, body: bytes) -> tuple[int, str] | None:
        """409 for a known job's id, 412 for an old etag; new columns are added on the way."""
        sent = _json(body)
        if scope["method"] == "POST" and (found := _JOBS.fullmatch(scope["path"])):
            job_id = (sent.get("jobReference") or {}).get("jobId")
            if job_id and self.ctx.catalog.get_job(found.group(1), job_id) is not None:
                return 409, "duplicate"
        table = _TABLE.fullmatch(scope["path"])
        if scope["method"] in ("PATCH", "PUT") and table:
            name = table.groups()
            meta = self.ctx.catalog.get_table(*name)
            asked = dict(scope["headers"]).get(b"if-match")
            if meta is not None and asked and asked.decode() != meta.etag:
                return 412, "conditionNotMet"
            if meta is not None:
                add_columns(self.ctx, name, (sent.get("schema") or {}).get("fields", []))
        return None


def _struck(scope: Any, body: bytes) -> dict[str, Any] | None:
    key = f"{scope['method']} {scope['path']}?{scope.get('query_string', b'').decode()}"
    for fault in FAULTS:
        if "match" not in fault or not re.search(fault["match"], key):
            continue
        if re.search(fault.get("body", "").encode(), body) and _due(fault):
            return fault
    return None


def _log(scope: Any, body: bytes) -> None:
    path = scope["path"]
    if scope["method"] != "POST" or not (_JOBS.fullmatch(path) or _QUERIES.fullmatch(path)):
        return
    sent = _json(body)
    config = sent.get("configuration") or {}
    kind = "copy" if "copy" in config else "query" if "query" in {**config, **sent} else "load"
    sql = sent.get("query") or (config.get("query") or {}).get("query", "")
    REQUESTS.append(
        {"kind": kind, "id": (sent.get("jobReference") or {}).get("jobId", ""), "sql": sql}
    )


def _json(body: bytes) -> dict[str, Any]:
    """A JSON body; the JSON part of an upload; empty for anything else."""
    if body[:2] == b"--":
        body = body.split(b"\r\n\r\n", 1)[-1].split(b"\r\n--", 1)[0]
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# -- ASGI ----------------------------------------------------------------------------------------
async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes) -> Any:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _nowhere(message: Any) -> None:
    """The answer is lost."""


async def _fail(send: Any, status: int, reason: str) -> None:
    error = {"reason": reason, "message": f"injected: {reason}", "domain": "global"}
    await _reply(
        send, status, {"error": {"code": status, "message": error["message"], "errors": [error]}}
    )


async def _reply(send: Any, status: int, content: Any) -> None:
    data = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
