"""The code version follows what the code does, not how it is written down."""

from __future__ import annotations

import pytest

from ray_backfill.code_version import code_version, fingerprint_source
from ray_backfill.errors import UsageError

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
