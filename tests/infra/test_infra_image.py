"""The image holds what the project needs, in the versions that it is tested with, and all work in one folder."""

import re
import tomllib
from fnmatch import fnmatch

from infra_files import ROOT, dockerfile, image_environment, manifests, of, ours, ray_nodes

from deployments.settings import Settings

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, PACKAGES = DECLARED["project"], DECLARED["tool"]["setuptools"]["packages"]["find"]["include"]
LOCKED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text("utf-8"), flags=re.MULTILINE))


def test_the_image_has_all_that_it_copies_and_all_that_it_needs() -> None:
    sources = [word for kind, rest in dockerfile() if kind == "COPY" for word in rest.split()[:-1]]
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert all((ROOT / source).exists() for source in sources) and set(sources) == sent
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    folders = {folder for folder in folders if any(fnmatch(folder, each) for each in PACKAGES)}
    assert folders | {"deployments", PROJECT["readme"], "requirements.lock", *PROJECT["license-files"]} <= set(sources)


def test_versions_are_those_of_the_project() -> None:
    assert {each.image for each in ours()} == {f"clir-audit:{PROJECT['version']}"}
    assert manifests()["RayCluster/ray"]["spec"]["rayVersion"] == LOCKED["ray"]
    python = next(rest for word, rest in dockerfile() if word == "FROM").removeprefix("python:")
    resolved = re.search(r"Python (\d+\.\d+)", (ROOT / "requirements.lock").read_text("utf-8"))
    assert resolved and re.match(rf"{re.escape(resolved[1])}\.\d+-", python)
    assert f"torch=={LOCKED['torch']}" in PROJECT["dependencies"]
    steps = " ".join(rest for word, rest in dockerfile() if word == "RUN")
    assert "grep '^torch==' requirements.lock" in steps and "--constraint requirements.lock" in steps


def test_all_work_in_the_same_folder() -> None:
    image, folder = image_environment(), next(rest for word, rest in dockerfile() if word == "WORKDIR")
    assert (
        image["CLIR_ROOT"] == folder
        and image["CLIR_WORKSPACE"] == f"{folder}/{Settings.model_fields['workspace'].default}"
    )
    assert image["PREFECT_HOME"] == f"{image['CLIR_WORKSPACE']}/prefect"
    working = [*of("deployments.worker"), *ray_nodes()]
    assert {mount for each in working for mount in each.mounts} == {image["CLIR_WORKSPACE"]}
    assert all(each.mounts for each in working)
