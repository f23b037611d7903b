"""The version of a job's code: what computes values, without comments, docstrings and layout.

Nor does it count where a module stands: a value module goes by the end of its name, the engine's
modules go by the names that are taken from them, and so do imports, in whatever order they are
written. Moving files makes nothing stale.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ray_backfill.errors import UsageError
from ray_backfill.staleness.code_files import (
    files_of,
    parsed,
    source_of,
    with_imports,
    with_neighbours,
)

__all__ = ["code_version", "fingerprint_source", "source_version"]

_ENGINE = "ray_backfill"
_EXPORTS = "__all__"
_BLOCKS = ("body", "orelse", "finalbody")
_QUIET = ("ctx", "kind", "type_comment")


def code_version(modules: Sequence[str]) -> str:
    """12 hexadecimal digits over the syntax trees of the modules, and the bytes of other files.

    `modules` as in `Job.modules`. The major version of Polars is part of it.
    Raises `UsageError` for what cannot be found.
    """
    import polars as pl

    files = files_of(modules)
    trees = {name: parsed(path) for name, path in files.items()}
    exports = any(tree is not None and _uses_exports(tree) for tree in trees.values())
    short = _short_names(files)
    parts = []
    for name, path in files.items():
        tree = trees[name]
        if tree is None:
            digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        else:
            digest = _tree_digest(tree, _Place(name, path, short), exports=exports)
        parts.append(f"{short[name]}={digest};")
    whole = "".join([*sorted(parts), f"polars={pl.__version__.split('.')[0]};"])
    return hashlib.blake2b(whole.encode(), digest_size=6).hexdigest()


def source_version(modules: Sequence[str], shown: Sequence[str] = ()) -> str:
    """Hash of every byte of the modules, of those that they import or that stand beside them in
    their packages, and of the whole engine.

    Wider than `code_version`: what a view shows and what a calendar says may come from any of
    them, and a digest that was made by other code must not be trusted. `shown`: modules of
    functions, which may have no file.
    """
    files = files_of(modules)
    for name in shown:
        try:
            files |= files_of([name])
        except UsageError:
            continue
    files = with_neighbours(files) | with_imports(files) | files_of([_ENGINE])
    whole = hashlib.blake2b(digest_size=8)
    for name, path in sorted(files.items()):
        whole.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def fingerprint_source(source: str) -> str:
    """Hash of a module's syntax tree; the same for the same code on every Python from 3.11."""
    return _tree_digest(ast.parse(source), _Place("module", Path("module.py"), {}), exports=False)


@dataclass(frozen=True, slots=True)
class _Place:
    """A module, and the value modules of its job with the short names that they go by."""

    name: str
    path: Path
    short: Mapping[str, str]

    def called(self, module: str) -> str:
        """What a module is called in this one: the same wherever the two stand."""
        top = module.split(".")[0]
        if module in self.short:
            return f"={self.short[module]}"
        if top == _ENGINE:
            return _ENGINE
        own = top in {name.split(".")[0] for name in self.short}
        return f"~{module.rpartition('.')[2]}" if own else module

    def imports(self, node: ast.Import | ast.ImportFrom) -> list[tuple[str, str]]:
        """(name that is bound, what it is bound to) for each name of an import."""
        if isinstance(node, ast.Import):
            return [
                (alias.asname or alias.name.split(".")[0], self._module(alias))
                for alias in node.names
            ]
        of = source_of(self.name, self.path, node)
        return [(alias.asname or alias.name, self._taken(of, alias.name)) for alias in node.names]

    def _module(self, alias: ast.alias) -> str:
        return f"{'as' if alias.asname else 'whole'} {self.called(alias.name)}"

    def _taken(self, of: str, name: str) -> str:
        inner = f"{of}.{name}"
        return f"as {self.called(inner)}" if inner in self.short else f"{self.called(of)} {name}"


def _short_names(files: Mapping[str, Path]) -> dict[str, str]:
    """Each name by as many of its last parts as tell it from the others."""
    parts = {name: (*name.partition(":")[0].split("."), name.partition(":")[2]) for name in files}
    found = {}
    for name, whole in parts.items():
        lengths = range(2, len(whole) + 1)
        shortest = next(
            (n for n in lengths if sum(p[-n:] == whole[-n:] for p in parts.values()) == 1),
            len(whole),
        )
        found[name] = ".".join(whole[-shortest:-1]) + (f":{whole[-1]}" if whole[-1] else "")
    return found


def _uses_exports(tree: ast.Module) -> bool:
    """Whether `__all__` decides anything: it is read, or a module is taken with all its names."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(names=names):
                if any(alias.name in ("*", _EXPORTS) for alias in names):
                    return True
            case ast.Name(id="__all__", ctx=ast.Load()) | ast.Attribute(attr="__all__"):
                return True
    return False


def _tree_digest(tree: ast.Module, place: _Place, *, exports: bool) -> str:
    text = _Dump(place, exports).text(tree)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Dump:
    """A syntax tree as text. Not `ast.dump`: it names empty fields, of which newer Pythons have
    more.
    """

    place: _Place
    exports: bool
    """Whether `__all__` decides anything."""

    def text(self, node: object) -> str:
        if isinstance(node, ast.AST):
            fields = (
                f"{name}={self.text(kept)}"
                for name, value in ast.iter_fields(node)
                if name not in _QUIET and (kept := self._kept(name, value)) not in (None, [])
            )
            return f"{type(node).__name__}({','.join(fields)})"
        if isinstance(node, list):
            return f"[{','.join(map(self.text, node))}]"
        # In ASCII: which characters can be printed is not the same for every Python.
        return f"{type(node).__name__}:{node!a}"

    def _kept(self, field: str, value: object) -> object:
        block = field in _BLOCKS and isinstance(value, list)
        return _canonical(cast(list[ast.stmt], value), self.place, self.exports) if block else value


def _canonical(statements: Sequence[ast.stmt], place: _Place, exports: bool) -> list[object]:
    """The statements that do something; imports that follow each other as one text, sorted."""
    found: list[object] = []
    imports: list[tuple[str, str]] = []
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports += place.imports(statement)
        elif not _is_idle(statement, exports):
            found += _imports_text(imports)
            found.append(statement)
            imports = []
    return found + _imports_text(imports)


def _imports_text(imports: Sequence[tuple[str, str]]) -> list[object]:
    if not imports:
        return []
    # The last one of a name holds; and what `*` brings may hide what came before it.
    in_order = any(bound == "*" for bound, _ in imports)
    kept = imports if in_order else sorted(dict(imports).items())
    return ["; ".join(f"{bound} = {what}" for bound, what in kept)]


def _is_idle(statement: ast.stmt, exports: bool) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case (
            ast.Assign(targets=[ast.Name(id="__all__")])
            | ast.AnnAssign(target=ast.Name(id="__all__"))
            | ast.AugAssign(target=ast.Name(id="__all__"))
        ):
            return not exports
    return False
