"""The service as its user meets it: up, status, down, and what it says where it cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from service_case import ROOT, Service, call, until

from clir_core.errors import StoreError
from clir_core.workspace import processes
from deployments import process, supervisor
from deployments.process import Running
from deployments.scratch import scratch
from deployments.settings import Settings, complaint


def sleeper(tmp_path: Path, code: str = "import time; time.sleep(600)") -> Running:
    return process.start([sys.executable, "-c", code], dict(os.environ), tmp_path, tmp_path / "log")


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text("utf-8").endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)
    return path.read_text("utf-8")


def test_a_process_is_known_again_by_more_than_its_pid(tmp_path: Path) -> None:
    running = sleeper(tmp_path)
    again = Running.model_validate_json(running.model_dump_json())
    assert process.alive(again)
    assert not process.alive(again.model_copy(update={"ticks": running.ticks + 1}))
    assert not process.alive(again.model_copy(update={"boot": "another"}))
    process.stop(again.model_copy(update={"ticks": running.ticks + 1, "mark": "another"}), grace=1)
    assert process.alive(running), "a stranger was ended"
    process.stop(again, grace=10)
    assert not process.alive(running) and not process.kin(running.mark)


def test_what_outlives_a_process_is_ended_with_it(tmp_path: Path) -> None:
    child = "import subprocess, sys, time\n"
    child += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    child += "open('pid', 'w').write(f'{p.pid}\\n')\ntime.sleep(600)"
    running = sleeper(tmp_path, child)
    orphan = int(wait_for(tmp_path / "pid"))
    assert set(process.kin(running.mark)) == {running.pid, orphan}
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not process.alive(running))
    assert set(processes.topmost(process.kin(running.mark))) == {orphan}
    assert process.stop(running, grace=10) == 1
    assert not process.kin(running.mark)


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    deaf += "open('ready', 'w').write('\\n'); time.sleep(600)"
    running = sleeper(tmp_path, deaf)
    wait_for(tmp_path / "ready")
    process.stop(running, grace=0.2)
    assert not process.alive(running)


def test_without_a_service_everything_says_so(settings: Callable[[], dict[str, str]]) -> None:
    environment = settings()
    status = call("status", environment)
    assert status.returncode == 1 and status.stdout.count("not started") == 3
    asked = call("env", environment)
    assert asked.returncode == 1 and "`make up` starts one" in asked.stderr


def test_what_is_wrong_with_the_environment_is_said_but_no_secret(
    settings: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"CLIR_UI_PORT": "high", "DATABASE_URL": "mysql://me:secret@here/db", "CLIR_NOTIFY_URL": "ftp://secret"}
    wrong = call("up", settings() | bad)
    told = wrong.stdout + wrong.stderr
    assert wrong.returncode == 1 and "Traceback" not in told and "secret" not in told
    assert all(text in told for text in ("CLIR_UI_PORT=high: ", "DATABASE_URL: ", "CLIR_NOTIFY_URL: "))
    for url in ("postgres+asyncpg://me:secret@here/db", "postgresql://me:secret/x@here/db"):
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(ValidationError) as caught:
            Settings()
        assert complaint(caught.value).startswith("DATABASE_URL: ") and "secret" not in complaint(caught.value)


@pytest.mark.parametrize(
    ("url", "told"), [("", "PREFECT_API_URL is not set"), ("http://127.0.0.1:1/api", "http://127.0.0.1:1/api: ")]
)
def test_deploying_needs_a_server(settings: Callable[[], dict[str, str]], url: str, told: str) -> None:
    environment = settings() | {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "0"}
    arguments = [sys.executable, "-m", "deployments"]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr


def test_a_taken_port_is_named_and_nothing_stays(settings: Callable[[], dict[str, str]]) -> None:
    environment = settings()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(environment["CLIR_DASHBOARD_PORT"])))
        stranger.listen()
        done = call("up", environment)
    assert done.returncode == 1
    assert f"port {environment['CLIR_DASHBOARD_PORT']} is taken" in done.stderr
    assert "CLIR_DASHBOARD_PORT=" in done.stderr and "answers" not in done.stdout
    assert not list((Path(environment["CLIR_WORKSPACE"]) / "service").glob("*.json"))


@pytest.mark.parametrize("kib", [4, 16, 1024])
def test_a_full_disk_is_named_before_anything_starts(
    settings: Callable[[], dict[str, str]], small_disk: Callable[[int], Path], kib: int
) -> None:
    disk = small_disk(kib)
    done = call("up", settings() | {"CLIR_WORKSPACE": str(disk / "workspace")})
    assert done.returncode == 1 and "no space left" in done.stderr and str(disk) in done.stderr
    assert "Traceback" not in done.stderr and "answers" not in done.stdout
    assert not list(disk.rglob("*.json"))


def test_a_read_only_disk_is_named_before_anything_starts(
    settings: Callable[[], dict[str, str]], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(128 * 1024)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for command in ("up", "status", "down"):
        done = call(command, settings() | {"CLIR_WORKSPACE": str(disk / "workspace")})
        assert done.returncode == 1 and "Read-only file system" in done.stderr and "Traceback" not in done.stderr


def test_a_supervisor_that_cannot_be_recorded_does_not_stay(tmp_path: Path) -> None:
    asked = Settings(workspace=tmp_path)
    (asked.state / f"{supervisor.NAME}.json").mkdir(parents=True)
    with pytest.raises(StoreError, match=f"{supervisor.NAME}.json: cannot be"):
        supervisor.start(asked, [])
    configuration = str(scratch(asked) / f"{supervisor.NAME}.conf").encode()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if configuration in line]


def test_what_is_deployed_explains_and_checks_its_parameters(service: Service) -> None:
    for name in ("audit/checkpoint", "nightly/audit", "align/finetune", "embed/corpus", "correct/vectors"):
        deployment = service.deployment(name)
        schema = deployment["parameter_openapi_schema"]
        assert set(schema["properties"]) == {"spec"} and schema["definitions"]
        assert schema["properties"]["spec"]["default"]["workspace"] == str(service.workspace)
        assert str(ROOT) not in str(deployment["pull_steps"])
    audit = service.deployment("audit/checkpoint")["id"]
    wrong = {"parameters": {"spec": {"model": 5}}}
    refused = service.api.post(f"/deployments/{audit}/create_flow_run", json=wrong)
    assert refused.status_code in (409, 422) and "5 is not of type 'string'" in refused.text


def test_the_nights_to_come_are_scheduled(service: Service) -> None:
    nightly = {"id": {"any_": [service.deployment("nightly/audit")["id"]]}}
    wanted = {"deployments": nightly, "sort": "EXPECTED_START_TIME_ASC"}
    (first, *_) = until(lambda: service.ask("POST", "/flow_runs/filter", wanted))
    assert (first["state_type"], first["auto_scheduled"]) == ("SCHEDULED", True)
    assert first["expected_start_time"][10:16] == "T02:00"


def test_nobody_gets_in_without_the_password(service: Service) -> None:
    ui, dashboard = (service.environment[name] for name in ("CLIR_UI_PORT", "CLIR_DASHBOARD_PORT"))
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(f"http://127.0.0.1:{ui}/api/admin/version").status_code == 401
        assert stranger.get(f"http://127.0.0.1:{dashboard}/api/jobs/").status_code == 401
    assert (service.workspace / "prefect" / "auth").stat().st_mode & 0o077 == 0


def test_only_this_machine_reaches_it(service: Service) -> None:
    """Every listening socket of the service's processes is bound to the loopback address."""
    ours = set()
    for pid in service.kin():
        ours |= {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()}
    open_ones = []
    for table in ("tcp", "tcp6"):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text("utf-8").splitlines()[1:]]
        open_ones += [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in ours]
    loopback = ("0100007F:", "0000000000000000FFFF00000100007F:", "00000000000000000000000001000000:")
    assert len(open_ones) > 5 and not [address for address in open_ones if not address.startswith(loopback)]


def test_status_tells_what_is_up(service: Service) -> None:
    status = service.call("status", CLIR_UI_PORT="1")
    assert status.returncode == 0, status.stdout + status.stderr
    assert status.stdout.count("healthy, pid") == 3 and f"pid {service.pid('worker')}" in status.stdout
    assert "0 2 * * * UTC" in status.stdout and "align/finetune" in status.stdout


def test_another_port_needs_another_start(service: Service) -> None:
    done = service.call("up", CLIR_UI_PORT="1")
    assert done.returncode == 1 and "`make down` first" in done.stderr


def test_env_is_what_a_shell_needs(service: Service) -> None:
    lines = service.call("env").stdout
    shell = ["sh", "-c", f"{lines}\necho $PREFECT_API_URL $PREFECT_API_AUTH_STRING"]
    url, secret = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split()
    user, _, password = secret.partition(":")
    assert httpx.get(f"{url}/admin/version", auth=(user, password), trust_env=False).status_code == 200


def test_a_part_that_is_killed_is_there_again_by_itself_and_status_says_so(service: Service) -> None:
    before = {part: service.pid(part) for part in ("server", "ray", "worker")}
    os.kill(before["worker"], signal.SIGKILL)
    until(lambda: service.pid("worker") not in (0, before["worker"]) and service.is_up(), 120)
    assert {part for part, pid in before.items() if service.pid(part) != pid} == {"worker"}
    told = service.call("status")
    assert told.returncode == 0 and re.search(r"worker died at .* UTC: terminated by SIGKILL", told.stdout)
    # its log goes on where the one before ended
    assert (service.workspace / "service" / "worker.log").read_text("utf-8").count("Worker 'clir' started!") == 2


@pytest.mark.slow
def test_a_second_up_changes_what_is_asked_and_only_that(service: Service) -> None:
    before = {part: service.pid(part) for part in ("server", "ray", "worker")}
    automations = {one["name"]: one["id"] for one in service.api.post("/automations/filter", json={}).json()}

    def up(**environment: str) -> dict[str, str]:
        """The automations after another `up`, their ids by their names."""
        done = service.call("up", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        found = service.api.post("/automations/filter", json={}).json()
        assert len({one["name"] for one in found}) == len(found)
        return {one["name"]: one["id"] for one in found}

    # what was switched on stays on without being said again
    assert up(CLIR_NOTIFY_URL="", CLIR_AUTO_FINETUNE="") == automations
    off = up(CLIR_NOTIFY_URL="off", CLIR_AUTO_FINETUNE="0")
    assert set(automations) - set(off) == {
        "clir: tell about a regression",
        "clir: tell that the service is not well",
        "clir: train a regressed checkpoint",
    }
    assert set(up()) == set(automations)
    assert {part: service.pid(part) for part in before} == before


def test_an_up_that_has_nothing_to_do_is_quick(service: Service) -> None:
    service.call("up")
    begun = os.times()
    done = service.call("up")
    spent = os.times()
    assert "as it was" in done.stdout
    # of processor time, which no other program of the machine lengthens by much
    assert spent.children_user + spent.children_system - begun.children_user - begun.children_system < 3


@pytest.mark.slow
def test_a_server_that_cannot_start_shows_its_log(settings: Callable[[], dict[str, str]]) -> None:
    environment = settings() | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = call("up", environment)
    assert done.returncode == 1 and "server died at its start" in done.stderr and "server.log" in done.stderr
    assert not list((Path(environment["CLIR_WORKSPACE"]) / "service").glob("*.json"))
