"""A job's options: typed by its frozen dataclass, stamped as sorted JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, get_type_hints

from ray_backfill.errors import DataError, JobCodeError, UsageError
from ray_backfill.job.job import Job
from ray_backfill.job.user_code import called

__all__ = ["from_json", "parse_options", "problems_of", "to_json"]

_KINDS = (bool, int, float, str)
"""What an option may be: each comes back from JSON as it was."""
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def to_json(options: Any) -> str:
    """Sorted, compact JSON of an option set; a float that was written as `1` is `1.0` there."""
    kinds = _kinds(type(options))
    values = {n: float(v) if kinds[n] is float else v for n, v in asdict(options).items()}
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(job: Job, text: str) -> Any:
    """The option set that was stamped.

    Options that the job has no more, and values of another kind than theirs now is, are left
    out: they have their defaults then, and the plan shows both sets.
    """
    kinds = _kinds(job.options)
    values = {n: _as(v, kinds[n]) for n, v in _object(text).items() if n in kinds}
    return _made(job, {name: value for name, value in values.items() if value is not None})


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _as(value: Any, kind: type) -> Any:
    """A value out of JSON as its option's kind; None where it is of another."""
    if kind is float and type(value) in (int, float):
        return float(value) if _is_finite(value) else None
    return value if type(value) is kind else None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False  # a whole number that no float can be


def parse_options(job: Job, texts: Sequence[str], base: Any) -> Any:
    """`base` with each `name=value` applied.

    Raises `UsageError` for an unknown name or a value of the wrong type, listing the options.
    """
    values, kinds = asdict(base), _kinds(job.options)
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in values:
            raise UsageError(
                f"'{text}' is not an option of {job.name}.", hint=f"Options: {_listed(job)}."
            )
        values[name] = _typed(name, value, kinds[name])
    return _made(job, values)


def _made(job: Job, values: Mapping[str, Any]) -> Any:
    """The option set; raises `UsageError` for values that the job's own class refuses."""
    try:
        return called("", lambda: job.options(**values))
    except (JobCodeError, DataError) as error:
        raise UsageError(
            f"The options of {job.name} cannot be {json.dumps(values)}: {error}"
        ) from error


def _typed(name: str, text: str, kind: type) -> Any:
    try:
        found = _BOOLS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise UsageError(f"Option {name} takes a {kind.__name__}, not '{text}'.") from None
    if kind is float and not math.isfinite(found):
        raise UsageError(f"Option {name} takes a number, and '{text}' is none that JSON has.")
    return found


def _listed(job: Job) -> str:
    listed = [
        f"{field.name} ({field.metadata.get('help', '')} default {field.default})"
        for field in fields(job.options)
    ]
    return "; ".join(listed) or "it has none"


def _kinds(options: type) -> dict[str, type]:
    """Option -> what it is: by its annotation, or by its default where that says nothing."""
    hints = _hints(options)
    return {f.name: hints.get(f.name) or type(f.default) for f in fields(options)}


def _hints(options: type) -> dict[str, type]:
    try:
        found = get_type_hints(options)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}  # names that are known in a function alone
    return {name: hint for name, hint in found.items() if hint in _KINDS}


def problems_of(options: type) -> list[str]:
    """What is wrong with an option set: it has to come back from JSON as it was."""
    if not (isinstance(options, type) and is_dataclass(options)):
        return ["its options are no dataclass"]
    found = [] if _is_frozen(options) else ["the dataclass of its options is not frozen"]
    kinds = _kinds(options)
    for field in fields(options):
        kind, default = kinds[field.name], field.default
        if default is MISSING:
            found.append(f"the option {field.name} has no plain default")
        elif kind not in _KINDS or type(default) not in (
            (int, float) if kind is float else (kind,)
        ):
            found.append(
                f"the option {field.name} = {default!r} is a {type(default).__name__}: options are "
                "bool, int, float or str, as annotated, which JSON has"
            )
        elif kind is float and not _is_finite(default):
            found.append(f"the option {field.name} = {default!r} is no number that JSON has")
    return found


def _is_frozen(options: type) -> bool:
    return bool(options.__dataclass_params__.frozen)  # type: ignore[attr-defined]
