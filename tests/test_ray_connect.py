"""Starting a Ray of one's own: it has time to begin, and nothing of that stays behind."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ray_backfill.engine.ray_connect import START_WAIT, start


class _Ray:
    """Notes what Ray would see of the environment while it starts."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def init(self, **_: Any) -> None:
        self.seen.append(os.environ.get(START_WAIT))


def test_a_ray_that_starts_on_a_busy_machine_has_more_time_than_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first process has 30 s by default; a machine at work needs more."""
    monkeypatch.delenv(START_WAIT, raising=False)
    ray = _Ray()
    start(ray, 1, None)
    assert ray.seen == ["180"]
    assert START_WAIT not in os.environ  # who joins a cluster later must not wait as long


def test_a_time_that_somebody_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the operator's word."""
    monkeypatch.setenv(START_WAIT, "7")
    ray = _Ray()
    start(ray, 1, None)
    assert ray.seen == ["7"]
    assert os.environ[START_WAIT] == "7"
