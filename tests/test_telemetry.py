"""Nothing reports home: files that cannot import the switches repeat all of them, and who starts a flow sets them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clir_core.telemetry import OFF

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("file", ["Makefile", "infra/Dockerfile", "deployments/prefect.yaml"])
def test_a_file_that_repeats_the_switches_has_them_all(file: str) -> None:
    said = dict(re.findall(r'([A-Z_]+)(?:=| := |: )"?(\w+)"?', (ROOT / file).read_text("utf-8")))
    assert said.items() >= OFF.items()


def test_they_stand_nowhere_else() -> None:
    code = [path for layer in ("clir_core", "tasks", "flows", "deployments") for path in (ROOT / layer).rglob("*.py")]
    named = {str(path.relative_to(ROOT)) for path in code if any(name in path.read_text("utf-8") for name in OFF)}
    assert named == {"clir_core/telemetry.py"}


def test_whatever_imports_a_flow_reports_nothing_unless_it_is_told_to() -> None:
    program = f"import os, flows; print([os.environ.get(name) for name in {sorted(OFF)}])"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"DO_NOT_TRACK": "0"}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str(list(dict(sorted((OFF | {"DO_NOT_TRACK": "0"}).items())).values()))
