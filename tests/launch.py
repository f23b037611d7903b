"""`ray up cluster.yaml` without a cloud: Ray's own launcher, on machines that are folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.gcp import Cloud, serve
from tests.machines import Machines
from tests.ports import free_ports

MANIFEST = ROOT / "cluster.yaml"
TOKEN = os.environ["RAY_AUTH_TOKEN"]
_NODE = " --dashboard-agent-listen-port=0 --temp-dir={temp}"
_HEAD = " --no-monitor --ray-client-server-port={client} --object-store-memory=157286400"


@dataclass(frozen=True)
class Launched:
    """A head and a worker that were set up and started."""

    cloud: Cloud
    machines: Machines
    head: str
    worker: str
    host: str
    """Address of the head."""
    port: int
    """Port of the head's GCS."""
    dashboard: int
    """Port of the dashboard."""

    def home(self, name: str) -> Path:
        """A machine's home."""
        return self.machines.root / name

    def start_worker_again(self) -> None:
        """What the autoscaler does with a worker that it takes for one not set up."""
        with _as_on(self.home(self.head), self.cloud, self.machines):
            _install(self.home(self.head), self.worker, self.host)


@contextmanager
def launched(root: Path) -> Iterator[Launched]:
    """Bring the cluster up under `root`: the head as `ray up` does, a worker as the head does."""
    temp = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))  # sockets need short names
    machines = Machines(root / "machines", _pip_settings())
    try:
        yield _launch(root / "laptop", machines, temp)
    finally:
        machines.close()
        shutil.rmtree(temp, ignore_errors=True)


def _launch(laptop: Path, machines: Machines, temp: Path) -> Launched:
    from ray.autoscaler._private.commands import _bootstrap_config, get_or_create_head_node
    from ray.util import get_node_ip_address

    port, dashboard, client = free_ports(3)
    config = yaml.safe_load(_for_one_machine(temp, port, dashboard, client))
    (laptop / ".ray").mkdir(parents=True)
    (laptop / ".ray/auth_token").write_text(TOKEN)
    cloud, host = Cloud(config["provider"]["project_id"], machines.start), get_node_ip_address()
    with _as_on(laptop, cloud, machines):
        bootstrapped = _bootstrap_config(config, no_config_cache=True)
        get_or_create_head_node(bootstrapped, str(MANIFEST), False, False, True, None)
    (head,) = cloud.machines
    with _as_on(machines.root / head, cloud, machines):
        worker = _create_worker(machines.root / head)
        # The packages lie there already: installing the same again would take half a minute.
        (machines.root / worker / "venv").symlink_to(machines.root / head / "venv")
        _install(machines.root / head, worker, host)
    return Launched(cloud, machines, head, worker, host, port, dashboard)


@contextmanager
def _as_on(home: Path, cloud: Cloud, machines: Machines) -> Iterator[None]:
    """Be the user of `home`, who reaches the machines and the cloud."""
    from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

    with pytest.MonkeyPatch.context() as patch:
        serve(cloud, patch)
        # An autoscaler lists its machines all the time, which keeps what it knows of them fresh.
        patch.setattr(GCPNodeProvider, "_get_cached_node", GCPNodeProvider._get_node)
        patch.setenv("HOME", str(home))
        patch.setenv("PATH", f"{machines.bin}:{os.environ['PATH']}")
        patch.chdir(ROOT)
        yield


def _create_worker(head: Path) -> str:
    from ray.autoscaler._private.providers import _get_node_provider
    from ray.autoscaler.tags import TAG_RAY_NODE_NAME

    config = bootstrap_config(head)
    provider = _get_node_provider(config.get_provider_config(), config.get_config("cluster_name"))
    tags = {TAG_RAY_NODE_NAME: "ray-worker"}
    (worker,) = provider.create_node(config.get_cloud_node_config("worker"), tags, 1)
    return str(worker)


def _install(head: Path, worker: str, host: str) -> None:
    """What the autoscaler does on the head, with the files that the head was given."""
    from ray.autoscaler._private.providers import _get_node_provider
    from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
    from ray.core.generated.instance_manager_pb2 import Instance

    config = bootstrap_config(head)
    provider = _get_node_provider(config.get_provider_config(), config.get_config("cluster_name"))
    instance = Instance(instance_type="worker", cloud_instance_id=worker)
    RayInstaller(provider, config).install_ray(instance, host)


def bootstrap_config(head: Path) -> Any:
    """The configuration that the autoscaler on the head in this home reads."""
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    config = yaml.safe_load((head / "ray_bootstrap_config.yaml").read_text())
    return AutoscalingConfig(config, skip_content_hash=True)


def _for_one_machine(temp: Path, port: int, dashboard: int, client: int) -> str:
    """The manifest with ports that are free here, and without an autoscaler of its own."""
    text = MANIFEST.read_text(encoding="utf-8")
    node, head = _NODE.format(temp=temp), _HEAD.format(client=client)
    for old, new in (
        ("6379", str(port)),
        ("8265", str(dashboard)),
        ("=1073741824", "=157286400"),
        ("ray start --head --block", f"ray start --head --block{head}{node}"),
        ("ray start --block", f"ray start --block{node}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def _pip_settings() -> dict[str, str]:
    """Where this machine's pip finds packages; compiling them would only take time."""
    kept = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")
    found = {key: value for key, value in os.environ.items() if key.upper().startswith(kept)}
    return found | {"PIP_NO_COMPILE": "1"}
