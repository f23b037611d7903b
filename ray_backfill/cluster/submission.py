"""What a submission is: its id, its command, what it says of itself. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ray_backfill.errors import UsageError
from ray_backfill.plan import Selection
from ray_backfill.redact import is_secret

__all__ = [
    "MARK",
    "STOP_WAIT",
    "Outcome",
    "Submission",
    "argv_of",
    "base_id",
    "check_no_credentials",
    "choose_id",
    "entrypoint_of",
    "outcome_of",
    "range_of",
]

MARK = "ray_backfill"
"""Metadata key that tells our submissions from others; its value is our version."""

STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"
"""Ray's variable: seconds between the signal that stops a job and the one that kills it."""

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_OURS = frozenset({0, 1, 2, 3, 130})
_NEVER_BEGAN = {
    "RUNTIME_ENV_SETUP_FAILURE": "Its environment could not be set up on the cluster",
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": "No node took it in time",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE": "It could not be started",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": "No node may run it",
}
_LONGEST = 60
"""Characters of the readable part of an id: it is part of file names."""


@dataclass(frozen=True, slots=True)
class Submission:
    """All that Ray is asked for, except what is shipped."""

    base: str
    entrypoint: str
    metadata: Mapping[str, str]
    env_vars: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a submitted run ended: the code to end with, and a sentence where its log has none."""

    exit_code: int
    sentence: str = ""


# -- id ----------------------------------------------------------------------------------------
def range_of(selection: Selection) -> str:
    """What is asked for in a word: seasons, first and last date, or `all`."""
    if selection.dates:
        return _between(min(selection.dates), max(selection.dates))
    if selection.seasons:
        return "-".join(dict.fromkeys((selection.seasons[0], selection.seasons[-1])))
    last = selection.end - timedelta(1) if selection.end else None
    if selection.start and last:
        return _between(selection.start, last)
    if selection.start:
        return f"from-{selection.start}"
    return f"until-{last}" if last else "all"


def _between(first: date, last: date) -> str:
    return str(first) if first == last else f"{first}-{last}"


def base_id(
    name: str,
    spec: str,
    selection: Selection,
    options: Sequence[str],
    warehouse: str,
    code: str,
) -> str:
    """The id of this work: readable, and the same for the same work.

    `player_context-2025-10-21-2025-11-30-1f9a2c3b`: the job's name, the range, and a hash of
    what the job is run as, the whole selection, its options, the warehouse and the version of
    the code.
    """
    asked = [
        spec,
        sorted(selection.seasons),
        str(selection.start),
        str(selection.end),
        sorted(str(day) for day in selection.dates),
        sorted(selection.select),
        list(options),
        warehouse,
        code,
    ]
    digest = hashlib.blake2b(json.dumps(asked).encode(), digest_size=4).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{name}-{range_of(selection)}").strip("_.-")
    return f"{readable[:_LONGEST]}-{digest}"


def choose_id(base: str, known: Iterable[tuple[str, str]]) -> tuple[str, bool]:
    """The id to use, and whether it is that of a submission that has not ended.

    `known` are (id, status) of the cluster's jobs. Of ended ones the number goes on: `-2`, `-3`.
    """
    numbers = {}
    for name, status in known:
        found = re.fullmatch(re.escape(base) + r"(?:-([1-9][0-9]*))?", name)
        if found:
            numbers[int(found[1] or 1)] = (name, status)
    for _, (name, status) in sorted(numbers.items(), reverse=True):
        if status not in ENDED:
            return name, True
    if not numbers:
        return base, False
    return f"{base}-{max(numbers) + 1}", False


# -- command -----------------------------------------------------------------------------------
def argv_of(command: Any, values: Mapping[str, Any], always: Sequence[str] = ()) -> list[str]:
    """The words that a command parses to `values` (parameter -> value); its name comes first.

    Values that are the parameter's default are left out, except for those named in `always`.
    """
    options: list[str] = []
    arguments: list[str] = []
    for parameter in command.params:
        if parameter.name not in values:
            continue
        value = values[parameter.name]
        if parameter.param_type_name == "argument":
            arguments.append(str(value))
        elif parameter.name in always or not _is_default(parameter, value):
            options += _words(parameter, value)
    if any(text.startswith("-") for text in arguments):
        return [command.name, *options, "--", *arguments]
    return [command.name, *arguments, *options]


def _is_default(parameter: Any, value: Any) -> bool:
    return value is None or value == parameter.default or (parameter.multiple and not value)


def _words(parameter: Any, value: Any) -> list[str]:
    # Name and value in one word: a value may begin with a dash.
    name = next(text for text in parameter.opts if text.startswith("--"))
    if parameter.is_flag:
        return [name if value else parameter.secondary_opts[0]]
    values = value if parameter.multiple else [value]
    return [f"{name}={getattr(one, 'value', one)}" for one in values]


# Ray gives the line to a shell that its supervisor starts, a child of the node's raylet, whose
# command line names the Python that it starts workers with: not always the first on the path. In
# a container of its own (`image_uri`) there is no raylet to ask.
_RAYS_PYTHON = (
    r"""its=$({ raylet=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$PPID/status"); """
    r"""tr '\0' '\n' <"/proc/$raylet/cmdline" | sed -n """
    r"""-e 's/^--python_worker_command="\([^"]*\)".*/\1/p' """
    r"""-e 's/^--python_worker_command=\([^" ][^ ]*\).*/\1/p'; } 2>/dev/null); """
    r"""[ -x "$its" ] || its=python; exec "$its" """
)


def entrypoint_of(python: str | None, argv: Sequence[str]) -> str:
    """The line that Ray gives to a shell; every word is quoted.

    `python`: None for the one that the node's Ray runs under.
    """
    begin = f"{shlex.quote(python)} " if python else _RAYS_PYTHON
    return begin + shlex.join(["-m", "ray_backfill", *argv])


def check_no_credentials(uri: str) -> None:
    """Raises `UsageError` for a URL that carries a secret: Ray would show it to everybody."""
    if is_secret("", uri):
        raise UsageError(
            "The warehouse's URL holds a secret, which Ray would show in its dashboard.",
            hint="Give the credentials to the cluster's nodes, and the URL without them.",
        )


# -- end ---------------------------------------------------------------------------------------
def outcome_of(
    status: str, exit_code: int | None, error_type: str | None, message: str | None
) -> Outcome:
    """What a job that has ended means: the run's own exit code where it has one."""
    if status == "SUCCEEDED":
        return Outcome(0)
    if status == "STOPPED":
        return Outcome(130, "It was stopped; submitting it again goes on with what is left.")
    if exit_code in _OURS:
        return Outcome(exit_code)
    why = (message or "").strip().splitlines()[:1]
    if error_type in _NEVER_BEGAN:
        return Outcome(3, f"{_NEVER_BEGAN[error_type]}: {_rest(message)}")
    if exit_code is None:
        reason = f" ({why[0]})" if why else ""
        return Outcome(
            1,
            f"Its driver died before its end{reason}. Submitting it again goes on with what "
            "is left.",
        )
    return Outcome(1, _of_code(exit_code))


def _rest(message: str | None) -> str:
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    return " ".join(lines)[-600:] or "Ray does not say why"


def _of_code(code: int) -> str:
    if code in (126, 127):
        return f"The cluster's nodes could not run its command (code {code}); see --python."
    killed = -code if code < 0 else code - 128 if code > 128 else 0
    how = f"was killed by signal {killed}" if killed else f"ended with code {code}"
    return f"Its driver {how}. Submitting it again goes on with what is left."
