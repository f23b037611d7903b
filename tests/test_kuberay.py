"""kuberay.yaml: by the operator's schema, by Kubernetes' own, and by what Ray makes of it."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ray_backfill.engine.runs import RunOptions
from ray_backfill.plan.sizing import parse_bytes
from tests.autoscaling import launches
from tests.conftest import ROOT, environment
from tests.kuberay_schema import check, check_kubernetes, crd_schema, pod_templates
from tests.nodes import RAY, ROLE, Cluster, until

Json = dict[str, Any]
GIB = 2**30
SPAN = {"CPU": 1, "memory": 3 * GIB}
CRD = "RAY_BACKFILL_KUBERAY_CRD"


def documents() -> list[Json]:
    """A fresh copy of each resource of the manifest."""
    text = (ROOT / "kuberay.yaml").read_text(encoding="utf-8")
    return [copy.deepcopy(document) for document in yaml.safe_load_all(text)]


def rayjob() -> Json:
    """A fresh copy of the job."""
    (job,) = (document for document in documents() if document["kind"] == "RayJob")
    return job


def autoscaling() -> Json:
    """What Ray's autoscaler makes of the cluster."""
    from ray.autoscaler._private.kuberay import autoscaling_config

    cluster = {
        "metadata": {"name": "a-run", "namespace": "default"},
        "spec": rayjob()["spec"]["rayClusterSpec"],
    }
    config: Json = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    return config


def at(job: Json, path: str) -> Any:
    """A part of a job by its keys, for example `spec.rayClusterSpec`."""
    for key in path.split("."):
        job = job[int(key) if key.isdigit() else key]
    return job


CLUSTER = "spec.rayClusterSpec"
HEAD = f"{CLUSTER}.headGroupSpec"
WORKER = f"{CLUSTER}.workerGroupSpecs.0"


def test_the_operator_accepts_the_job() -> None:
    """Fields, types, pods and the operator's own rules."""
    check(rayjob())


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("spec", "shutdownAfterJobFinish", True),
        ("spec", "backoffLimit", "1"),
        ("spec", "submissionMode", "K8sJob"),
        ("spec", "rayClusterSpec", {}),
        (CLUSTER, "rayVersion", 2.6),
        (CLUSTER, "enableInTreeAutoScaling", True),
        (f"{CLUSTER}.authOptions", "mode", "tokens"),
        (f"{CLUSTER}.autoscalerOptions", "version", "v3"),
        (f"{CLUSTER}.autoscalerOptions", "resources", {"request": {}}),
        (f"{HEAD}.rayStartParams", "num-cpus", 0),
        (WORKER, "maxReplicas", None),
        (f"{WORKER}.template.spec", "terminationGracePeriod", 15),
        (f"{WORKER}.template.spec.containers.0", "args", "ray start"),
        ("spec.submitterPodTemplate.spec.containers.0", "imagePullPolice", "Always"),
    ],
)
def test_a_misspelt_or_mistyped_field_is_refused(path: str, key: str, value: object) -> None:
    """In the job, in the cluster, and in each kind of pod."""
    job = rayjob()
    at(job, path)[key] = value
    with pytest.raises(jsonschema.ValidationError):
        check(job)


@pytest.mark.parametrize(
    ("path", "key", "value", "why"),
    [
        ("metadata", "name", "Backfill", "DNS label"),
        ("spec", "shutdownAfterJobFinishes", False, "ttlSecondsAfterFinished"),
        ("spec", "activeDeadlineSeconds", 0, "positive"),
        ("spec", "submissionMode", "SidecarMode", "submitterPodTemplate"),
        (CLUSTER, "rayVersion", "2.51.0", "2.52"),
        (f"{CLUSTER}.authOptions", "enableK8sTokenAuth", True, "Kubernetes"),
        (f"{HEAD}.rayStartParams", "labels", "a=b", "labels belong"),
        (WORKER, "minReplicas", 21, "minReplicas"),
        (WORKER, "resources", {"CPU": "3"}, "both"),
        (f"{WORKER}.template.spec", "restartPolicy", "Always", "restartPolicy"),
    ],
)
def test_what_the_operator_would_not_run_is_refused(
    path: str, key: str, value: object, why: str
) -> None:
    """Rules that no schema holds, each broken on its own."""
    job = rayjob()
    at(job, path)[key] = value
    with pytest.raises(ValueError, match=why):
        check(job)


def test_kubernetes_accepts_what_stands_beside_the_job() -> None:
    """The service account and the network policy are resources by Kubernetes' own schema."""
    beside = [document for document in documents() if document["kind"] != "RayJob"]
    assert {document["kind"] for document in beside} == {"ServiceAccount", "NetworkPolicy"}
    for document in beside:
        check_kubernetes(document)


@pytest.mark.skipif(CRD not in os.environ, reason=f"{CRD} names no CustomResourceDefinition")
def test_a_real_definition_accepts_the_job() -> None:
    """The schema of an operator's release, from a file that is not ours to ship."""
    jsonschema.validate(rayjob(), crd_schema(Path(os.environ[CRD])))


def test_a_definition_in_a_file_is_read_strictly(tmp_path: Path) -> None:
    """Of a made-up definition: known fields pass; unknown ones do not, unless it says so."""
    made_up = {
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "free": {
                "type": "object",
                "properties": {},
                "x-kubernetes-preserve-unknown-fields": True,
            },
        },
    }
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": made_up}}, {"name": "v1alpha1"}]
    file = tmp_path / "crd.yaml"
    file.write_text(yaml.safe_dump({"spec": {"versions": versions}}))
    schema = crd_schema(file)
    jsonschema.validate({"count": 1, "free": {"anything": 1}}, schema)
    for wrong in ({"count": "1"}, {"counts": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_workers_go_from_none_to_twenty_by_demand() -> None:
    """Ray's autoscaler: no demand, no worker; three spans fill one; twenty is the bound."""
    assert launches(autoscaling(), []) == {}
    assert launches(autoscaling(), [SPAN] * 3) == {"worker": 1}
    assert launches(autoscaling(), [SPAN] * 4, (ROLE, "worker")) == {"worker": 2}
    assert launches(autoscaling(), [SPAN] * 400) == {"worker": 20}
    assert launches(autoscaling(), [SPAN], (ROLE, "head")) == {}


def test_ray_sees_the_labels_and_no_cpu_on_the_head() -> None:
    """The head takes the driver and the progress actor, by label, and no task."""
    types = autoscaling()["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert types["headgroup"]["labels"] == {ROLE: "head"}
    assert types["worker"]["labels"] == {ROLE: "worker"}
    assert types["worker"]["min_workers"] == 0
    assert autoscaling()["idle_timeout_minutes"] == 5


def test_tasks_are_promised_less_than_a_worker_has() -> None:
    """Memory for tasks and the object store leave Ray itself a gibibyte at least."""
    group = at(rayjob(), WORKER)
    (container,) = group["template"]["spec"]["containers"]
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * GIB
    params = group["rayStartParams"]
    assert int(params["memory"]) + int(params["object-store-memory"]) <= limit - GIB


def test_requests_are_limits_everywhere() -> None:
    """No pod can be throttled or evicted for what it was not given."""
    for template in pod_templates(rayjob()["spec"]):
        for container in template["spec"]["containers"]:
            resources = container["resources"]
            assert resources["requests"] == resources["limits"]
            assert {"cpu", "memory"} <= set(resources["limits"])


def test_workers_are_on_spot_nodes_and_the_head_is_not() -> None:
    """The worker selects and tolerates what the head's affinity shuts out."""
    spot = "cloud.google.com/gke-spot"
    worker = at(rayjob(), f"{WORKER}.template.spec")
    assert worker["nodeSelector"] == {spot: "true"}
    assert [taint["key"] for taint in worker["tolerations"]] == [spot]
    required = at(
        rayjob(),
        f"{HEAD}.template.spec.affinity.nodeAffinity"
        ".requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0.matchExpressions",
    )
    assert required == [{"key": spot, "operator": "DoesNotExist"}]


def test_nothing_is_public_and_no_secret_is_in_the_manifest() -> None:
    """Inside the cluster only, by the policy of the very pods; the token is the operator's."""
    head = at(rayjob(), HEAD)
    assert (head["serviceType"], head["enableIngress"]) == ("ClusterIP", False)
    (policy,) = (document for document in documents() if document["kind"] == "NetworkPolicy")
    (wanted,) = policy["spec"]["podSelector"]["matchExpressions"]
    templates = [template for template in pod_templates(rayjob()["spec"]) if "metadata" in template]
    assert len(templates) == 3
    assert all(wanted["key"] in template["metadata"]["labels"] for template in templates)
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    variables = {
        entry["name"]
        for template in templates
        for entry in template["spec"]["containers"][0].get("env", [])
    }
    assert variables == {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"}


def test_pods_act_as_the_service_account_beside_the_job() -> None:
    """Head and workers reach BigQuery by workload identity, each by an account of its own."""
    accounts = {d["metadata"]["name"]: d for d in documents() if d["kind"] == "ServiceAccount"}
    used = [at(rayjob(), f"{group}.template.spec.serviceAccountName") for group in (HEAD, WORKER)]
    assert sorted(used) == sorted(accounts)
    for account in accounts.values():
        assert "iam.gke.io/gcp-service-account" in account["metadata"]["annotations"]


def test_workers_have_no_token_of_the_kubernetes_api() -> None:
    """The autoscaler's rights are bound to the head's account: they are not for a job's code."""
    name = at(rayjob(), f"{WORKER}.template.spec.serviceAccountName")
    (account,) = (d for d in documents() if d["metadata"]["name"] == name)
    assert account["automountServiceAccountToken"] is False
    assert at(rayjob(), f"{WORKER}.template.spec.automountServiceAccountToken") is False


def test_a_cancelled_or_failed_run_is_not_begun_again() -> None:
    """The operator takes every exit but 0 for a failure; a lost driver's lease is waited for."""
    assert rayjob()["spec"]["backoffLimit"] == 0
    words = rayjob()["spec"]["entrypoint"].split()
    assert float(words[words.index("--lease-wait") + 1]) > RunOptions("x").lease_seconds


def test_the_run_asks_for_what_the_workers_have() -> None:
    """As many tasks at once as all workers have CPUs, and memory for as many on each."""
    words = rayjob()["spec"]["entrypoint"].split()
    worker = at(rayjob(), WORKER)
    cpus = int(at(rayjob(), f"{WORKER}.template.spec.containers.0.resources.limits.cpu"))
    assert int(words[words.index("--workers") + 1]) == worker["maxReplicas"] * cpus
    task = parse_bytes(words[words.index("--worker-memory") + 1])
    assert cpus * task <= int(worker["rayStartParams"]["memory"])


def test_the_entrypoint_is_a_command_of_ours(run_help: Callable[[], str]) -> None:
    """Every option that it gives, `ray-backfill run` knows."""
    words = rayjob()["spec"]["entrypoint"].split()
    assert words[:3] == ["ray-backfill", "run", "player_context"]
    known = run_help()
    assert all(word in known for word in words if word.startswith("--"))


@pytest.fixture
def run_help() -> Callable[[], str]:
    """The help of `ray-backfill run`."""

    def text() -> str:
        command = [str(Path(RAY).parent / "ray-backfill"), "run", "--help"]
        wide = environment() | {"COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, env=wide, check=True).stdout

    return text


@pytest.fixture
def head() -> Iterator[Cluster]:
    """A head for the worker's container to join."""
    with Cluster(dashboard=False) as cluster:
        yield cluster


def test_a_workers_container_drains_when_its_pod_is_deleted(head: Cluster) -> None:
    """Its first process is Ray itself, so that the pod's SIGTERM makes it drain, and then end.

    The container's command runs as it is, with the start command that the operator hands over.
    """
    pod = at(rayjob(), f"{WORKER}.template.spec")
    (container,) = pod["containers"]
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    drain = float(given["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert drain < pod["terminationGracePeriodSeconds"]
    start = (
        f'ray start --address={head.address} --block --labels="{ROLE}=worker" '
        f"--node-ip-address=127.0.0.1 --num-cpus=3 --dashboard-agent-listen-port=0 "
        f"--object-store-memory=157286400 --temp-dir={head.temp}"
    )
    path = f"{Path(RAY).parent}:{os.environ['PATH']}"
    first = subprocess.Popen(
        [*container["command"], *container["args"]],
        env=environment() | given | {"KUBERAY_GEN_RAY_START_CMD": start, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: deaths(head) == [None], "the worker joins")
        first.send_signal(signal.SIGTERM)
        first.wait(60)
        until(lambda: deaths(head) == ["AUTOSCALER_DRAIN_PREEMPTED"], "the worker is drained")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)


def deaths(cluster: Cluster) -> list[str | None]:
    """Why each worker node died; None for one that lives."""
    from ray._raylet import GcsClient
    from ray.core.generated.common_pb2 import NodeDeathInfo
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    found = GcsClient(address=cluster.address).get_all_node_info().values()
    return [
        None
        if node.state == GcsNodeInfo.ALIVE
        else NodeDeathInfo.Reason.Name(node.death_info.reason)
        for node in found
        if node.labels[ROLE] == "worker"
    ]
