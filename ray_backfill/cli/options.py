"""What several commands share: options, and who gives them."""

from __future__ import annotations

import getpass
import os
import socket
from typing import Annotated

import typer

__all__ = ["NOTIFY", "ClusterOption", "JsonOption", "PatienceOption", "WarehouseOption", "who"]

NOTIFY = "RAY_BACKFILL_NOTIFY"
"""The variable of `--notify`. The URL is a secret."""

WarehouseOption = Annotated[
    str,
    typer.Option(
        "--warehouse",
        "-w",
        envvar="RAY_BACKFILL_WAREHOUSE",
        help="Path or URL of the warehouse.",
        show_default=True,
    ),
]
"""Use as `warehouse: WarehouseOption = "./lake"`."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
"""Use as `as_json: JsonOption = False`."""

ClusterOption = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="RAY_BACKFILL_CLUSTER",
        help="The cluster's Job API: its dashboard, like http://HEAD:8265.",
    ),
]
"""Use as `address: ClusterOption`: it has no default."""

PatienceOption = Annotated[
    int,
    typer.Option(
        "--patience",
        min=1,
        help="Seconds without any answer of the cluster after which following it is given up.",
    ),
]
"""Use as `patience: PatienceOption = 600`."""


def who() -> str:
    """`user@host` of whoever gives the command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container's user has no name
    return f"{user}@{socket.gethostname()}"
