"""The version of a job's code: what computes values, without comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ray_backfill.errors import UsageError

__all__ = ["code_version", "fingerprint_source", "source_version"]

_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def code_version(modules: Sequence[str]) -> str:
    """12 hexadecimal digits over the syntax trees of the modules, in the order of their names.

    Raises `UsageError` for a module that cannot be found.
    """
    whole = hashlib.blake2b(digest_size=6)
    for name in sorted(modules):
        try:
            spec = find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is None or spec.origin is None:
            raise UsageError(f"The value module '{name}' of the job cannot be found.")
        whole.update(f"{name}={fingerprint_source(Path(spec.origin).read_text('utf-8'))};".encode())
    return whole.hexdigest()


def source_version(modules: Sequence[str]) -> str:
    """Hash of every byte of the modules, and of those that stand beside them in their packages.

    Wider than `code_version`: what a view shows and what a calendar says may come from any of
    them, and a digest that was made by other code must not be trusted.
    """
    files: set[Path] = set()
    for name in modules:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            files.update(origin.parent.glob("*.py") if "." in name else [origin])
    whole = hashlib.blake2b(digest_size=8)
    for path in sorted(files):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def fingerprint_source(source: str) -> str:
    """Hash of a module's syntax tree; the same for the same code on every Python from 3.11."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _SCOPES) and _is_docstring(node.body[:1]):
            node.body = node.body[1:]
    return hashlib.blake2b(_dump(tree).encode(), digest_size=16).hexdigest()


def _is_docstring(body: Sequence[ast.stmt]) -> bool:
    return bool(
        body
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    )


def _dump(node: object) -> str:
    # Not ast.dump: it names empty fields, of which newer Pythons have more.
    if isinstance(node, ast.AST):
        fields = (
            f"{name}={_dump(value)}"
            for name, value in ast.iter_fields(node)
            if value is not None and value != [] and name not in ("ctx", "kind", "type_comment")
        )
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return f"{type(node).__name__}:{node!r}"
