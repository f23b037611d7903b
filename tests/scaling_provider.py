"""Ray's provider of nodes that are processes of this machine, with nodes that have memory."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest.mock import patch

import ray._private.parameter  # noqa: TID253 - the autoscaler imports this, in a process of its own
from ray.autoscaler._private.fake_multi_node.node_provider import (  # noqa: TID253
    FakeMultiNodeProvider,
)


class Provider(FakeMultiNodeProvider):  # type: ignore[misc]
    """As Ray's own, which takes `memory` for a custom resource and starts no node with it."""

    def _create_node_with_resources_and_labels(
        self,
        node_config: Any,
        tags: Any,
        count: int,
        resources: dict[str, float],
        labels: Any,
    ) -> None:
        others = {name: amount for name, amount in resources.items() if name != "memory"}
        sized = partial(ray._private.parameter.RayParams, memory=resources["memory"])
        with patch("ray._private.parameter.RayParams", sized):
            super()._create_node_with_resources_and_labels(node_config, tags, count, others, labels)
