"""The code version follows what the code does, not how it is written down."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from ray_backfill.errors import UsageError
from ray_backfill.staleness.code_version import code_version, fingerprint_source

CODE = '''
"""Module."""
def mean(values):
    """Docstring."""
    # a comment
    return sum(values) / len(values)
'''


def test_comments_docstrings_and_layout_do_not_count() -> None:
    """The same code, written otherwise, has the same version."""
    other = "def mean(values): return (sum(values)\n   / len(values))\n"
    assert fingerprint_source(CODE) == fingerprint_source(other)


@pytest.mark.parametrize(
    ("old", "new"),
    [("/ len", "// len"), ("mean", "median"), ("len(values)", "len(values + [1])")],
)
def test_every_change_of_code_counts(old: str, new: str) -> None:
    """An operator, a name or a constant changes the version."""
    assert fingerprint_source(CODE) != fingerprint_source(CODE.replace(old, new))


def test_a_string_that_is_a_value_counts() -> None:
    """Only docstrings are left out, not strings that are used."""
    assert fingerprint_source("x = 'a'") != fingerprint_source("x = 'b'")


def test_the_version_is_pinned_across_pythons() -> None:
    """A stored version must not change with the interpreter that reads the code."""
    assert fingerprint_source(CODE) == "14cc852c65d116f51a6b49d222475791"


def test_a_module_that_does_not_exist_is_named() -> None:
    """A job that lists a wrong module says which."""
    with pytest.raises(UsageError, match=r"'ray_backfill_nba\.nothing'"):
        code_version(["ray_backfill_nba.nothing"])


def test_a_docstring_of_a_constant_does_not_count() -> None:
    """Text that stands alone does nothing, wherever it stands."""
    documented = "class A:\n    x = 1\n    'What x is.'\ny = 2\n'What y is.'\n"
    assert fingerprint_source(documented) == fingerprint_source("class A:\n    x = 1\ny = 2\n")


def test_text_counts_by_its_characters_and_not_by_whether_they_can_be_printed() -> None:
    """A newer Python may print what an older one writes as a number."""
    assert fingerprint_source("x = '\\U0001fae9'") == fingerprint_source("x = '\U0001fae9'")


# -- where a module stands -------------------------------------------------------------------------
Version = Callable[[Mapping[str, str], list[str]], str]
MEAN = """
import statistics
from ray_backfill.job.calendar import Season
from ray_backfill.job.table import Column, Kind
from {top}.clean import tidy as clean_up, good
from {top} import league
from {top}.columns import OUTPUT

__all__ = ["mean"]


def mean(values):
    from {top}.league import sides
    return statistics.mean(clean_up(values, sides, league, good))
"""
JOB = {"clean.py": "def tidy(v, *rest): return v\n", "league.py": "sides = 1\n", "mean.py": MEAN}


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """The code version of modules, when these files are all there is to import."""

    def version(files: Mapping[str, str], modules: list[str]) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, source in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            importlib.invalidate_caches()
            return code_version(modules)

    return version


def at(package: str, sources: Mapping[str, str] = JOB) -> tuple[dict[str, str], list[str]]:
    """Files and modules of the job where its package stands at this place."""
    folder = package.replace(".", "/")
    files = {f"{folder}/{name}": text.replace("{top}", package) for name, text in sources.items()}
    return files, [f"{package}.{name.removesuffix('.py')}" for name in sources]


def changed(old: str, new: str) -> dict[str, str]:
    """The job's files after an edit of `mean`."""
    assert MEAN.count(old) == 1
    return {**JOB, "mean.py": MEAN.replace(old, new)}


def test_a_package_that_is_moved_or_renamed_has_its_version(version: Version) -> None:
    """Names are relative to the job, in the list of modules and in imports."""
    before = version(*at("oldjobs.context"))
    assert version(*at("newjobs_nba.player.context")) == before
    assert version(*at("single")) == before


def test_a_module_that_is_moved_out_of_its_folder_has_its_version(version: Version) -> None:
    """Into the folder above, where other jobs use it too."""
    files, _ = at("pkg.context")
    names = ["pkg.clean", "pkg.context.league", "pkg.context.mean"]
    moved = {
        "pkg/clean.py": JOB["clean.py"],
        "pkg/context/league.py": JOB["league.py"],
        "pkg/context/mean.py": files["pkg/context/mean.py"]
        .replace("from pkg.context.clean", "from ..clean")
        .replace("from pkg.context import", "from . import"),
    }
    assert version(moved, names) == version(*at("pkg.context"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from ray_backfill.job.calendar import", "from ray_backfill.job.calendar import"),
        (
            "from ray_backfill.job.table import Column, Kind",
            "from ray_backfill import Kind, Column",
        ),
        ("from {top}.columns", "from {top}.shared.columns"),
        ('__all__ = ["mean"]', ""),
        ("import tidy as clean_up, good", "import good, tidy as clean_up"),
    ],
)
def test_where_imports_come_from_within_the_project_does_not_count(
    version: Version, old: str, new: str
) -> None:
    """Modules of the engine and of the job's own package may move, and nobody counts exports."""
    assert version(*at("pkg", changed(old, new))) == version(*at("pkg"))


def test_the_order_of_imports_does_not_count(version: Version) -> None:
    """A module that moves is sorted in elsewhere."""
    head, blank, rest = MEAN.partition("\n\n")
    turned = "\n".join(reversed(head.split("\n")))
    assert turned != head
    assert version(*at("pkg", {**JOB, "mean.py": turned + blank + rest})) == version(*at("pkg"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import statistics", "import math as statistics"),
        ("import statistics", "import other.statistics as statistics"),
        ("import statistics", "from other import statistics"),
        ("calendar import Season", "calendar import Window as Season"),
        ("tidy as clean_up", "tidy_all as clean_up"),
        ("from {top}.clean", "from {top}.league"),
        ("from {top}.clean", "from {top}.other.clean"),
        ("from {top} import league", "from {top} import clean as league"),
        (", good\n", ", good\nfrom math import pi as good\n"),
    ],
)
def test_what_is_imported_counts(version: Version, old: str, new: str) -> None:
    """Another name, another package, another value module, another one of the same name."""
    assert version(*at("pkg", changed(old, new))) != version(*at("pkg"))


def test_of_two_imports_of_one_name_the_last_one_counts(version: Version) -> None:
    """Sorting must not hide which of them holds."""
    first = {"a.py": "from math import pi as x\nfrom math import e as x\n"}
    second = {"a.py": "from math import e as x\nfrom math import pi as x\n"}
    assert version(*at("pkg", first)) != version(*at("pkg", second))
    star = {"a.py": "from math import pi\nfrom {top}.b import *\n"}
    other = {"a.py": "from {top}.b import *\nfrom math import pi\n"}
    assert version(*at("pkg", star)) != version(*at("pkg", other))


def test_all_counts_where_it_decides_what_is_imported(version: Version) -> None:
    """`from … import *` takes what `__all__` lists."""
    user = "from {top}.b import *\n"
    few = {"a.py": user, "b.py": "__all__ = ['f']\n"}
    more = {"a.py": user, "b.py": "__all__ = ['f', 'len']\n"}
    assert version(*at("pkg", few)) != version(*at("pkg", more))
    read = {"b.py": "__all__ = ['f']\nnames = __all__\n"}
    assert version(*at("pkg", read)) != version(
        *at("pkg", {"b.py": "__all__ = ['g']\nnames = __all__\n"})
    )


def test_modules_of_one_name_are_told_apart_by_their_folders(version: Version) -> None:
    """Two that change places are another version."""
    files = {"pkg/home/rules.py": "x = 1\n", "pkg/away/rules.py": "x = 2\n"}
    swapped = {"pkg/home/rules.py": "x = 2\n", "pkg/away/rules.py": "x = 1\n"}
    names = ["pkg.home.rules", "pkg.away.rules"]
    assert version(files, names) == version(files, names[::-1])
    assert version(files, names) != version(swapped, names)


def test_another_major_version_of_polars_is_another_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It computes the values; its minor versions promise to compute the same."""
    before = code_version(["tests.rolling_job"])
    major, _, rest = pl.__version__.partition(".")
    monkeypatch.setattr(pl, "__version__", f"{major}.999.0")
    assert code_version(["tests.rolling_job"]) == before
    monkeypatch.setattr(pl, "__version__", f"{int(major) + 1}.{rest}")
    assert code_version(["tests.rolling_job"]) != before
