"""Which variables count for the service, and what a shell makes of what it is told, wherever the project lies."""

import subprocess
import sys

import pytest

from clir_core import telemetry
from deployments.environment import PASSED, passed, passed_on
from deployments.settings import ROOT, Settings

ODD = 'it\'s a $(path) `with` "all" that & ; is odd'


def test_of_the_callers_environment_only_what_is_listed_counts() -> None:
    mine = {"PATH": "/bin", "HF_TOKEN": "x", "LC_ALL": "C", "CLIR_UI_PORT": "1", "RAY_AUTH_TOKEN": "t"}
    others = ("RAY_ADDRESS", "RAY_NAMESPACE", "PREFECT_API_URL", "PREFECT_PROFILE", "PYTHONSTARTUP", "LD_PRELOAD", "X")
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
