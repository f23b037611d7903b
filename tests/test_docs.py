"""What the docs say is true: commands exist, examples run, pages are current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from ray_backfill.cli import build
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    """Code blocks of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def block(language: str, marker: str) -> str:
    """The one block that contains a text."""
    (found,) = [text for text in blocks(language) if marker in text]
    return found


def commands() -> dict[str, object]:
    """Every command that can be given; one of a group by both of its words, like `jobs list`."""
    found: dict[str, object] = {}
    for name, command in get_command(build()).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found |= {f"{name} {word}": part for word, part in inner.items()} or {name: command}
    return found


def test_every_command_is_in_the_readme_and_the_other_way_round() -> None:
    """The table of commands and the command line name the same commands."""
    listed = set(re.findall(r"^\| `ray-backfill ([a-z-]+(?: [a-z]+)?)", README, re.MULTILINE))
    assert listed == set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_has_a_help(name: str) -> None:
    """No option of any command is left without a sentence."""
    command = commands()[name]
    assert command.help  # type: ignore[attr-defined]
    for parameter in command.params:  # type: ignore[attr-defined]
        assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


def test_every_option_that_the_readme_names_exists() -> None:
    """`--option` in the README is an option of some command."""
    known = {o for c in commands().values() for p in c.params for o in p.opts}  # type: ignore[attr-defined]
    outside = {"--no-deps", "--require-hashes", "--generate", "--force"}  # of pip, ray, kubectl
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - outside
    assert named - known - {"--help"} == set()


def test_the_example_job_runs_as_printed(tmp_path: Path) -> None:
    """The README's own job, in an empty folder, by its own commands."""
    (tmp_path / "weekly.py").write_text(block("python", "# weekly.py"))
    script = "set -eu\n" + block("sh", "RAY_BACKFILL_JOBS")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    import polars as pl

    rows = pl.read_delta(str(tmp_path / "lake" / "shop" / "weekly")).sort("day")
    assert rows["total"].to_list() == [5, 12, 9]


def test_the_example_job_is_about_25_lines() -> None:
    """The example stays as short as it says."""
    lines = [line for line in block("python", "# weekly.py").splitlines() if line.strip()]
    assert len(lines) <= 27


@pytest.mark.parametrize("page", ["README.md", "docs", "benchmarks"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    """Every relative link is a file of the project."""
    pages = [ROOT / page] if page.endswith(".md") else sorted((ROOT / page).glob("*.md"))
    assert pages
    for path in pages:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_make_targets_of_the_readme_exist() -> None:
    """`make demo` and `make test` are what the Makefile has, and CI calls the second."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_page_of_the_job_is_current() -> None:
    """docs/player_context.md is what the code generates."""
    done = subprocess.run(
        [BIN / "ray-backfill", "describe", "player_context", "--markdown"],
        capture_output=True,
        text=True,
        check=True,
    )
    page = ROOT / "docs" / "player_context.md"
    assert done.stdout == page.read_text("utf-8"), (
        "run: ray-backfill describe player_context --markdown > docs/player_context.md"
    )
