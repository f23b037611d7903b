"""Which files are the code of a job: of modules, of packages, of what they import; data files.

Nothing is imported for it: what a job names may be large, or not be there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from ray_backfill import names
from ray_backfill.errors import UsageError

__all__ = ["files_of", "parsed", "source_of", "with_imports", "with_neighbours"]

_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)
"""In the order in which Python takes them: a compiled module hides its source."""

Files = Mapping[str, Path]
"""Import name -> its file; `package:path` -> a data file."""


def files_of(named: Sequence[str]) -> dict[str, Path]:
    """The files of what a job names, by import name.

    A package, or a folder without `__init__.py`, stands for every module below it; `package:path`
    for a data file beside the package's modules, or for all files of a folder there.
    Raises `UsageError` for what cannot be found.
    """
    found: dict[str, Path] = {}
    for name in named:
        found |= _data_files(name) if ":" in name else _modules(name)
    return found


def with_neighbours(files: Files) -> dict[str, Path]:
    """The files, and the source files beside them in their packages."""
    found = dict(files)
    for name, path in files.items():
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        if package and ":" not in name:
            found |= {f"{package}.{other.stem}": other for other in path.parent.glob("*.py")}
    return found


def with_imports(files: Files) -> dict[str, Path]:
    """The files, and those of the modules that they import, and these in turn.

    Followed is what belongs to the same top-level packages, or lies beside them where nothing is
    installed; not what others wrote.
    """
    homes = cache(_homes)
    found, waiting = dict(files), list(files)
    tops = {name.partition(":")[0].split(".")[0] for name in files}
    # Where packages are installed they lie beside each other, everybody's.
    near = {home for top in tops for home in homes(top) if not any(home.glob("*.dist-info"))}
    while waiting:
        name = waiting.pop()
        for other in _imported(name, found[name]):
            top = other.split(".")[0]
            if other not in found and (top in tops or not near.isdisjoint(homes(top))):
                file, _ = _locate(other)
                if file is not None:
                    found[other] = file
                    waiting.append(other)
    return found


def parsed(path: Path) -> ast.Module | None:
    """The syntax tree of a source file; None for any other, and for one that is no Python."""
    if path.suffix not in SOURCE_SUFFIXES:
        return None
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None


def source_of(name: str, path: Path, node: ast.ImportFrom) -> str:
    """The whole name of the module that a `from … import` in module `name` takes from."""
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    kept = len(parts) - node.level + (path.stem == "__init__")
    return ".".join([*parts[: max(0, kept)], *([node.module] if node.module else [])])


def _imported(name: str, path: Path) -> Iterator[str]:
    """Names that a file imports, with the packages that they lie in; some may be no modules."""
    tree = parsed(path)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            whole = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            of = source_of(name, path, node)
            whole = [f"{of}.{alias.name}" for alias in node.names]
        else:
            continue
        for one in whole:
            parts = one.split(".")
            yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _modules(name: str) -> dict[str, Path]:
    file, folders = _locate(name)
    if file is None and not folders:
        raise UsageError(
            f"The value module '{name}' of the job cannot be found.",
            hint="Name modules and packages as they are imported, and data files as package:path.",
        )
    found = {} if file is None else {name: file}
    for folder in reversed(folders):
        found |= dict(_below(name, folder, frozenset()))
    if not found:
        raise UsageError(f"There is no module in the folder '{name}', which the job names.")
    return found


def _below(package: str, folder: Path, above: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    """Every module below a package's folder; a link back up leads nowhere."""
    above |= {folder.resolve()}
    stems = {_stem(path.name) for path in folder.iterdir()}
    for stem in sorted(stems - {"", "__init__"}):
        file, folders = _inside([folder], stem)
        if any(inner.resolve() in above for inner in folders):
            continue
        if file is not None:
            yield f"{package}.{stem}", file
        for inner in folders:
            yield from _below(f"{package}.{stem}", inner, above)


def _stem(name: str) -> str:
    """What a file or folder is imported as; empty for what cannot be."""
    suffix = next((s for s in _SUFFIXES if name.endswith(s)), "")
    stem = name.removesuffix(suffix)
    return stem if stem.isidentifier() and stem != "__pycache__" else ""


def _locate(name: str) -> tuple[Path | None, list[Path]]:
    """A module's file, and the folders that hold what is below it."""
    loaded = sys.modules.get(name)
    if loaded is not None and name != "__main__":
        file = getattr(loaded, "__file__", None)
        return (Path(file) if file else None), [Path(f) for f in getattr(loaded, "__path__", ())]
    parent, _, last = name.rpartition(".")
    return _inside(_locate(parent)[1], last) if parent else _top(name)


def _top(name: str) -> tuple[Path | None, list[Path]]:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return None, []
    file = Path(spec.origin) if spec.origin and spec.has_location else None
    return file, [Path(folder) for folder in spec.submodule_search_locations or ()]


def _inside(folders: Sequence[Path], name: str) -> tuple[Path | None, list[Path]]:
    """As Python finds a module in folders: a package, a module, or folders without a module."""
    for folder in folders:
        if package := _file(folder / name, "__init__"):
            return package, [folder / name]
        if module := _file(folder, name):
            return module, []
    return None, [folder / name for folder in folders if (folder / name).is_dir()]


def _file(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _homes(top: str) -> frozenset[Path]:
    """The folders that a top-level module or package lies in."""
    file, folders = _locate(top)
    return frozenset(f.resolve().parent for f in folders or ([file] if file else []))


def _data_files(entry: str) -> dict[str, Path]:
    base, _, text = entry.partition(":")
    file, folders = _locate(base)
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts:
        raise UsageError(
            f"{names.shown(entry)} is no data file of a job.",
            hint="Write it as package:path, the path from the package's folder on.",
        )
    for folder in folders or ([file.parent] if file else []):
        if (folder / path).is_file():
            return {entry: folder / path}
        if (folder / path).is_dir():
            return {f"{base}:{p.relative_to(folder).as_posix()}": p for p in _all(folder / path)}
    raise UsageError(f"The data file '{text}' of the job is not in the package '{base}'.")


def _all(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).parts
        if path.is_file() and not any(p.startswith(".") or p == "__pycache__" for p in inner):
            yield path
