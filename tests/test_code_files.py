"""What a job names is found, whole, without being imported; and what that imports."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from ray_backfill.errors import UsageError
from ray_backfill.staleness.code_files import files_of
from ray_backfill.staleness.code_version import code_version, source_version

Write = Callable[[Mapping[str, str | bytes]], None]
SHOP: dict[str, str | bytes] = {
    "shoplib/__init__.py": "RAISED = 1\nraise SystemExit('it was imported')\n",
    "shoplib/prices.py": "VAT = 1.2\n",
    "shoplib/inner/rates.py": "RATE = 1\n",
    "shoplib/inner/deep/more.py": "MORE = 1\n",
    "shoplib/sub/__init__.py": "SUB = 1\n",
    "shoplib/sub/codes.py": "CODE = 1\n",
    f"shoplib/fast{EXTENSION_SUFFIXES[0]}": b"\x7fELF 1",
    "shoplib/rates.csv": "AUD,1.6\n",
    "shoplib/data/a.csv": "a\n",
    "shoplib/data/more/b.csv": "b\n",
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files into a folder that modules are imported from."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        importlib.invalidate_caches()

    return write


def changed(write: Write, name: str, *modules: str) -> bool:
    """Whether the code version of modules changes with a file."""
    write(SHOP)
    before = code_version(modules)
    write({name: "VALUE = 2\n" if name.endswith(".py") else b"another"})
    return code_version(modules) != before


@pytest.mark.parametrize("name", [name for name in SHOP if name.endswith((".py", ".so", ".pyd"))])
def test_a_package_means_every_module_below_it(write: Write, name: str) -> None:
    """Also in folders without `__init__.py`, and those that are compiled; nothing is imported."""
    assert changed(write, name, "shoplib")
    assert "shoplib" not in sys.modules


@pytest.mark.parametrize(
    "name", ["shoplib/rates.csv", "shoplib/__pycache__/prices.py", "shoplib/notes.md"]
)
def test_what_is_no_module_does_not_count_unless_it_is_named(write: Write, name: str) -> None:
    """Notes, caches, and data that the job does not read."""
    assert not changed(write, name, "shoplib")


def test_a_folder_without_init_can_be_named(write: Write) -> None:
    """All below it, and nothing beside it."""
    assert changed(write, "shoplib/inner/rates.py", "shoplib.inner")
    assert changed(write, "shoplib/inner/deep/more.py", "shoplib.inner")
    assert not changed(write, "shoplib/prices.py", "shoplib.inner")


def test_a_data_file_or_a_folder_of_them_can_be_named(write: Write) -> None:
    """By the package and the path from there: what is read at import counts by its bytes."""
    assert changed(write, "shoplib/rates.csv", "shoplib.prices", "shoplib:rates.csv")
    assert changed(write, "shoplib/rates.csv", "shoplib.prices", "shoplib.prices:rates.csv")
    for name in ("shoplib/data/a.csv", "shoplib/data/more/b.csv", "shoplib/data/new.csv"):
        assert changed(write, name, "shoplib.prices", "shoplib:data")
    assert not changed(write, "shoplib/data/.new.csv", "shoplib.prices", "shoplib:data")


def test_a_compiled_module_counts_instead_of_its_source(write: Write) -> None:
    """As Python would take it; the source beside it decides nothing."""
    compiled = f"shoplib/fast{EXTENSION_SUFFIXES[0]}"
    write(SHOP | {"shoplib/fast.py": "X = 1\n"})
    assert files_of(["shoplib.fast"])["shoplib.fast"].name == Path(compiled).name
    assert changed(write, compiled, "shoplib.fast")
    assert not changed(write, "shoplib/fast.py", "shoplib.fast")


def test_a_file_that_is_no_python_counts_by_its_bytes(write: Write) -> None:
    """A template below a package ends nothing."""
    write(SHOP | {"shoplib/template.py": "def {{ name }}: pass\n"})
    before = code_version(["shoplib"])
    write({"shoplib/template.py": "def {{ other }}: pass\n"})
    assert code_version(["shoplib"]) != before


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("shoplib.nothing", r"'shoplib\.nothing' of the job cannot be found"),
        ("nolib", "'nolib' of the job cannot be found"),
        ("sys", "'sys' of the job cannot be found"),
        ("shoplib.empty", "no module in the folder 'shoplib.empty'"),
        ("shoplib:none.csv", "'none.csv' of the job is not in the package 'shoplib'"),
        ("nolib:none.csv", "'none.csv' of the job is not in the package 'nolib'"),
        ("shoplib:", "is no data file"),
        ("shoplib:../x.csv", "is no data file"),
        ("shoplib:/etc/passwd", "is no data file"),
    ],
)
def test_what_is_not_there_is_named(write: Write, tmp_path: Path, named: str, message: str) -> None:
    """A misspelt module or file must not be a version of nothing."""
    write(SHOP)
    (tmp_path / "shoplib/empty").mkdir()
    with pytest.raises(UsageError, match=message):
        code_version(["shoplib.prices", named])


def test_a_link_to_the_package_itself_leads_nowhere(write: Write, tmp_path: Path) -> None:
    """A package is walked once."""
    write(SHOP)
    (tmp_path / "shoplib/sub/again").symlink_to(tmp_path / "shoplib")
    assert len(files_of(["shoplib"])) == 7


# -- what digests are trusted by -------------------------------------------------------------------
FOLLOWED: dict[str, str | bytes] = {
    "joblib_/__init__.py": "",
    "joblib_/job.py": "from .calendars import calendar\nimport beside\nimport installed\n",
    "joblib_/calendars/__init__.py": "def calendar():\n    from joblib_.far import near\n",
    "joblib_/far/near.py": "NEAR = 1\n",
    "joblib_/far/other.py": "OTHER = 1\n",
    "beside.py": "import beside_too\n",
    "beside_too.py": "X = 1\n",
    "joblib_/rates.csv": "1\n",
}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("joblib_/__init__.py", True),
        ("joblib_/calendars/__init__.py", True),
        ("joblib_/far/near.py", True),
        ("joblib_/far/other.py", False),
        ("beside_too.py", True),
        ("joblib_/rates.csv", True),
    ],
)
def test_kept_digests_rest_on_all_code_that_is_imported(
    write: Write, name: str, counts: bool
) -> None:
    """A calendar that a job takes from elsewhere is not kept when that is edited."""
    named = ["joblib_.job", "joblib_:rates.csv"]
    write(FOLLOWED)
    before, version = source_version(named), code_version(named)
    write({name: "Z = 1\n"})
    assert (source_version(named) != before) is counts
    assert (code_version(named) != version) is name.endswith(".csv")
    write(FOLLOWED)
    assert source_version(["joblib_.far.near"], ["joblib_.job", "__main__", "nowhere"]) != (
        source_version(["joblib_.far.near"])
    )


def test_what_others_installed_is_not_followed(write: Write) -> None:
    """Where packages are installed they lie beside the job, and are not its code."""
    write(FOLLOWED | {"some-1.0.dist-info/METADATA": ""})
    before = source_version(["joblib_.job"])
    write({"beside_too.py": "Z = 1\n"})
    assert source_version(["joblib_.job"]) == before
    write({"joblib_/far/near.py": "Z = 1\n"})
    assert source_version(["joblib_.job"]) != before
