"""A cloud that lives in memory: enough of Google's APIs for Ray's launcher to start machines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httplib2
import jsonschema
import pytest
from googleapiclient.discovery import build

Json = dict[str, Any]


class Cloud:
    """Answers what the launcher asks, and keeps the machines that it creates.

    Stands where an HTTP connection stands. Anything else that is asked fails the test.
    """

    def __init__(self, project: str, started: Callable[[str, str], None]) -> None:
        self.project = project
        self.created: list[Json] = []
        """Bodies of the requests that created machines."""
        self.machines: dict[str, Json] = {}
        self._started = started
        """Called with the name and the private address of a machine that runs."""

    def request(
        self, uri: str, method: str = "GET", body: str | None = None, **_: object
    ) -> tuple[httplib2.Response, bytes]:
        """One call of an API, as `httplib2.Http.request`."""
        url = urlsplit(uri)
        path = re.sub(r"^.*?/projects/[^/:]+", "", url.path).removeprefix("/zones/us-central1-a")
        asked: Json = json.loads(body) if body else {}
        answer = self._answer(method, path, asked, parse_qs(url.query).get("filter", [""])[0])
        return httplib2.Response({"status": 200}), json.dumps(answer).encode()

    def _answer(self, method: str, path: str, asked: Json, wanted: str) -> Json:
        match method, [part for part in path.split("/") if part]:
            case "GET", []:
                return {
                    "projectId": self.project,
                    "name": self.project,
                    "lifecycleState": "ACTIVE",
                    "commonInstanceMetadata": {"items": []},
                }
            case "POST", [":getIamPolicy"]:
                return {"bindings": []}
            case "GET", ["serviceAccounts", email]:
                return {"email": email, "projectId": self.project}
            case "POST", ["instances"]:
                return self._create(asked)
            case "GET", ["instances"]:
                return {"items": [m for m in self.machines.values() if _carries(m, wanted)]}
            case "GET", ["instances", name]:
                return self.machines[name]
            case "POST", ["instances", name, "setLabels"]:
                self.machines[name]["labels"] = asked["labels"]
                return {"name": "operation"}
            case "POST", [":setIamPolicy"] | ["setCommonInstanceMetadata"]:
                return {"name": "operation"}
            case "GET", [*_, "operations", _]:
                return {"name": "operation", "status": "DONE"}
        raise AssertionError(f"The launcher asked for {method} {path}")

    def _create(self, body: Json) -> Json:
        self.created.append(body)
        name, address = body["name"], f"10.0.0.{len(self.created) + 1}"
        network = [{**part, "networkIP": address} for part in body["networkInterfaces"]]
        running = {"status": "RUNNING", "networkInterfaces": network, "labelFingerprint": "1"}
        self.machines[name] = {**body, **running}
        self._started(name, address)
        return {"name": "operation"}


def _carries(machine: Json, wanted: str) -> bool:
    labels = re.findall(r"labels\.(\S+) = ([^)]+)\)", wanted)
    return all(machine["labels"].get(key) == value for key, value in labels)


def serve(cloud: Cloud, patch: pytest.MonkeyPatch) -> None:
    """Have Ray's Google clients talk to `cloud`; the descriptions of the APIs come with them."""
    from ray.autoscaler._private.gcp import config, node

    for name, api, version in (
        ("_create_crm", "cloudresourcemanager", "v1"),
        ("_create_iam", "iam", "v1"),
        ("_create_compute", "compute", "v1"),
    ):
        client = build(api, version, http=cloud, static_discovery=True)
        patch.setattr(config, name, lambda credentials=None, client=client: client)
    patch.setattr(node.GCPCompute, "get_new_authorized_http", lambda self, http: http)


def check_machine(body: Mapping[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` unless this is a machine by Compute Engine's own API.

    Field names, types and enumerations are those of its published description, which comes with
    Google's client.
    """
    text = files("googleapiclient.discovery_cache.documents").joinpath("compute.v1.json")
    described = json.loads(text.read_text(encoding="utf-8"))["schemas"]
    used: dict[str, Json] = {}
    _collect("Instance", described, used)
    jsonschema.validate(body, {"$ref": "#/$defs/Instance", "$defs": used})


def _collect(name: str, described: Mapping[str, Json], into: dict[str, Json]) -> None:
    if name not in into:
        into[name] = {}
        into[name].update(_strict(described[name]))
        for other in _references(into[name]):
            _collect(other, described, into)


def _strict(schema: Json) -> Json:
    """A JSON Schema of a described type that allows no field but those described."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kept = {key: schema[key] for key in ("type", "enum") if key in schema}
    if "items" in schema:
        kept["items"] = _strict(schema["items"])
    if schema.get("type") == "object":
        kept["properties"] = {k: _strict(v) for k, v in schema.get("properties", {}).items()}
        more = schema.get("additionalProperties")
        kept["additionalProperties"] = _strict(more) if more else False
    return {} if kept.get("type") == "any" else kept


def _references(schema: object) -> Iterable[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix("#/$defs/")
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
