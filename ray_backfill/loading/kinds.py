"""What a file to load is: its format by its name, and the separator of a text by its header."""

from __future__ import annotations

import csv
from collections.abc import Collection
from enum import StrEnum

__all__ = ["SUFFIXES", "Format", "format_of", "is_packed", "separator_of"]


class Format(StrEnum):
    """How the rows of a file are written."""

    PARQUET = "parquet"
    TEXT = "text"
    JSON = "json"


_TEXTS = {
    ".csv": Format.TEXT,
    ".tsv": Format.TEXT,
    ".ndjson": Format.JSON,
    ".jsonl": Format.JSON,
}
_FORMATS = {
    ".parquet": Format.PARQUET,
    **{suffix + packed: kind for suffix, kind in _TEXTS.items() for packed in ("", ".gz")},
}
SUFFIXES = tuple(_FORMATS)
"""Endings of the names of files that can be loaded, in any case."""

_SEPARATORS = (",", ";", "\t", "|")


def format_of(name: str) -> Format | None:
    """The format that the ending of a file's name says; None for one that says none."""
    lower = name.lower()
    return next((kind for suffix, kind in _FORMATS.items() if lower.endswith(suffix)), None)


def is_packed(name: str) -> bool:
    """Whether its ending says that a file is compressed."""
    return name.lower().endswith(".gz")


def separator_of(name: str, line: str, columns: Collection[str]) -> tuple[str, bool]:
    """What separates the fields of a file whose first line this is, and whether that is a guess.

    The one that a spreadsheet states (`sep=;`), else that which gives most of the columns that
    the table has: where none gives more, that of the ending.
    """
    stated = line.strip()
    if stated.lower().startswith("sep=") and len(stated) == 5:
        return stated[-1], False
    usual = "\t" if ".tsv" in name.lower() else ","
    known = {sep: _known(line, sep, columns) for sep in (usual, *_SEPARATORS)}
    found = max(known, key=lambda separator: known[separator])
    return found, found != usual


def _known(line: str, separator: str, columns: Collection[str]) -> int:
    names = next(csv.reader([line], delimiter=separator), [])
    return len(set(names) & set(columns))
