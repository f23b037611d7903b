"""The version of what decides what of the computed rows is published, and which are quarantined.

A date that failed its gates is not tried again on the same inputs and code, but it is when a gate
was corrected. Gates stand outside of the value modules, whose code makes dates stale; so does what
`compute` finds to quarantine. Here count the gates and `compute` with all that they import of the
job's own package, the value modules apart; the engine's own gates; and the contract of the output.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_backfill.staleness.code_version import fingerprint_source

if TYPE_CHECKING:
    from ray_backfill.job.job import Job

__all__ = ["rule_modules", "rules_version"]

_OURS = "ray_backfill"
_ENGINE = ("ray_backfill.engine.answer", "ray_backfill.job.gates")
_SUFFIXES = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)
_PLAIN = (bool, int, float, str, bytes, type(None), tuple, frozenset)


def rules_version(job: Job) -> str:
    """12 hexadecimal digits over the code of the rules, their parameters, and the contract."""
    whole = hashlib.blake2b(digest_size=6)
    for name, path in sorted(rule_modules(job).items()):
        if name not in job.modules:  # these count by the code version
            whole.update(f"{name}={_syntax(path)};".encode())
    whole.update(repr([_parameters(gate) for gate in job.gates]).encode())
    columns = [(c.name, c.kind.value, c.nullable) for c in job.output.columns]
    whole.update(repr((columns, job.output.key, job.output.partition)).encode())
    return whole.hexdigest()


def rule_modules(job: Job) -> dict[str, Path]:
    """Module -> file of everything that the rules are made of; what has no file is left out."""
    functions: list[Callable[..., Any]] = [job.compute, *job.gates]
    todo = [*_ENGINE, *job.modules, *(_bare(function).__module__ for function in functions)]
    found: dict[str, Path] = {}
    while todo:
        name = todo.pop()
        path = _file(name)
        if name not in found and path is not None:
            found[name] = path
            if name.partition(".")[0] != _OURS:
                todo += _imported(name, path)
    return found


def _bare(function: Callable[..., Any]) -> Any:
    """The function itself, of a partial; the class of an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def _parameters(gate: Callable[..., Any]) -> tuple[Any, ...]:
    """What a gate was made with, as far as it is plain."""
    given: list[Any] = []
    while isinstance(gate, partial):
        given += [*gate.args, *sorted(gate.keywords.items())]
        gate = gate.func
    cells = getattr(gate, "__closure__", None) or ()
    given += [cell.cell_contents for cell in cells]
    given += getattr(gate, "__defaults__", None) or ()
    return _bare(gate).__qualname__, *(value for value in given if isinstance(value, _PLAIN))


def _syntax(path: Path) -> str:
    """Hash of a file's syntax; of its bytes where it has none, as a module that is compiled."""
    data = path.read_bytes()
    try:
        return fingerprint_source(data.decode("utf-8"))
    except (SyntaxError, ValueError):
        return hashlib.blake2b(data, digest_size=16).hexdigest()


def _file(name: str) -> Path | None:
    """The file of a module, found without importing anything: that may do what it likes."""
    top, *below = name.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin and spec.has_location else None
    for place in spec.submodule_search_locations or ():
        base = Path(place, *below)
        made = [base.with_name(base.name + suffix) for suffix in _SUFFIXES]
        found = next((path for path in (base / "__init__.py", *made) if path.is_file()), None)
        if found is not None:
            return found
    return None


def _imported(name: str, path: Path) -> Iterator[str]:
    """Modules of the same package that a module imports; of a lone file, lone files beside it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    is_package = path.name == "__init__.py"
    within = name if is_package else name.rpartition(".")[0]
    alone = "." not in name and not is_package
    for node in ast.walk(tree):
        for other in _named(node, within):
            beside = alone and (path.parent / f"{other}.py").exists()
            if beside or other.partition(".")[0] == name.partition(".")[0]:
                yield other


def _named(node: ast.AST, within: str) -> Iterator[str]:
    """Modules that a statement may import: of `from a import b` both `a` and `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = within.split(".")[: len(within.split(".")) - node.level + 1]
        base = ".".join([*(parents if node.level else []), *([node.module] if node.module else [])])
        yield from (base, *(f"{base}.{alias.name}" for alias in node.names))
