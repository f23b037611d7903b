"""What Ray's own autoscaler would start for a demand; it needs no cluster and no cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Bundle = Mapping[str, int]


def launches(
    config: Mapping[str, Any], demand: Sequence[Bundle], label: tuple[str, str] | None = None
) -> dict[str, int]:
    """Machines by node type that Ray starts for `demand`, where nothing runs yet.

    `label` is a label (key, value) that the tasks select. Empty where no node type could ever
    serve the demand.
    """
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated.common_pb2 import LabelSelectorOperator

    cluster = AutoscalingConfig(dict(config), skip_content_hash=True)
    selectors = None
    if label is not None:
        selectors = [[(label[0], LabelSelectorOperator.LABEL_OPERATOR_IN, [label[1]])]]
    requests = [
        ResourceRequestUtil.make(dict(bundle), label_selectors=selectors) for bundle in demand
    ]
    reply = ResourceDemandScheduler().schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=cluster.get_node_type_configs(),
            max_num_nodes=cluster.get_max_num_nodes(),
            resource_requests=ResourceRequestUtil.group_by_count(requests),
        )
    )
    return {launch.instance_type: launch.count for launch in reply.to_launch}
