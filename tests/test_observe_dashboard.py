"""The Grafana dashboard asks for what is exported, and leaves nothing out."""

from __future__ import annotations

import re

import pytest

from ray_backfill.observe.metrics import SPECS, exported
from tests.observing import DASHBOARD, expressions, queried

OF_RAY = {"SessionName", "WorkerId", "le"}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_every_metric_of_a_panel_is_exported_with_the_labels_that_it_uses() -> None:
    """No panel is empty for a name or label that does not exist."""
    known = {
        name: {"backfill_job", "table", *spec.labels, *OF_RAY}
        for spec in SPECS
        for name in exported(spec)
    }
    for name, labels in queried():
        if name.startswith("ray_backfill_"):
            assert labels <= known[name], name


def test_every_exported_metric_is_on_the_dashboard() -> None:
    """A histogram counts by its buckets."""
    asked = {name for name, _ in queried()}
    for spec in SPECS:
        assert set(exported(spec)) & asked, spec.name


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_the_chosen_prometheus_and_says_what_it_shows(panel: dict) -> None:  # type: ignore[type-arg]
    """Each names the data source by its variable, has a unit, and legends of labels it keeps."""
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert [target["refId"] for target in panel["targets"]] == sorted(
        {target["refId"] for target in panel["targets"]}
    )
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), target["expr"]


def test_panels_neither_overlap_nor_share_an_id() -> None:
    """The grid is 24 wide, and each place belongs to one panel."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        columns = range(grid["x"], grid["x"] + grid["w"])
        cells = {(x, grid["y"] + n) for x in columns for n in range(grid["h"])}
        assert not cells & taken
        assert max(columns) < 24
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_the_variables_of_the_queries_are_defined() -> None:
    """`$job` and the like are variables of the dashboard or Grafana's own."""
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = {
        name
        for texts in expressions().values()
        for t in texts
        for name in re.findall(r"\$(\w+)", t)
    }
    assert used <= names
    assert "datasource" in names
