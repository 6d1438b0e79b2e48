"""infra/ as plain data: containers of compose.yaml and of the manifests in one shape, the Dockerfile's instructions."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
SECRET = "<secret>"
# ${NAME:-default} and ${NAME:?what is missing}
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}")


@dataclass(frozen=True)
class Container:
    """What runs, with which environment, and which (port, path) tell its health. A secret's value is SECRET."""

    where: str
    image: str
    command: list[str]
    env: dict[str, str]
    health: list[tuple[int, str]] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    spec: dict[str, Any] = field(default_factory=dict)


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load((INFRA / "compose.yaml").read_text("utf-8"))


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """Every object of kubernetes/ by kind/name."""
    found = {}
    for path in sorted((INFRA / "kubernetes").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text("utf-8")):
            if each["kind"] != "Kustomization":
                found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


@cache
def pods() -> dict[str, dict[str, Any]]:
    """Every pod's spec, by the object that makes it; a RayCluster makes one a group."""
    found = {}
    for name, each in manifests().items():
        if each["kind"] == "RayCluster":
            for group in (each["spec"]["headGroupSpec"], *each["spec"]["workerGroupSpecs"]):
                found[f"{name}/{group.get('groupName', 'head')}"] = group["template"]["spec"]
        elif "template" in each.get("spec", {}):
            found[name] = each["spec"]["template"]["spec"]
    return found


@cache
def containers() -> list[Container]:
    """All of them, in compose and in Kubernetes."""
    return [*_composed(), *_of_pods()]


@cache
def ours() -> list[Container]:
    """Those of the project's image; its own environment is part of theirs."""
    image = image_environment()
    mine = [each for each in containers() if each.image.startswith("clir-audit:")]
    return [replace(each, env={**image, **each.env}) for each in mine]


def of(role: str) -> list[Container]:
    """The project's containers whose command holds it: `server start`, `deployments.worker`."""
    return [each for each in ours() if role in " ".join(each.command)]


def ray_nodes() -> list[Container]:
    """Ours in compose, those that the operator starts in Kubernetes."""
    return [*of("clir_core.jobs.node"), *of("ray start")]


@cache
def dockerfile() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (INFRA / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def image_environment() -> dict[str, str]:
    pairs = [pair for word, rest in dockerfile() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def filled(text: Any) -> str:
    """As compose reads it: defaults put in, required variables by SECRET."""
    return VARIABLE.sub(lambda found: SECRET if found[2] is None else found[2], str(text))


def _composed() -> Iterator[Container]:
    for name, service in compose()["services"].items():
        test = " ".join(service.get("healthcheck", {}).get("test", []))
        yield Container(
            where=f"compose/{name}",
            image=service["image"],
            command=[filled(word) for word in service.get("command", [])],
            env={key: filled(value) for key, value in service.get("environment", {}).items()},
            health=[(int(port), path) for port, path in re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", test)],
            mounts=[volume.partition(":")[2] for volume in service.get("volumes", [])],
            spec=service,
        )


def _of_pods() -> Iterator[Container]:
    for where, pod in pods().items():
        for container in pod["containers"]:
            probes = [probe for name, probe in container.items() if name.endswith("Probe") and "httpGet" in probe]
            yield Container(
                where=where,
                image=container["image"],
                command=container.get("command") or _ray_start(where),
                env={each["name"]: each.get("value", SECRET) for each in container.get("env", [])},
                health=[(probe["httpGet"]["port"], probe["httpGet"]["path"]) for probe in probes],
                mounts=[mount["mountPath"] for mount in container.get("volumeMounts", [])],
                spec=container,
            )


def _ray_start(where: str) -> list[str]:
    """What KubeRay makes of rayStartParams; empty for a container that runs its image's own command."""
    kind, name, *group = where.split("/")
    if kind != "RayCluster":
        return []
    spec = manifests()[f"{kind}/{name}"]["spec"]
    if group == ["head"]:
        given, more = spec["headGroupSpec"]["rayStartParams"], ["--head"]
    else:
        given = next(each["rayStartParams"] for each in spec["workerGroupSpecs"] if [each["groupName"]] == group)
        more = [f"--address={name}-head-svc:6379"]
    return ["ray", "start", "--block", *more, *(f"--{key}={value}" for key, value in given.items())]
