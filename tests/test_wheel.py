"""What is handed to others: the wheel's content, and that it runs where nothing of ours is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `pip install` of a checkout builds it."""
    into = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", into)
    command = [sys.executable, "-m", "pip", "wheel", *map(str, options), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = into.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the libraries that it names, and no checkout."""
    home = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    install = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet")
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    # A path in a .pth file brings the libraries, and not the editable install that lies with them.
    libraries = sysconfig.get_path("purelib")
    (there,) = (home / "lib").glob("python*/site-packages")
    (there / "libraries.pth").write_text(f"{libraries}\n")
    return home


def _run(home: Path, *command: str) -> str:
    """What a command of that environment prints, run where no module of ours lies."""
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(home / "bin" / command[0]), *command[1:]],
        cwd=home,
        env=clean,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    """A top-level `tests` or `jobs` would collide with those of whoever installs it."""
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert roots == {"ray_backfill", "ray_backfill_nba"}
    ours = {
        str(path.relative_to(base))
        for base in (ROOT, ROOT / "jobs")
        for package in roots
        for path in (base / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == ours


def test_the_wheel_runs_in_an_environment_of_its_own(elsewhere: Path) -> None:
    """Its command, its job and the data that it reads come from the wheel."""
    where = _run(elsewhere, "python", "-c", "import ray_backfill; print(ray_backfill.__file__)")
    assert Path(where.strip()).is_relative_to(elsewhere)
    described = json.loads(_run(elsewhere, "ray-backfill", "describe", "player_context", "--json"))
    assert described["job"] == "player_context"
    assert "demo" in _run(elsewhere, "ray-backfill", "--help")
