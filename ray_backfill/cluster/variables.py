"""Which environment variables go with a job: some by value, secrets by name alone.

Ray keeps a job's variables with the job and shows them to whoever sees its dashboard. So a
variable that looks like a secret never travels: it is put on the cluster, and the run is told
its name, to refuse at once where it is absent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ray_backfill.errors import RefusedError, UsageError
from ray_backfill.redact import is_secret

__all__ = ["NEEDED", "kept_here", "require_secrets", "variables_to_send"]

NEEDED = "RAY_BACKFILL_NEEDS"
"""Names of the secrets that a submitted run needs, separated by commas."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_JOBS = "RAY_BACKFILL_JOBS"


def variables_to_send(
    names: Sequence[str],
    secrets: Sequence[str],
    environ: Mapping[str, str],
    settings: re.Pattern[str],
) -> dict[str, str]:
    """Variables of the job: the named ones and our own settings by value, secrets by name.

    `settings`: names of those that the warehouse needs; one that looks like a secret stays here.
    Raises `UsageError` for a value on the command line, for a name that looks like a secret,
    and for a variable that is not set here.
    """
    for name in [*names, *secrets]:
        _check_name(name)
    sent = {
        n: v
        for n, v in environ.items()
        if (n == _JOBS or settings.fullmatch(n)) and not is_secret(n, v)
    }
    for name in names:
        if name not in environ:
            raise UsageError(f"The variable {name} is not set here, so --env cannot copy it.")
        if is_secret(name, environ[name]):
            raise UsageError(
                f"{name} looks like a secret: its value would stand in Ray's dashboard.",
                hint=f"Set it where the cluster's nodes start, and say --secret {name}.",
            )
        sent[name] = environ[name]
    if secrets:
        sent[NEEDED] = ",".join(sorted(set(secrets)))
    return sent


def kept_here(environ: Mapping[str, str], settings: re.Pattern[str]) -> list[str]:
    """Settings of the warehouse that look like secrets, and that the cluster must have itself."""
    return sorted(n for n, v in environ.items() if settings.fullmatch(n) and is_secret(n, v))


def _check_name(text: str) -> None:
    name, equals, _ = text.partition("=")
    if not _NAME.fullmatch(name):
        # Not repeated in the message: it may be a value.
        raise UsageError("--env and --secret take the name of a variable, like LOG_LEVEL.")
    if equals:
        raise UsageError(
            f"{name} is given with a value.",
            hint=f"Values do not belong on a command line: export {name}=… and say --env {name}, "
            f"or set it on the cluster and say --secret {name}.",
        )


def require_secrets(environ: Mapping[str, str] | None = None) -> None:
    """Raises `RefusedError` where a secret that this run was submitted with is not set here."""
    found = os.environ if environ is None else environ
    absent = [n for n in found.get(NEEDED, "").split(",") if n and not found.get(n)]
    if absent:
        raise RefusedError(
            f"The cluster has no variable {', '.join(absent)}, which this run was submitted with "
            "as --secret.",
            hint="Set it in the environment in which Ray starts on the nodes, or submit without.",
        )
