"""Whether this process is the driver of a job that was submitted to a Ray cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

__all__ = ["JOB_CONFIG", "submission_id"]

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray tells the driver of a submitted job what it was submitted with."""


def submission_id(environ: Mapping[str, str] | None = None) -> str:
    """The id under which this process was submitted; empty where it was not."""
    found = (os.environ if environ is None else environ).get(JOB_CONFIG)
    try:
        metadata = json.loads(found or "{}").get("metadata") or {}
    except (ValueError, AttributeError):
        return ""
    return str(metadata.get("job_submission_id") or "")
