"""A job's options: typed by its frozen dataclass, stamped as sorted JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ray_backfill.errors import DataError, JobCodeError, UsageError
from ray_backfill.job import Job
from ray_backfill.user_code import called

__all__ = ["from_json", "parse_options", "to_json"]

_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def to_json(options: Any) -> str:
    """Sorted, compact JSON of an option set."""
    return json.dumps(asdict(options), sort_keys=True, separators=(",", ":"))


def from_json(job: Job, text: str) -> Any:
    """The option set that was stamped; options that the job has no more are left out."""
    known = {field.name for field in fields(job.options)}
    values = {name: value for name, value in json.loads(text or "{}").items() if name in known}
    return _made(job, values)


def parse_options(job: Job, texts: Sequence[str], base: Any) -> Any:
    """`base` with each `name=value` applied.

    Raises `UsageError` for an unknown name or a value of the wrong type, listing the options.
    """
    values = asdict(base)
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in values:
            raise UsageError(
                f"'{text}' is not an option of {job.name}.", hint=f"Options: {_listed(job)}."
            )
        values[name] = _typed(name, value, type(values[name]))
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
        return _BOOLS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise UsageError(f"Option {name} takes a {kind.__name__}, not '{text}'.") from None


def _listed(job: Job) -> str:
    listed = [
        f"{field.name} ({field.metadata.get('help', '')} default {field.default})"
        for field in fields(job.options)
    ]
    return "; ".join(listed) or "it has none"
