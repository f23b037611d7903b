"""The model of `docs/scaling.md`: what a span and a run take, and constants fitted to spans.

A span of `dates` dates reads `files` files: `look_mib` MiB of look-back (schedule, gamebook, of
this season and the one before) and `near_mib` MiB of the dates themselves (lines, reports), and
writes `out_mib` MiB, all as `ray_backfill.plan.sizing` counts them: values in memory. CPU seconds
of its stages:

    read    = read_file · files + read_mib · (look_mib + near_mib)
    digest  = digest_span + digest_look · look_mib + digest_near · near_mib
    compute = compute_span + compute_look · look_mib + compute_out · out_mib
    stage   = stage_date · dates + stage_out · out_mib

The constants are fitted by least squares of
the relative residuals; none is negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

__all__ = ["TERMS", "features", "fit", "memory_factors", "predict", "residuals"]

MIB = 2**20
TERMS: Mapping[str, Mapping[str, str]] = {
    "read": {"read_file": "files", "read_mib": "in_mib"},
    "digest": {"digest_span": "one", "digest_look": "look_mib", "digest_near": "near_mib"},
    "compute": {"compute_span": "one", "compute_look": "look_mib", "compute_out": "out_mib"},
    "stage": {"stage_date": "dates", "stage_out": "out_mib"},
}
"""Stage -> constant -> what it is multiplied with."""


def features(span: Mapping[str, Any]) -> dict[str, float]:
    """What the model knows of a measured span."""
    return {
        "one": 1.0,
        "dates": span["dates"],
        "files": span["files"],
        "in_mib": span["input_bytes"] / MIB,
        "look_mib": span["look_bytes"] / MIB,
        "near_mib": (span["input_bytes"] - span["look_bytes"]) / MIB,
        "out_mib": span["output_bytes"] / MIB,
    }


def predict(constants: Mapping[str, float], known: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each stage."""
    return {
        stage: sum(constants[name] * known[feature] for name, feature in terms.items())
        for stage, terms in TERMS.items()
    }


def fit(spans: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The constants that come nearest to the measured CPU seconds."""
    found = {}
    for stage, terms in TERMS.items():
        known = [features(span) for span in spans]
        rows = [[one[feature] for feature in terms.values()] for one in known]
        target = [max(span["cpu"].get(stage, 0.0), 0.01) for span in spans]
        for name, value in zip(terms, _least_squares(rows, target), strict=True):
            found[name] = value
    return found


def _least_squares(rows: Sequence[Sequence[float]], target: Sequence[float]) -> list[float]:
    """Non-negative weights; a term that would be negative is left out, the worst first."""
    import numpy as np

    scaled = np.array([[x / y for x in row] for row, y in zip(rows, target, strict=True)])
    used = list(range(scaled.shape[1]))
    while used:
        weights = np.linalg.lstsq(scaled[:, used], np.ones(len(target)), rcond=None)[0]
        if weights.min() >= 0:
            break
        del used[int(weights.argmin())]
    found = [0.0] * scaled.shape[1]
    for position, weight in zip(used, weights, strict=True):
        found[position] = float(weight)
    return found


def residuals(
    constants: Mapping[str, float], spans: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Stage -> median of |predicted ÷ measured - 1|; `all` of the stages' sum."""
    found = {}
    for stage in [*TERMS, "all"]:
        apart = []
        for span in spans:
            said, cpu = predict(constants, features(span)), span["cpu"]
            have = sum(cpu.values()) if stage == "all" else cpu.get(stage, 0.0)
            guess = sum(said.values()) if stage == "all" else said[stage]
            apart.append(abs(guess / max(have, 0.01) - 1))
        found[stage] = round(median(apart), 3)
    return found


def memory_factors(spans: Sequence[Mapping[str, Any]], base: int) -> list[float]:
    """(peak - base) ÷ bytes of each span that is large enough to say anything: 64 MiB."""
    return [
        round((s["peak_bytes"] - base) / data, 2)
        for s in spans
        if (data := s["input_bytes"] + s["output_bytes"]) >= 64 * MIB
    ]
