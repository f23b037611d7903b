"""The command line: one module a group of commands, one console that prints."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated

import typer

from ray_backfill.errors import BackfillError
from ray_backfill.redact import redacted

__all__ = ["build", "main"]

_GROUPS = (
    "plan",
    "run",
    "submit",
    "jobs",
    "cancel",
    "watch",
    "coverage",
    "tables",
    "tidy",
    "describe",
)
COMMANDS = "ray_backfill.commands"
"""Entry points of this group add their `typer.Typer` app to the command line."""


def build() -> typer.Typer:
    """The whole command line: the engine's groups and those that installed packages add."""
    app = typer.Typer(
        name="ray-backfill",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for group in _GROUPS:
        app.add_typer(import_module(f"ray_backfill.cli.{group}").app)
    for entry in sorted(entry_points(group=COMMANDS), key=lambda e: e.name):
        app.add_typer(entry.load())
    return app


def _print_version(asked: bool) -> None:
    if asked:
        from ray_backfill import __version__

        typer.echo(f"ray-backfill {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Recompute date-partitioned tables: planned by content, fanned out on Ray, published
    atomically.
    """


def main() -> None:
    """Entry point of the `ray-backfill` script; ends with the exit code of the outcome."""
    try:
        build()()
    except BackfillError as problem:
        from ray_backfill.cli import console

        console.error(type(problem)(redacted(problem.message), redacted(problem.hint)))
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as problem:  # noqa: BLE001 - shown as Python does, without credentials
        sys.stderr.write(redacted("".join(traceback.format_exception(problem))))
        sys.exit(1)
