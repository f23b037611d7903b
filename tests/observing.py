"""What the Grafana dashboard asks Prometheus for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import promql_parser

DASHBOARD: dict[str, Any] = json.loads(
    (files("ray_backfill.observe") / "grafana.json").read_text("utf-8")
)
_DURATION = re.compile(r"\[\$__(?:rate_interval|range)\]")


def expressions() -> dict[str, list[str]]:
    """Panel title -> its queries, with Grafana's own durations filled in."""
    return {
        panel["title"]: [_DURATION.sub("[5m]", target["expr"]) for target in panel["targets"]]
        for panel in DASHBOARD["panels"]
        if panel["type"] != "row"
    }


def queried() -> list[tuple[str, frozenset[str]]]:
    """Each metric that a panel asks for, with every label that its expression names."""
    found = []
    for texts in expressions().values():
        for text in texts:
            nodes = list(_nodes(promql_parser.parse(text)))
            grouped = {label for node in nodes for label in _labels(node)}
            for node in nodes:
                if isinstance(node, promql_parser.VectorSelector):
                    matched = {matcher.name for matcher in node.matchers.matchers}
                    found.append((str(node.name), frozenset(grouped | matched)))
    return found


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if (child := getattr(node, name, None)) is not None:
            yield from _nodes(child)
    for child in getattr(node, "args", ()):
        yield from _nodes(child)


def _labels(node: Any) -> set[str]:
    """Labels that a node groups or joins by."""
    modifier = getattr(node, "modifier", None)
    if modifier is None:
        return set()
    matching = getattr(modifier, "matching", None)
    return set(getattr(modifier, "labels", None) or getattr(matching, "labels", None) or ())
