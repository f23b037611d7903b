"""The command line: one module a group of commands, one console that prints."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer
from typer.main import get_command_name, get_group

from ray_backfill.cli import console, streams
from ray_backfill.errors import BackfillError, RefusedError
from ray_backfill.job.blame import lacking, told
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
    "unmatched",
    "tables",
    "tidy",
    "describe",
    "doctor",
)
COMMANDS = "ray_backfill.commands"
"""Entry points of this group add their `typer.Typer` app to the command line.

One that does not load, or would replace a command of ours, is named and left out.
"""
_ANSWERS = frozenset(
    {"plan", "coverage", "unmatched", "describe", "tables", "history", "status", "jobs"}
)
"""Commands that do nothing but answer: an answer that did not arrive is a failure of theirs. The
exit code of the others says what they did, whoever heard of it."""
_answers = False
"""Whether the command that was typed is one of them."""


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
    ours = set(_named(app))
    for entry in sorted(entry_points(group=COMMANDS), key=lambda e: (e.name, e.value)):
        try:
            app.add_typer(_loaded(entry, ours))
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001 - another package's code, whatever it does
            console.later(f"Left out: the commands '{entry.name}' ({entry.value}): {told(error)}.")
    return app


def _named(app: typer.Typer) -> Iterator[str]:
    """Names of an app's commands and groups of commands."""
    for command in app.registered_commands:
        yield command.name or get_command_name(getattr(command.callback, "__name__", ""))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from [group.name] if isinstance(group.name, str) else _named(group.typer_instance)


def _loaded(entry: EntryPoint, ours: set[str]) -> typer.Typer:
    """The app of an entry point, tried out alone."""
    app = entry.load()
    if not isinstance(app, typer.Typer):
        raise TypeError(f"a {type(app).__name__}, not a typer.Typer")
    alone = typer.Typer()
    alone.add_typer(app)
    get_group(alone)  # raises for parameters that Typer cannot make options of
    taken = sorted(ours & set(_named(app)))
    if taken:
        raise ValueError(f"ray-backfill itself has {', '.join(taken)}")
    return app


def _print_version(asked: bool) -> None:
    if asked:
        from ray_backfill import __version__

        typer.echo(f"ray-backfill {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
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
    global _answers
    _answers = context.invoked_subcommand in _ANSWERS


def main() -> None:
    """Entry point of the `ray-backfill` script; ends with the exit code of the outcome."""
    streams.make_steady()
    code = _outcome()
    console.tell_later()
    streams.flush()
    if why := streams.failure():
        console.warn(f"What was printed did not arrive whole: {why}.")
        code = code or int(_answers)
        streams.flush()
    sys.exit(code)


def _outcome() -> int:
    """Carry out what was typed; its exit code."""
    try:
        build()()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BackfillError as problem:
        console.error(type(problem)(redacted(problem.message), redacted(problem.hint)))
        return problem.exit_code
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as problem:
        console.error(lacking(problem))
        return RefusedError.exit_code
    except Exception as problem:  # noqa: BLE001 - shown as Python does, without credentials
        sys.stderr.write(redacted("".join(traceback.format_exception(problem))))
        return 1
    return 0
