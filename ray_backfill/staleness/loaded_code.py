"""The code that this process has imported, which the files on disk may have left behind.

The version of a job's code is taken as it is defined, which is when its modules are imported, and
kept: a file that is edited later is not what computes here, and must not be what rows are stamped
with. Where a module is loaded again, or more of the job is imported later, it is looked at again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

from ray_backfill.errors import CodeDiffersError, UsageError
from ray_backfill.staleness.code_version import code_version
from ray_backfill.staleness.rules import rules_version

if TYPE_CHECKING:
    from ray_backfill.job.job import Job

__all__ = ["code_of", "rules_of", "taken"]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A version, and the modules that were loaded when it was taken."""

    version: str
    loaded: Mapping[str, ModuleSpec | None]


_SEEN: dict[tuple[str, ...], _Seen] = {}
_RULES: dict[int, tuple[Job, str]] = {}


def taken(job: Job) -> None:
    """Note the version of a job's code as it is defined."""
    # What is wrong with its modules is said where the version is needed.
    with suppress(UsageError, OSError, ImportError, SyntaxError, ValueError):
        code_of(job)


def code_of(job: Job) -> str:
    """The version of the code that computes the job's values in this process.

    Raises `CodeDiffersError` where a part of it was imported after the rest and was edited
    between: no one version is that of the rows.
    """
    seen, loaded = _SEEN.get(job.modules), _loaded(job.modules)
    if seen is not None and _same(seen.loaded, loaded):
        return seen.version
    version = code_version(job.modules)
    if seen is not None and version != seen.version and _same(seen.loaded, loaded, more=True):
        late = ", ".join(sorted(loaded.keys() - seen.loaded.keys()))
        raise CodeDiffersError(
            f"The code of {job.name} was edited while it was in use: it was {seen.version} when it "
            f"was loaded, and {version} when it imported {late}.",
            hint="Start again.",
        )
    _SEEN[job.modules] = _Seen(version, loaded)
    return version


def rules_of(job: Job) -> str:
    """The version of what decides what this process publishes of the job, as it was first asked."""
    if id(job) not in _RULES:
        _RULES[id(job)] = (job, rules_version(job))  # with the job: an id is used again without it
    return _RULES[id(job)][1]


def _loaded(modules: Sequence[str]) -> dict[str, ModuleSpec | None]:
    """The modules of the job, and those below them, that are imported now."""
    below = tuple(f"{name}." for name in modules)
    return {
        name: getattr(module, "__spec__", None)
        for name, module in list(sys.modules.items())
        if name in modules or name.startswith(below)
    }


def _same(
    before: Mapping[str, ModuleSpec | None],
    now: Mapping[str, ModuleSpec | None],
    *,
    more: bool = False,
) -> bool:
    """Whether what was loaded is what is loaded now (`more`: beside others).

    By identity: a module that is loaded again gets another spec, which may well be equal.
    """
    kept = all(name in now and now[name] is spec for name, spec in before.items())
    return kept and (more or len(now) == len(before))
