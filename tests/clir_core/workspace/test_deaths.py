"""What supervisord itself writes of programs that end, read back."""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clir_core.workspace import layout
from clir_core.workspace.deaths import deaths
from deployments import process


def write(workspace: Path, name: str, text: str) -> None:
    log = layout.supervisor_log(workspace)
    log.parent.mkdir(parents=True, exist_ok=True)
    (log.parent / name).write_text(text, "utf-8")


def test_a_workspace_without_a_service_tells_of_no_death(tmp_path: Path) -> None:
    assert list(deaths(tmp_path)) == []


def test_deaths_are_told_oldest_first_over_all_logs_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "supervisor.log.1", "2026-11-27 00:44:33,694 WARN exited: worker (exit status 1; not expected)\n")
    write(
        tmp_path,
        "supervisor.log",
        "2026-11-27 00:45:00,001 INFO spawned: 'ray' with pid 12\n"
        "2026-11-27 00:46:00,002 WARN exited: ray (terminated by SIGKILL; not expected)\n"
        "2026-11-27 00:47:00,003 INFO exited: server (exit status 0; expected)\n"
        "2026-11-27 00:48:00,003 INFO stopped: server (terminated by SIGTERM)\n",
    )
    first, second, third = deaths(tmp_path)
    assert (first.part, first.how) == ("worker", "exit status 1")
    assert (second.part, second.how) == ("ray", "terminated by SIGKILL")
    assert (third.part, third.how) == ("server", "exit status 0")  # by itself, though nothing was wrong
    assert second.at - first.at == timedelta(minutes=1, seconds=27)
    assert str(second) == "ray died at 2026-11-27 00:46:00 UTC: terminated by SIGKILL"


@pytest.mark.parametrize(
    ("code", "how"), [("import os; os.kill(os.getpid(), 9)", "terminated by SIGKILL"), ("1/0", "exit status 1")]
)
def test_supervisord_writes_what_is_read(tmp_path: Path, code: str, how: str) -> None:
    log = layout.supervisor_log(tmp_path)
    log.parent.mkdir(parents=True)
    (tmp_path / "run.py").write_text(code, "utf-8")
    (tmp_path / "conf").write_text(
        f"[supervisord]\nlogfile={log}\npidfile={tmp_path}/pid\nuser=root\n"
        f"[program:one]\ncommand={sys.executable} {tmp_path}/run.py\nstartsecs=0\nautorestart=false\nexitcodes=0\n",
        "utf-8",
    )
    command = (sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(tmp_path / "conf"))
    running = process.start(command, {"PATH": "/usr/bin:/bin", "TZ": "UTC"}, tmp_path, tmp_path / "out")
    try:
        deadline = time.monotonic() + 30
        while not (found := list(deaths(tmp_path))):
            assert time.monotonic() < deadline, (tmp_path / "out").read_text("utf-8")
            time.sleep(0.05)
    finally:
        process.stop(running, 10)
    assert [(death.part, death.how) for death in found] == [("one", how)]
    assert abs(found[0].at - datetime.now(UTC)) < timedelta(minutes=1)
