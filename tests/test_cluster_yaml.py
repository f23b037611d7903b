"""cluster.yaml: what Ray's launcher and autoscaler make of it, and that its commands run."""

from __future__ import annotations

import copy
import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import yaml

from ray_backfill.plan.sizing import parse_bytes
from ray_backfill.plan.spans import WORKER_MEMORY
from tests.autoscaling import launches
from tests.conftest import ROOT
from tests.gcp import check_machine
from tests.launch import MANIFEST, TOKEN, Launched, bootstrap_config, launched
from tests.machines import Machines, has, run_as_launcher
from tests.nodes import ROLE, until

GIB = 2**30
SPAN = {"CPU": 1, "memory": 3 * GIB}


def manifest() -> dict[str, Any]:
    """A fresh copy of the manifest."""
    return yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))


def check(config: dict[str, Any]) -> dict[str, Any]:
    """What the launcher makes of a configuration; raises where it refuses it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


def machine(name: str) -> dict[str, Any]:
    """The machine of a node type, as it is asked of the cloud."""
    return copy.deepcopy(manifest()["available_node_types"][name]["node_config"])


def test_ray_accepts_the_manifest() -> None:
    """Ray's own preparation and validation pass, with nothing taken from its defaults."""
    prepared = check(manifest())
    assert set(prepared["available_node_types"]) == {"head", "worker"}
    assert prepared["head_setup_commands"] == prepared["setup_commands"]
    assert prepared["docker"] == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("idle_timeout",), 5),
        (("auth", "ssh_usr"), "ubuntu"),
        (("available_node_types", "worker", "label"), {}),
        (("available_node_types", "worker", "min_workers"), "0"),
        (("available_node_types", "head", "resources", "CPU"), 0.5),
        (("head_node_type",), "chief"),
    ],
)
def test_ray_refuses_a_misspelt_or_mistyped_manifest(path: tuple[str, ...], value: object) -> None:
    """A misspelt field or a wrong type does not pass, so that passing means something."""
    config = part = manifest()
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        check(config)


def test_workers_go_from_none_to_twenty_by_demand() -> None:
    """No demand, no worker; four spans fill one; more than all can do stops at the bound."""
    assert launches(manifest(), []) == {}
    assert launches(manifest(), [SPAN] * 4) == {"worker": 1}
    assert launches(manifest(), [SPAN] * 5, (ROLE, "worker")) == {"worker": 2}
    assert launches(manifest(), [SPAN] * 400) == {"worker": 20}


def test_the_advice_uses_what_the_workers_have() -> None:
    """As many tasks at once as all workers have CPUs, and memory for as many on each."""
    said = re.search(r"--workers (\d+) --worker-memory (\w+)", MANIFEST.read_text("utf-8"))
    assert said is not None
    worker = manifest()["available_node_types"]["worker"]
    cpus, memory = worker["resources"]["CPU"], worker["resources"]["memory"]
    assert int(said[1]) == worker["max_workers"] * cpus
    task = parse_bytes(said[2])
    assert memory // WORKER_MEMORY < cpus <= memory // task
    demand = [{"CPU": 1, "memory": task}] * int(said[1])
    assert launches(manifest(), demand) == {"worker": worker["max_workers"]}


def test_the_head_is_never_started_for_tasks() -> None:
    """Tasks cannot ask for another head, and what fits no worker starts none in vain."""
    assert launches(manifest(), [SPAN], (ROLE, "head")) == {}
    assert launches(manifest(), [{"CPU": 1, "memory": 14 * GIB}]) == {}


def test_labels_follow_rays_rules() -> None:
    """Ray accepts the labels that the driver and the progress actor select."""
    from ray._private.label_utils import validate_node_label_syntax, validate_node_labels

    for name, node_type in manifest()["available_node_types"].items():
        validate_node_label_syntax(node_type["labels"])
        validate_node_labels(node_type["labels"])
        assert node_type["labels"] == {ROLE: name}


@pytest.mark.parametrize("name", ["head", "worker"])
def test_compute_engine_knows_every_field(name: str) -> None:
    """The machines are machines by the published description of Google's API."""
    check_machine(machine(name))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedulling", {}),
        ("scheduling", [{"preemptible": True}]),
        ("scheduling", {"provisioningModel": "CHEAP"}),
        ("tags", {"items": "ray-backfill"}),
        ("disks", [{"boot": True, "initializeParams": {"diskSize": "50"}}]),
        ("serviceAccounts", [{"email": "a@b", "scopes": "all"}]),
    ],
)
def test_a_machine_with_a_wrong_field_is_refused(field: str, value: object) -> None:
    """The check of the machines refuses misspelt fields, wrong types and unknown values."""
    with pytest.raises(jsonschema.ValidationError):
        check_machine(machine("worker") | {field: value})


def test_nodes_install_the_versions_that_are_tested() -> None:
    """The lock of the nodes is a part of the lock of the tests, each package with a hash."""

    def pins(path: Path) -> set[str]:
        lines = re.sub(r" \\\n", " ", path.read_text(encoding="utf-8")).splitlines()
        found = (re.match(r"([\w.-]+==\S+)", line) for line in lines)
        return {match[1] for match in found if match}

    nodes = pins(ROOT / "requirements-cluster.lock")
    assert nodes
    assert nodes <= pins(ROOT / "requirements.lock")
    hashed = (ROOT / "requirements-cluster.lock").read_text(encoding="utf-8").count("--hash=")
    assert hashed >= len(nodes)


def test_a_machine_without_venv_gets_it_from_apt(tmp_path: Path) -> None:
    """Where Python came without venv, the first command installs it once nobody else does."""
    machines = Machines(tmp_path / "machines", {})
    machines.add_program("python3", "#!/bin/bash\nexit 1\n")
    for program in ("cloud-init", "apt-get"):
        machines.add_program(program, f'#!/bin/bash\necho "{program} $*" >> "$HOME/calls"\n')
    machines.start("new", "10.0.0.9")
    home = machines.root / "new"
    done = run_as_launcher(manifest()["setup_commands"][0], home)
    assert done.returncode == 0, done.stderr
    calls = (home / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["cloud-init", "apt-get", "apt-get"]
    assert "install --yes python3-venv" in calls[-1]
    assert all("Lock::Timeout=300" in call for call in calls[1:])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """The cluster as `ray up` brings it up, on folders; both nodes have joined."""
    with launched(tmp_path_factory.mktemp("up")) as up:
        until(lambda: len(nodes(up)) == 2, "both nodes join", 90)
        yield up


def nodes(up: Launched) -> dict[str, Any]:
    """Nodes by their type, as Ray's GCS knows them; they are alive or not."""
    from ray._raylet import GcsClient

    found = GcsClient(address=f"{up.host}:{up.port}").get_all_node_info()
    return {node.node_type_name: node for node in found.values()}


def test_workers_are_spot_and_the_head_is_not(cluster: Launched) -> None:
    """What the launcher asked of the cloud: the head to stay, workers cheap and then gone."""
    head, worker = (body["scheduling"] for body in cluster.cloud.created)
    assert head["provisioningModel"] == "STANDARD"
    assert worker["provisioningModel"] == "SPOT"
    assert worker["instanceTerminationAction"] == "DELETE"


def test_no_machine_has_a_public_address(cluster: Launched) -> None:
    """The launcher adds none either, as it does where the network is left to it."""
    for body in cluster.cloud.created:
        check_machine(body)
        assert body["networkInterfaces"] == [
            {"subnetwork": "regions/us-central1/subnetworks/ray-backfill"}
        ]


def test_workers_may_read_and_write_data_and_no_more(cluster: Launched) -> None:
    """Service accounts of our own, the workers' bound to BigQuery and Cloud Storage."""
    head, worker = (body["serviceAccounts"][0] for body in cluster.cloud.created)
    assert head["email"] != worker["email"]
    scopes = {scope.removeprefix("https://www.googleapis.com/auth/") for scope in worker["scopes"]}
    assert scopes == {"bigquery", "devstorage.read_write"}


def test_the_head_is_reached_through_a_tunnel(cluster: Launched) -> None:
    """By its name through the proxy; workers directly from the head, by private address."""
    for connection in cluster.machines.connections():
        to_head = f"ubuntu@{cluster.head}" in connection
        assert to_head or "ubuntu@10.0.0." in connection
        assert to_head == ("start-iap-tunnel" in connection)


def test_the_setup_installs_the_lock_and_the_project(cluster: Launched) -> None:
    """The commands ran as written: locked packages and no others, and our command works."""
    programs = cluster.home(cluster.head) / "venv/bin"
    listed = subprocess.run(
        [programs / "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    installed = {entry["name"].lower().replace("_", "-") for entry in json.loads(listed.stdout)}
    assert {"ray", "ray-backfill", "google-api-python-client"} <= installed
    assert not {"pytest", "moto", "ruff"} & installed
    asked = [programs / "ray-backfill", "describe"]
    told = subprocess.run(asked, capture_output=True, text=True, cwd=programs, check=True)
    assert "player_context" in told.stdout


def test_setup_bears_to_be_run_again(cluster: Launched) -> None:
    """On a worker the launcher runs it twice; the profile still has its line once."""
    profile = (cluster.home(cluster.worker) / ".bashrc").read_text()
    assert profile.count("RAY_AUTH_MODE=token") == 1


def test_nodes_carry_their_labels_and_resources(cluster: Launched) -> None:
    """No task fits the head; a worker has what the autoscaler counted on."""
    found = nodes(cluster)
    assert found["head"].labels[ROLE] == "head"
    assert "CPU" not in found["head"].resources_total
    assert found["worker"].labels[ROLE] == "worker"
    promised = manifest()["available_node_types"]["worker"]["resources"]
    assert {key: found["worker"].resources_total[key] for key in promised} == promised


def test_the_heads_autoscaler_reads_what_we_wrote(
    cluster: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 to 20 workers, gone after five idle minutes, reached without the laptop's proxy."""
    monkeypatch.setenv("HOME", str(cluster.home(cluster.head)))
    config = bootstrap_config(cluster.home(cluster.head))
    worker = config.get_node_type_configs()["worker"]
    assert (worker.min_worker_nodes, worker.max_worker_nodes) == (0, 20)
    assert config.get_idle_timeout_s() == 300
    assert "ssh_proxy_command" not in config.get_config("auth")
    unit = cluster.machines.unit(cluster.head)
    assert "--autoscaling-config=" + unit.environment["HOME"] in " ".join(unit.command)


def test_the_dashboard_listens_on_loopback_only(cluster: Launched) -> None:
    """Jobs are submitted there: from the network, nobody answers."""
    socket.create_connection(("127.0.0.1", cluster.dashboard), timeout=5).close()
    if cluster.host != "127.0.0.1":
        with pytest.raises(OSError, match=r"refused|unreachable"):
            socket.create_connection((cluster.host, cluster.dashboard), timeout=5)


def test_nothing_answers_without_the_token(cluster: Launched) -> None:
    """Token authentication is on at the Job API, and the laptop's token is the right one."""
    url = f"http://127.0.0.1:{cluster.dashboard}/api/jobs/"
    assert requests.get(url, timeout=30).status_code in (401, 403)
    known = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert known.status_code == 200


def test_the_token_is_in_its_files_alone(cluster: Launched) -> None:
    """Readable for its owner; in no command, variable, configuration or log."""
    for name in (cluster.head, cluster.worker):
        kept = cluster.home(name) / ".ray/auth_token"
        assert kept.read_text() == TOKEN
        assert kept.stat().st_mode & 0o777 == 0o600
        unit = cluster.machines.unit(name)
        assert unit.environment["RAY_AUTH_MODE"] == "token"
        assert TOKEN not in json.dumps([unit.environment, unit.command, unit.log()])
    assert TOKEN not in (cluster.home(cluster.head) / "ray_bootstrap_config.yaml").read_text()
    assert TOKEN not in json.dumps(cluster.machines.connections() + cluster.cloud.created)


def test_a_preempted_machine_has_time_to_drain_and_to_end(cluster: Launched) -> None:
    """The worker drains, and then ends, within the 30 s that a spot machine is given."""
    unit = cluster.machines.unit(cluster.worker)
    properties = dict(line.split("=", 1) for line in unit.text.splitlines() if "=" in line)
    assert properties["KillMode"] == "mixed"
    drain = float(unit.environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert drain < float(properties["TimeoutStopSec"]) < 30
    assert "--block" in unit.command


@pytest.mark.skipif(not has("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_knows_every_property(cluster: Launched, tmp_path: Path) -> None:
    """The properties of both units are names and values that systemd accepts."""
    for name in (cluster.head, cluster.worker):
        unit = tmp_path / f"{name}.service"
        unit.write_text(cluster.machines.unit(name).text + "\n")
        verify = shlex.split(f"systemd-analyze verify --man=no {unit}")
        told = subprocess.run(verify, capture_output=True, text=True, check=False)
        assert "ignoring" not in told.stderr
        assert told.returncode == 0, told.stderr


def test_a_worker_that_runs_is_left_alone(cluster: Launched) -> None:
    """Set up once more, as Ray does where it misread a label, its Ray goes on."""
    before = cluster.machines.unit(cluster.worker).pid
    cluster.start_worker_again()
    assert cluster.machines.unit(cluster.worker).pid == before


def test_a_spot_notice_drains_the_worker(cluster: Launched) -> None:
    """What systemd does at shutdown makes Ray say that the node was preempted, not lost."""
    from ray.core.generated.common_pb2 import NodeDeathInfo

    cluster.machines.unit(cluster.worker).stop()
    reason = NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED
    until(lambda: nodes(cluster)["worker"].death_info.reason == reason, "the worker is drained", 30)
