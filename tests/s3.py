"""An S3 server on loopback (moto's), and the requests that it got."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from types import TracebackType
from uuid import uuid4

import boto3
import pytest
import requests

from ray_backfill.warehouse.lake.warehouse import Lake

__all__ = ["Server"]

_REQUEST = re.compile(r'"(?:\x1b\[[\d;]*m)*(?P<method>[A-Z]+) /(?P<path>[^" ]*) HTTP')
"""In the server's log, which colours what is not a plain 200."""


class Server:
    """In a process of its own: Delta keeps the interpreter's lock while it waits.

    `page` is how many keys one answer to a listing holds.
    """

    def __init__(self, page: int = 1000) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": str(page)},
        )
        assert self._process.stderr is not None
        self._stderr = self._process.stderr
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in self._stderr)
        self.address = next(match[0] for match in found if match)
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stderr:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()

    def variables(self) -> dict[str, str]:
        """What points a process's clients at the server."""
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
        }

    def settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Point this process's clients at the server."""
        for name, value in self.variables().items():
            monkeypatch.setenv(name, value)

    def lake(self, folder: str = "some/lake") -> Lake:
        """A lake in a new bucket."""
        bucket = f"bucket-{uuid4().hex}"
        boto3.client("s3").create_bucket(Bucket=bucket)
        return Lake(f"s3://{bucket}/{folder}")

    def asked(self) -> Counter[str]:
        """What was asked for since the last call: `LIST`s, and others by method."""
        mark = uuid4().hex
        requests.get(f"{self.address}/moto-api/?{mark}", timeout=60)
        with self._more:
            self._more.wait_for(lambda: any(mark in line for line in self._lines))
            lines, self._lines = self._lines, []
        found = (match for line in lines if (match := _REQUEST.search(line)) and mark not in line)
        return Counter(
            "LIST" if "list-type=" in match["path"] else match["method"] for match in found
        )
