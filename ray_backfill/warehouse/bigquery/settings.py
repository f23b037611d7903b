"""Where BigQuery is, and the clients that talk to it.

`RAY_BACKFILL_BIGQUERY_REST` (a URL) and `RAY_BACKFILL_BIGQUERY_GRPC` (host:port) point both
kinds of client at a server on this machine, without credentials; any other host is refused.
Otherwise Application Default Credentials are used, and nothing else.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from ray_backfill import redact
from ray_backfill.errors import UsageError, WarehouseError
from ray_backfill.warehouse.bigquery.errors import explained, tried

if TYPE_CHECKING:
    from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_write import BigQueryWriteClient

__all__ = ["GRPC", "HOUSE", "REST", "Address", "Clients", "clients", "local_settings", "parse"]

REST = "RAY_BACKFILL_BIGQUERY_REST"
GRPC = "RAY_BACKFILL_BIGQUERY_GRPC"
HOUSE = "ray_backfill"
"""Dataset of staging tables, journals and reports, where the URL names no other."""

_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*", re.ASCII)
_DATASET = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """`bigquery://PROJECT[?location=US&staging=DATASET]`."""

    project: str
    location: str = "US"
    staging: str = HOUSE

    @property
    def uri(self) -> str:
        more = []
        if self.location != "US":
            more.append(f"location={self.location}")
        if self.staging != HOUSE:
            more.append(f"staging={self.staging}")
        return f"bigquery://{self.project}" + ("?" + "&".join(more) if more else "")

    def house(self, table: str) -> str:
        """Full name of a table of the project's own dataset."""
        return f"{self.project}.{self.staging}.{table}"

    def full(self, table: str) -> str:
        """`project.dataset.table` of `dataset.table`."""
        return f"{self.project}.{table}"

    def path(self, full: str) -> str:
        """The storage APIs' name of `project.dataset.table`."""
        project, dataset, table = full.rsplit(".", 2)
        return f"projects/{project}/datasets/{dataset}/tables/{table}"


def parse(uri: str) -> Address:
    """The address of a URL; raises `UsageError` for one that names no project, or more."""
    usage = "Write it as bigquery://PROJECT[?location=US&staging=DATASET]."
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise UsageError(f"'{redact.url(uri)}' names no project.", hint=usage) from error
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = [name for name in given if name not in ("location", "staging")]
    if not _PROJECT.fullmatch(parts.netloc) or parts.path.strip("/") or unknown:
        what = f"does not know '{unknown[0]}'" if unknown else "names no project"
        raise UsageError(f"'{redact.url(uri)}' {what}.", hint=usage)
    staging = given.get("staging", HOUSE)
    if not _DATASET.fullmatch(staging):
        raise UsageError(f"'{staging}' is not a dataset's name.", hint=usage)
    return Address(parts.netloc, given.get("location") or "US", staging)


def local_settings(environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """URL and host:port of the local server that the environment names, if it names one.

    Raises `UsageError` for another host than this machine, or for one of the two alone.
    """
    rest, grpc = environment.get(REST, ""), environment.get(GRPC, "")
    if not rest and not grpc:
        return None
    for name, server in ((REST, rest), (GRPC, f"//{grpc}")):
        given = environment.get(name, "")
        if _host(server) not in _LOOPBACK or "@" in given:
            raise UsageError(
                f"{name} must name a server on this machine, not '{redact.url(given)}'.",
                hint=f"Set both {REST}=http://127.0.0.1:PORT and {GRPC}=127.0.0.1:PORT, or "
                "neither, for BigQuery itself.",
            )
    return rest, grpc


def _host(server: str) -> str | None:
    """The host of a URL; None where it has none, or a port that is no number."""
    try:
        parts = urlsplit(server)
        return parts.hostname if parts.port else None
    except ValueError:
        return None


@dataclass(frozen=True)
class Clients:
    """The REST client and the two storage clients of one thread."""

    address: Address
    local: bool
    # Its annotations do not know that `retry` may be None, which its documentation asks for.
    rest: Any
    reading: BigQueryReadClient
    writing: BigQueryWriteClient


def clients(address: Address) -> Clients:
    """The clients of this thread and process; raises `WarehouseError` without credentials."""
    # Neither is promised to be safe between threads, and none survives a fork.
    return _make(address, local_settings(), os.getpid(), threading.get_ident())


@lru_cache(maxsize=32)
def _make(address: Address, local: tuple[str, str] | None, pid: int, thread: int) -> Clients:
    from google.cloud import bigquery
    from google.cloud.bigquery_storage_v1.services import big_query_read, big_query_write

    doing = f"Preparing to talk to {address.uri}"
    credentials = _credentials(local is not None)
    options = {"api_endpoint": local[0]} if local else None
    rest = tried(
        doing,
        lambda: bigquery.Client(
            address.project,
            credentials=credentials,
            location=address.location,
            client_options=options,
        ),
    )
    if local is None:
        reading = tried(doing, lambda: big_query_read.BigQueryReadClient(credentials=credentials))
        writing = tried(doing, lambda: big_query_write.BigQueryWriteClient(credentials=credentials))
    else:
        reader, writer = (module.transports for module in (big_query_read, big_query_write))
        channel = _channel(local[1])
        reading = big_query_read.BigQueryReadClient(
            transport=reader.BigQueryReadGrpcTransport(channel=channel)
        )
        writing = big_query_write.BigQueryWriteClient(
            transport=writer.BigQueryWriteGrpcTransport(channel=channel)
        )
    return Clients(address, local is not None, rest, reading, writing)


def _credentials(local: bool) -> Any:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    if local:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    try:
        return google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0]
    except DefaultCredentialsError as error:
        said = " ".join(str(error.args[0] if error.args else "").split()).partition(". ")[0]
        raise WarehouseError(
            f"There are no Google credentials on this machine: {said.rstrip('.')}.",
            hint="Run `gcloud auth application-default login`, or run where a service account "
            "is attached.",
        ) from error
    except (GoogleAuthError, OSError, ValueError) as error:
        raise explained("Looking for Google credentials", error) from error


def _channel(target: str) -> Any:
    import grpc  # type: ignore[import-untyped]

    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # A server on loopback that was started again is found at once, not minutes later.
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    return grpc.insecure_channel(target, options=options)
