"""Recompute date-partitioned tables over long ranges, exactly and in one command."""

import os

# Ray forks to start its processes. gRPC's own handlers of forks, which the BigQuery clients bring,
# end such a child now and then before it becomes what it should; they are off unless asked for.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

__version__ = "0.1.0"
