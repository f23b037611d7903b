"""Workers of a cluster that was started elsewhere go where their driver goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_backfill.engine.runs import RunOptions
from ray_backfill.warehouse import open_warehouse
from tests.bq.conftest import REAL, Place
from tests.conftest import DAYS, sales
from tests.emulator import Emulator
from tests.test_engine import as_dict, expected


@pytest.mark.skipif(bool(REAL), reason="of two emulators")
def test_settings_reach_the_workers_of_a_cluster(
    server: Emulator, ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster's own environment names another server, or none."""
    running = Emulator(tmp_path / "server").start()
    for name, value in running.settings.items():
        monkeypatch.setenv(name, value)
    try:
        place = Place(open_warehouse("bigquery://elsewhere"), "shop")
        place.house.append(place.sales, sales().to_arrow())
        how = RunOptions(place.name, workers=2, address=ray_address, backoff_seconds=0.01)
        report = place.ran(how=how)
        assert (report.exit_code, report.retries) == (0, [])
        assert place.content().height == len(DAYS) * 5
        assert as_dict(place.content()) == expected(sales().rows())
    finally:
        running.stop()
