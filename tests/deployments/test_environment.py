"""Which variables count for the service, and what a shell makes of what it is told, wherever the project lies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clir_core import telemetry
from deployments.environment import PASSED, exports, passed, passed_on
from deployments.settings import ROOT, Settings

ODD = 'it\'s a $(path) `with` "all" that & ; is odd'


def test_of_the_callers_environment_only_what_is_listed_counts() -> None:
    mine = {"PATH": "/bin", "HF_TOKEN": "x", "LC_ALL": "C", "CLIR_UI_PORT": "1", "RAY_AUTH_TOKEN": "t"}
    others = ("RAY_ADDRESS", "RAY_NAMESPACE", "PREFECT_API_URL", "PREFECT_PROFILE", "PYTHONSTARTUP", "LD_AUDIT", "X")
    assert passed(mine | dict.fromkeys(others, "x")) == mine
    held_back = dict.fromkeys(("DATABASE_URL", "CLIR_NOTIFY_URL", "CLIR_RAY_JOBS"), "x")
    assert passed(held_back) == held_back and passed_on(mine | held_back) == mine


def test_every_setting_of_the_service_counts() -> None:
    names = {"DATABASE_URL" if name == "database_url" else f"CLIR_{name.upper()}" for name in Settings.model_fields}
    assert passed(dict.fromkeys(names, "x")).keys() == names


def test_the_page_lists_what_counts() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [name for name in PASSED if f"`{name}`" not in page and name != name.lower()] == []


@pytest.mark.parametrize("given", ["", "*", "inside.example", "inside.example,127.0.0.1"])
def test_this_machine_is_asked_without_a_proxy(given: str) -> None:
    """By each of the libraries, whichever of the two variables it reads; what the user has said stays."""
    for name in ("NO_PROXY", "no_proxy"):
        proxies = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", name: given}
        environment = proxies | telemetry.no_proxy(proxies)
        program = "import sys, urllib.request, requests.utils, httpx\n"
        program += "for url in sys.argv[1:]:\n"
        program += "    direct = urllib.request.proxy_bypass(url.split('//')[1].rpartition(':')[0].strip('[]'))\n"
        program += "    found = requests.utils.get_environ_proxies(url)\n"
        program += "    way = httpx.Client()._transport_for_url(httpx.URL(url))\n"
        program += "    print(bool(direct), not found, 'Proxy' not in type(getattr(way, '_pool')).__name__)"
        urls = ["http://127.0.0.1:4200", "http://localhost:4200", "http://[::1]:4200", "http://outside.example:80"]
        shown = subprocess.run(
            [sys.executable, "-c", program, *urls], env=environment, capture_output=True, text=True, check=True
        )
        *here, outside = shown.stdout.splitlines()
        assert here == ["True True True"] * 3
        assert outside == ("True True True" if given == "*" else "False False False")


def test_a_shell_understands_what_it_is_told_wherever_the_project_lies(tmp_path: Path) -> None:
    folder = tmp_path / ODD / "bin"
    folder.mkdir(parents=True)
    (folder / "prefect").write_text("#!/bin/sh\necho mine\n")
    (folder / "prefect").chmod(0o755)
    told = "\n".join(exports({"CLIR_WORKSPACE": ODD}, folder))
    shell = ["sh", "-c", 'eval "$1"; prefect; ls / > /dev/null && printf %s "$CLIR_WORKSPACE"', "sh", told]
    assert subprocess.run(shell, capture_output=True, text=True, check=True).stdout == f"mine\n{ODD}"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not here")
def test_make_works_wherever_the_project_lies(tmp_path: Path) -> None:
    clone, venv = tmp_path / ODD, Path(sys.prefix)
    for room in ("clir_core", "deployments", "flows"):
        shutil.copytree(ROOT / room, clone / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / file, clone)
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(venv / "pyvenv.cfg", clone / ".venv")
    (clone / ".venv" / "lib").symlink_to(venv / "lib")
    (clone / ".venv" / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (clone / ".venv" / ".ready").touch()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    status = subprocess.run(["make", "-s", "status"], cwd=clone, env=environment, capture_output=True, text=True)
    assert status.stdout.count("not started") == 3, status.stderr
    assert (clone / ".clir" / "prefect" / "auth").is_file()
