"""Processes that are started beside a gRPC client are not ended by it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = "import os, ray_backfill; print(os.environ['GRPC_ENABLE_FORK_SUPPORT'])"


@pytest.mark.parametrize(("given", "stands"), [(None, "0"), ("1", "1")])
def test_grpc_handles_forks_only_where_a_person_says_so(given: str | None, stands: str) -> None:
    """Its handlers end about one of fifty children with SIGABRT, as Ray's first processes."""
    name = "GRPC_ENABLE_FORK_SUPPORT"
    environment = {key: value for key, value in os.environ.items() if key != name}
    if given is not None:
        environment[name] = given
    words = [sys.executable, "-c", ASK]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == stands
