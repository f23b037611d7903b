"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["JsonOption", "WarehouseOption"]

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
