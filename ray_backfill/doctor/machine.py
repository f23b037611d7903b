"""Checks of this machine: Python and its packages, CPUs, memory, disk, a Ray of its own."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from ray_backfill.doctor.check import Check, UnfitError
from ray_backfill.plan.sizing import BASE_BYTES, human_bytes

__all__ = ["checks", "packages", "requirements", "unmet"]

_PYTHON = (3, 11)
_LEAST_FREE = 2**30
_FULL = 0.95
"""Ray writes no more objects to a disk that is fuller."""

_SHARED = Path("/dev/shm")  # noqa: S108 - where Ray keeps its objects
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def checks(workers: int, worker_bytes: int, folders: Mapping[str, str]) -> list[Check]:
    """The checks of this machine but for Ray's; `folders`: what a disk is needed for -> where.

    `workers` and `worker_bytes` are what `run` uses by default.
    """
    return [
        Check(
            "python",
            "the interpreter is one that is supported",
            _python,
            mend="Make the environment anew with Python 3.11 or later.",
        ),
        Check(
            "packages",
            "every package is there, in a version that is supported",
            _packages,
            mend="Install from requirements.lock, as the README says.",
        ),
        Check(
            "cpus and memory",
            "there is room for a worker",
            lambda: _room(workers, worker_bytes),
            mend="Give the machine or the container more memory, or --worker-memory less.",
        ),
        Check(
            "disk",
            "there is space where this machine writes",
            lambda: _disk(folders),
            mend="Free some space; TMPDIR and RAY_TMPDIR move what is temporary.",
        ),
    ]


def ray_check() -> Check:
    """Whether a Ray starts on this machine and runs a task, as `run` has it."""
    return Check(
        "ray",
        "a Ray starts here and runs a task",
        _ray,
        after=("packages",),
        mend="Its logs are in /tmp/ray/session_latest/logs. `run --no-parallel` works without it.",
    )


def _python() -> str:
    if sys.version_info[:2] < _PYTHON:
        raise UnfitError(f"Python {platform.python_version()} is too old.")
    return f"Python {platform.python_version()}, {sys.executable}"


def requirements() -> dict[str, str]:
    """Package that ray-backfill needs -> the versions that it takes, as `>=2.1,<3`."""
    from packaging.requirements import Requirement

    found = [Requirement(line) for line in requires("ray-backfill") or ()]
    return {r.name: str(r.specifier) for r in found if r.marker is None or r.marker.evaluate()}


def packages() -> dict[str, str]:
    """Package -> version that is installed here; empty for one that is not."""
    names = ["ray-backfill", *requirements()]
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def unmet(installed: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """What is wrong with the installed packages, each in a few words."""
    from packaging.specifiers import SpecifierSet

    wrong = []
    for name, asked in wanted.items():
        have = installed.get(name, "")
        if not have:
            wrong.append(f"{name} is not installed")
        elif not SpecifierSet(asked).contains(have, prereleases=True):
            wrong.append(f"{name} {have} is installed, and {asked} is needed")
    return wrong


def _packages() -> str:
    installed = packages()
    if wrong := unmet(installed, requirements()):
        raise UnfitError(f"{'; '.join(wrong)}.")
    return ", ".join(f"{name} {found}" for name, found in installed.items())


def _room(workers: int, worker_bytes: int) -> str:
    known = hasattr(os, "sched_getaffinity")
    cpus = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    if worker_bytes < BASE_BYTES:
        raise UnfitError(
            f"A worker would have {human_bytes(worker_bytes)}, and needs "
            f"{human_bytes(BASE_BYTES)} without any data."
        )
    said = f"{cpus} CPUs; by default {workers} workers with up to {human_bytes(worker_bytes)} each"
    limit = _cpu_limit(_CPU_LIMIT)
    if limit is not None and limit < workers:
        said += f"; the container may use {limit:g} CPUs: give --workers {max(1, int(limit))}"
    return said


def _cpu_limit(path: Path) -> float | None:
    """CPUs that the container may use; None where it is not limited."""
    try:
        quota, period = path.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _disk(folders: Mapping[str, str]) -> str:
    said = []
    for use, folder in ({**folders, "temporary files": tempfile.gettempdir()}).items():
        at = Path(folder)
        while not at.exists():
            at = at.parent
        usage = shutil.disk_usage(at)
        used = 1 - usage.free / max(1, usage.total)
        free = f"{human_bytes(usage.free)} free for {use} ({at})"
        if usage.free < _LEAST_FREE or used > _FULL:
            raise UnfitError(f"There is too little space: {free}, {used:.0%} are used.")
        said.append(free)
    if _SHARED.is_dir() and (left := shutil.disk_usage(_SHARED).free) < _LEAST_FREE:
        said.append(f"only {human_bytes(left)} in {_SHARED}: Ray uses the disk instead")
    return ", ".join(said)


def _ray() -> str:
    import ray

    from ray_backfill.engine.ray_connect import start

    with redirect_stdout(sys.stderr):
        try:
            start(ray, 1, None)
            pid, python = ray.get(ray.remote(_where()).remote())
        finally:
            ray.shutdown()
    if pid == os.getpid():
        raise UnfitError("The task ran in this process.")
    return f"Ray {ray.__version__} ran a task in a process of its own, Python {python}"


def _where() -> Callable[[], tuple[int, str]]:
    """A function that Ray sends as it is: the other side needs nothing of ours."""

    def where() -> tuple[int, str]:
        import os
        import platform

        return os.getpid(), platform.python_version()

    return where
