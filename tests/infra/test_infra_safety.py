"""infra/ keeps secrets out of the repository, asks everybody for a login, and gives no privilege away."""

import re
import subprocess

import pytest
from infra_files import (
    INFRA,
    ROOT,
    SECRET,
    VARIABLE,
    Container,
    compose,
    containers,
    dockerfile,
    image_environment,
    manifests,
    of,
    ours,
    pods,
    ray_nodes,
)

from clir_core.telemetry import OFF


def _secret(name: str) -> bool:
    return bool(re.search("PASSWORD|TOKEN|AUTH_STRING|NOTIFY_URL", name))


@pytest.mark.parametrize("container", containers(), ids=lambda each: each.where)
def test_no_secret_is_written_down(container: Container) -> None:
    assert all(value in (SECRET, "") for name, value in container.env.items() if _secret(name))


def test_the_secrets_of_kubernetes_are_those_that_the_readme_makes() -> None:
    assert not any(name.startswith("Secret/") for name in manifests())
    asked = {
        (env["valueFrom"]["secretKeyRef"]["name"], env["valueFrom"]["secretKeyRef"]["key"])
        for pod in pods().values()
        for container in pod["containers"]
        for env in container.get("env", [])
        if "valueFrom" in env
    }
    made = re.findall(r"--from-literal=([\w-]+)=", (INFRA / "README.md").read_text("utf-8"))
    assert asked == {("clir", key) for key in made}


def test_the_file_with_the_secrets_is_ignored_and_its_example_is_empty() -> None:
    ignored = subprocess.run(["git", "check-ignore", "infra/.env"], cwd=ROOT, capture_output=True)
    assert ignored.returncode == 0
    example = (INFRA / "env.example").read_text("utf-8")
    asked = dict(VARIABLE.findall((INFRA / "compose.yaml").read_text("utf-8")))
    assert set(re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE)) == set(asked)
    assert set(re.findall(r"^([A-Z_]+)=$", example, flags=re.MULTILINE)) == {
        name for name in asked if _secret(name)
    } - {"CLIR_NOTIFY_URL"}


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)
    services = [each["spec"] for name, each in manifests().items() if name.startswith("Service/")]
    assert all(spec.get("type", "ClusterIP") == "ClusterIP" for spec in services)
    policy = manifests()["NetworkPolicy/only-from-this-namespace"]["spec"]
    assert policy["podSelector"] == {} and policy["ingress"] == [{"from": [{"podSelector": {}}]}]


def test_everybody_is_asked_for_a_login() -> None:
    assert len(of("server start")) == 2 and all(
        each.env["PREFECT_SERVER_API_AUTH_STRING"] == SECRET for each in of("server start")
    )
    for client in (*of("deployments.worker"), *of("python -m deployments")):
        assert client.env["PREFECT_API_AUTH_STRING"] == SECRET
    for node in (*ray_nodes(), *of("deployments.worker")):
        assert (node.env["RAY_AUTH_MODE"], node.env["RAY_AUTH_TOKEN"]) == ("token", SECRET)
    sidecar = {env["name"]: env for env in manifests()["RayCluster/ray"]["spec"]["autoscalerOptions"]["env"]}
    assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} <= set(sidecar)


def test_the_image_reports_nothing_to_anybody() -> None:
    assert OFF.items() <= image_environment().items()
    assert all(each.env[name] == value for each in ours() for name, value in OFF.items())


def test_nothing_runs_as_root() -> None:
    instructions = dockerfile()
    assert [rest for word, rest in instructions if word == "USER"] == ["1000:1000"]
    assert [word for word, _ in instructions if word in ("USER", "RUN", "COPY")][-1] == "USER"
    for each in ours():
        if each.where.startswith("compose/"):
            assert each.spec["cap_drop"] == ["ALL"] and each.spec["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("where", pods())
def test_a_pod_is_what_the_namespace_admits(where: str) -> None:
    assert manifests()["Namespace/clir"]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    pod = pods()[where]
    inner = [container["securityContext"] for container in pod["containers"]]
    if where.startswith("RayCluster"):
        inner.append(manifests()["RayCluster/ray"]["spec"]["autoscalerOptions"]["securityContext"])
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(each == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}} for each in inner)
    assert all("memory" in container["resources"]["limits"] for container in pod["containers"])
    assert pod["enableServiceLinks"] is False
    kept = [volume for volume in pod.get("volumes", []) if volume.get("emptyDir") is None]
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in kept}
    assert all(f"PersistentVolumeClaim/{claim}" in manifests() for claim in claims)


def test_images_are_pinned() -> None:
    base = [rest for word, rest in dockerfile() if word == "FROM"]
    assert all(re.search(r":\d+\.\d+", image) for image in (*base, *(each.image for each in containers())))
    assert len({each.image for each in containers() if each.image.startswith("postgres:")}) == 1


def test_the_cluster_grows_and_shrinks_and_shares_its_files() -> None:
    cluster = manifests()["RayCluster/ray"]["spec"]
    groups = {each["groupName"]: each for each in cluster["workerGroupSpecs"]}
    assert cluster["enableInTreeAutoscaling"] is True and set(groups) == {"cpu", "gpu"}
    for group in groups.values():
        assert 1 <= group["minReplicas"] == group["replicas"] < group["maxReplicas"]
        resources = group["template"]["spec"]["containers"][0]["resources"]
        assert resources["requests"] == resources["limits"]
    assert "nvidia.com/gpu" in groups["gpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert manifests()["PersistentVolumeClaim/workspace"]["spec"]["accessModes"] == ["ReadWriteMany"]
