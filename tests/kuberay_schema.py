"""What the KubeRay operator takes for a RayJob (ray.io/v1): fields, types, and its own refusals.

Written down from the types of KubeRay 1.7, as far as a backfill could use them. Pods and services
within are Kubernetes' own, and are checked with its published schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

Json = dict[str, Any]

KUBERNETES = "1.33"
"""A version that clusters run; older and newer ones know the same fields of ours."""

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_NUMBER = {"type": "number"}
_INT32 = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_KUBERNETES = {"type": "object"}
_LIST = {"type": "array", "items": _KUBERNETES}


def _one_of(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


def _fields(required: tuple[str, ...] = (), **fields: Json) -> Json:
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


_MANAGED_BY = _one_of("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")
_POLICY = _one_of("DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone")

_AUTOSCALER = _fields(
    args={"type": "array", "items": _TEXT},
    command={"type": "array", "items": _TEXT},
    env=_LIST,
    envFrom=_LIST,
    idleTimeoutSeconds=_INT32,
    image=_TEXT,
    imagePullPolicy=_TEXT,
    resources=_KUBERNETES,
    securityContext=_KUBERNETES,
    upscalingMode=_one_of("Default", "Aggressive", "Conservative"),
    version=_one_of("v1", "v2"),
    volumeMounts=_LIST,
)

_HEAD = _fields(
    ("template",),
    enableIngress=_FLAG,
    headService=_KUBERNETES,
    ingressOptions=_KUBERNETES,
    labels=_TEXTS,
    rayStartParams=_TEXTS,
    resources=_TEXTS,
    serviceType=_TEXT,
    template=_KUBERNETES,
)

_WORKERS = _fields(
    ("groupName", "minReplicas", "maxReplicas", "template"),
    groupName=_TEXT,
    idleTimeoutSeconds=_INT32,
    labels=_TEXTS,
    maxReplicas=_INT32,
    minReplicas=_INT32,
    numOfHosts=_INT32,
    priority=_INT32,
    rayStartParams=_TEXTS,
    replicas=_INT32,
    resources=_TEXTS,
    scaleStrategy=_fields(workersToDelete={"type": "array", "items": _TEXT}),
    suspend=_FLAG,
    template=_KUBERNETES,
)

_CLUSTER = _fields(
    ("headGroupSpec",),
    authOptions=_fields(
        enableK8sTokenAuth=_FLAG, mode=_one_of("disabled", "token"), secretName=_TEXT
    ),
    autoscalerOptions=_AUTOSCALER,
    enableInTreeAutoscaling=_FLAG,
    gcsFaultToleranceOptions=_KUBERNETES,
    headGroupSpec=_HEAD,
    headServiceAnnotations=_TEXTS,
    managedBy=_MANAGED_BY,
    networkPolicy=_KUBERNETES,
    rayVersion=_TEXT,
    suspend=_FLAG,
    tlsOptions=_fields(enabled=_FLAG),
    upgradeStrategy=_fields(type=_one_of("Recreate", "None")),
    workerGroupSpecs={"type": "array", "items": _WORKERS},
)

_DELETION_RULE = _fields(
    ("condition", "policy"),
    condition=_fields(
        jobStatus=_one_of("SUCCEEDED", "FAILED"),
        jobDeploymentStatus=_one_of("Failed"),
        ttlSeconds=_INT32 | {"minimum": 0},
    ),
    policy=_POLICY,
)

_JOB = _fields(
    activeDeadlineSeconds=_INT32,
    backoffLimit=_INT32,
    clusterSelector=_TEXTS,
    deletionStrategy=_fields(
        deletionRules={"type": "array", "minItems": 1, "items": _DELETION_RULE},
        onFailure=_fields(policy=_POLICY),
        onSuccess=_fields(policy=_POLICY),
    ),
    entrypoint=_TEXT,
    entrypointNumCpus=_NUMBER,
    entrypointNumGpus=_NUMBER,
    entrypointResources=_TEXT,
    jobId=_TEXT,
    managedBy=_MANAGED_BY,
    metadata=_TEXTS,
    preRunningDeadlineSeconds=_INT32 | {"minimum": 1},
    rayClusterSpec=_CLUSTER,
    runtimeEnvYAML=_TEXT,
    shutdownAfterJobFinishes=_FLAG,
    submissionMode=_one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    submitterConfig=_fields(backoffLimit=_INT32),
    submitterPodTemplate=_KUBERNETES,
    suspend=_FLAG,
    ttlSecondsAfterFinished=_INT32,
)

RAYJOB = _fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=_KUBERNETES,
    spec=_JOB,
)


def check(rayjob: Mapping[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` where the API server, or `ValueError` where the operator,
    would refuse a RayJob."""
    jsonschema.validate(rayjob, RAYJOB)
    for template in pod_templates(rayjob["spec"]):
        check_kubernetes(
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": template}
        )
    if refused := list(_refusals(rayjob["metadata"]["name"], rayjob["spec"])):
        raise ValueError("; ".join(refused))


def check_kubernetes(resource: Mapping[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` unless this is a resource by Kubernetes' own schema."""
    kubernetes_validate.validate(dict(resource), KUBERNETES, strict=True)


def pod_templates(spec: Mapping[str, Any]) -> Iterator[Json]:
    """All pods of a job; the autoscaler's container as one of them."""
    cluster = spec["rayClusterSpec"]
    if "submitterPodTemplate" in spec:
        yield spec["submitterPodTemplate"]
    yield cluster["headGroupSpec"]["template"]
    for group in cluster.get("workerGroupSpecs", []):
        yield group["template"]
    others = ("idleTimeoutSeconds", "upscalingMode", "version")
    options = cluster.get("autoscalerOptions", {}).items()
    container = {key: value for key, value in options if key not in others}
    yield {"spec": {"containers": [{"name": "autoscaler", **container}]}}


def _refusals(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """What the operator checks beyond the schema."""
    cluster = spec["rayClusterSpec"]
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", name):
        yield "the name must be a DNS label of at most 47 characters"
    if spec.get("ttlSecondsAfterFinished", 0) > 0 and not spec.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
    if spec.get("backoffLimit", 0) < 0 or spec.get("activeDeadlineSeconds", 1) <= 0:
        yield "backoffLimit must not be negative, activeDeadlineSeconds must be positive"
    if spec.get("submissionMode") == "SidecarMode" and "submitterPodTemplate" in spec:
        yield "SidecarMode has no submitterPodTemplate"
    auth, version = cluster.get("authOptions", {}), cluster.get("rayVersion", "0")
    if auth.get("enableK8sTokenAuth"):
        yield "a RayJob cannot use the tokens of Kubernetes"
    if auth.get("mode") == "token" and tuple(map(int, version.split(".")[:2])) < (2, 52):
        yield "token authentication needs rayVersion 2.52 or later"
    yield from _group_refusals("head", cluster["headGroupSpec"])
    for group in cluster.get("workerGroupSpecs", []):
        yield from _group_refusals(group["groupName"], group)
        if not 0 <= group["minReplicas"] <= group["maxReplicas"]:
            yield f"{group['groupName']}: minReplicas must be between 0 and maxReplicas"


def _group_refusals(name: str, group: Mapping[str, Any]) -> Iterator[str]:
    start = group.get("rayStartParams", {})
    pod = group["template"]["spec"]
    if "labels" in start:
        yield f"{name}: labels belong to the group, not to rayStartParams"
    if group.get("resources") and {"num-cpus", "num-gpus", "memory", "resources"} & set(start):
        yield f"{name}: resources are both in the group and in rayStartParams"
    if pod.get("restartPolicy", "Never") != "Never":
        yield f"{name}: the autoscaler v2 needs restartPolicy Never"
    variables = {entry["name"] for entry in pod["containers"][0].get("env", [])}
    if "RAY_enable_autoscaler_v2" in variables:
        yield f"{name}: the autoscaler's version is an option, not a variable"


def crd_schema(path: Path) -> Json:
    """The schema of ray.io/v1 in a file with the CustomResourceDefinition of RayJob.

    Unknown fields are refused, as `kubectl apply` does by default.
    """
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    versions = {version["name"]: version for version in definition["spec"]["versions"]}
    schema: Json = _strict(versions["v1"]["schema"]["openAPIV3Schema"])
    return schema


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        strict.setdefault("additionalProperties", bool(open_ended))
    return strict
