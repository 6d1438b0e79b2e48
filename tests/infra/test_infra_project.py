"""Every command, path, port, address and variable in infra/ exists in the project, or in the program that reads it."""

import os
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from infra_files import ROOT, SECRET, Container, compose, containers, image_environment, manifests, of, ours

from deployments.parts import POOL
from deployments.settings import Settings

DEFAULTS = {name: info.default for name, info in Settings.model_fields.items()}
UI, DASHBOARD, GCS = (DEFAULTS[name] for name in ("ui_port", "dashboard_port", "ray_port"))
POSTGRES = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PGDATA"}  # of the official image


def _called(container: Container) -> str:
    return f"{container.where}: {shlex.join(container.command)}"


@pytest.mark.parametrize("container", ours(), ids=_called)
def test_the_command_is_understood_by_its_program(container: Container) -> None:
    program, *arguments = container.command
    assert program in {"python", *(script.name for script in entry_points(group="console_scripts"))}
    if arguments[:2] == ["-m", "deployments.worker"]:  # Prefect's command, which it becomes
        program, arguments = "prefect", ["worker", "start", *arguments[2:]]
    if arguments[:2] == ["-m", "clir_core.jobs.node"]:  # Ray's, likewise
        program, arguments = "ray", ["start", "--block", *arguments[2:]]
    if program == "python":
        assert arguments[0] == "-m" and find_spec(f"{arguments[1]}.__main__")
    elif program == "prefect":
        from prefect.cli._app import _app

        command, bound, _ = _app.parse_args(arguments, exit_on_error=False, print_error=False)
        assert command.__name__ == "start" and bound.arguments
    else:
        from ray.scripts.scripts import cli

        name, command, rest = cli.resolve_command(cli.make_context("ray", list(arguments)), list(arguments))
        assert command.make_context(name, rest).params["block"] is True


@pytest.mark.parametrize("container", containers(), ids=_called)
def test_every_variable_is_read_by_somebody(container: Container) -> None:
    assert set(container.env) <= (POSTGRES if container.image.startswith("postgres:") else _read_by_the_programs())


def test_every_variable_of_the_image_is_read_by_somebody() -> None:
    assert set(image_environment()) <= _read_by_the_programs()


@cache
def _read_by_the_programs() -> set[str]:
    """Prefect's settings, the service's, and the names that stand in the code that reads the others."""
    from prefect.settings import Settings as PrefectSettings
    from prefect.settings.legacy import _get_valid_setting_names

    ray, hub = (Path(str(find_spec(name).origin)).parent for name in ("ray", "huggingface_hub"))
    code = [hub / "constants.py", ray / "_private/runtime_env/image_uri.py"]
    code += [*(ray / "_private/authentication").glob("*.py"), *(ray / "_common/usage").glob("*.py")]
    code += [*(ROOT / "clir_core").rglob("*.py"), ROOT / "deployments/prefect.yaml"]
    words = {word for path in code for word in re.findall(r"\b[A-Z]+_[A-Z_]+\b", path.read_text("utf-8"))}
    return (
        words | {f"CLIR_{name.upper()}" for name in Settings.model_fields} | _get_valid_setting_names(PrefectSettings)
    )


@pytest.mark.parametrize("worker", of("deployments.worker"), ids=_called)
def test_a_worker_has_all_that_make_up_would_give_it(worker: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    given = Settings().service("secret")
    # the server's; how often it asks for work; colours for people at a terminal; Ray on the loopback address alone;
    # what the image installs; a container has no proxy unless it is given one
    beside = {"PREFECT_SERVER_API_AUTH_STRING", "PREFECT_WORKER_QUERY_SECONDS", "PREFECT_LOGGING_COLORS"}
    beside |= {"PYTHONPATH", "NO_PROXY", "no_proxy"}
    needed = {name: given[name] for name in given.keys() - beside - {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"}}
    assert set(needed) <= set(worker.env)
    places = {name for name, value in needed.items() if "/" in value}
    assert all(worker.env[name] in (needed[name], SECRET) for name in needed.keys() - places)


def _addresses() -> Iterator[tuple[str, str]]:
    for container in ours():
        yield from ((container.where, value) for value in container.env.values() if value.startswith("http://"))
        yield from (
            (container.where, f"ray://{word[10:]}") for word in container.command if word.startswith("--address=")
        )


@pytest.mark.parametrize(("where", "address"), _addresses())
def test_every_address_is_one_where_a_service_listens(where: str, address: str) -> None:
    url = urlsplit(address)
    head = "ray-head" if where.startswith("compose/") else "ray-head-svc"
    # the last one: for the browser
    assert (url.hostname, url.port) in {("server", UI), (head, DASHBOARD), (head, GCS), ("127.0.0.1", UI)}


def test_what_is_addressed_is_there() -> None:
    assert {"server", "ray-head", "postgres"} <= set(compose()["services"])
    # KubeRay names the head's service after its cluster: ray-head-svc
    assert {"Service/server", "Service/postgres", "RayCluster/ray"} <= set(manifests())
    ports = {
        name: each["spec"]["ports"][0]["port"] for name, each in manifests().items() if name.startswith("Service/")
    }
    assert ports == {"Service/server": UI, "Service/postgres": 5432}


def test_the_servers_listen_where_the_project_expects_them() -> None:
    for server in of("server start"):
        assert server.command[-2:] == ["--port", str(UI)]
    for head in of("--head"):
        told = dict(word[2:].split("=") for word in head.command if "=" in word)
        assert int(told.get("port", 6379)) == GCS
        assert int(told.get("dashboard-port", 8265)) == DASHBOARD


@pytest.mark.parametrize("container", [each for each in ours() if each.health], ids=_called)
def test_health_is_asked_at_a_route_of_the_program(container: Container) -> None:
    import prefect
    import ray
    from prefect.settings import Settings as PrefectSettings
    from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT

    command = " ".join(container.command)
    program, port = {
        "server start": ("prefect/server/api/server.py", UI),
        "deployments.worker": ("prefect/workers/server.py", PrefectSettings().worker.webserver.port),
        "--head": ("ray/dashboard/http_server_head.py", DASHBOARD),
        "--address": ("ray/dashboard/http_server_agent.py", DEFAULT_DASHBOARD_AGENT_LISTEN_PORT),
    }[next(role for role in ("server start", "deployments.worker", "--head", "--address") if role in command)]
    package, _, module = program.partition("/")
    source = (Path({"prefect": prefect, "ray": ray}[package].__file__).parent / module).read_text("utf-8")
    for asked, path in container.health:
        assert asked == port
        # Prefect mounts the routes of its server below /api
        assert f'"{path}"' in source or f'"{path.removeprefix("/api")}"' in source


@pytest.mark.parametrize("server", of("server start"), ids=_called)
def test_the_server_finds_the_database(server: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import Settings as PrefectSettings

    for name, value in server.env.items():
        monkeypatch.setenv(name, "p/w" if "PASSWORD" in name else value)
    url = PrefectSettings().server.database.connection_url
    assert url and url.get_secret_value() == "postgresql+asyncpg://prefect:p%2Fw@postgres:5432/prefect"
    databases = [each for each in containers() if each.image.startswith("postgres:")]
    assert {(each.env["POSTGRES_USER"], each.env["POSTGRES_DB"]) for each in databases} == {("prefect", "prefect")}


def test_worker_and_deployments_share_the_pool() -> None:
    deployed = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text("utf-8"))["deployments"]
    pools = {each["work_pool"]["name"] for each in deployed}
    assert pools == {POOL} == {each.command[each.command.index("--pool") + 1] for each in of("deployments.worker")}
    assert {each.command[each.command.index("--type") + 1] for each in of("deployments.worker")} == {"process"}
