"""Every command is there, and what is wrong with a request is said before Prefect or Ray start."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.commands import COMMANDS

WATCH = "version: 1\ngate: {metric: pull}\nfamilies: [{name: e5, sources: [{kind: aligned}]}]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_the_list_says_and_does_something(name: str) -> None:
    assert callable(COMMANDS[name].load().cli_cmd)


REFUSED = {
    ("audit", "--languages", "klingon"): "'klingon' is not a BCP-47 code",
    ("audit", "--corpus", "demo#tset"): "did you mean 'demo#test'?",
    ("audit", "--cluster", "article"): "cluster 'article': the queries of corpus demo have no such column",
    ("embed", "--model", "/nowhere"): "/nowhere: no such directory",
    ("embed", "--corpus", "beir:/nowhere"): "/nowhere does not exist",
    ("align", "--gate.metric", "pull"): "pull cannot be the primary metric",
    ("align", "--base", "/nowhere"): "/nowhere: no such directory",
    ("compare", "--before", "nobody"): "no checkpoint is called 'nobody'",
    ("compare", "--gate.metric", "pull"): "pull cannot be the primary metric",
    ("nightly", "--watch", "watch.yaml"): "pull cannot be the primary metric",
}
# one after the other in one process, which takes seconds to start: exit code, output, and what was imported by then
EACH = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
from flows import cli
found = []
for arguments in json.loads(sys.argv[2]):
    sys.argv = ["clir", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main()
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):  # as the interpreter does
                print(code, file=err)
                code = 1
    found.append([code, out.getvalue(), err.getvalue(), [name for name in ("prefect", "ray") if name in sys.modules]])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], list[Any]]:
    place = tmp_path_factory.mktemp("refused")
    (place / "watch.yaml").write_text(WATCH, "utf-8")
    command = [sys.executable, "-c", EACH, str(Path(__file__).resolve().parents[2]), json.dumps([*REFUSED])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(zip(REFUSED, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_it_is_refused_before_anything_starts(
    arguments: tuple[str, ...], refused: dict[tuple[str, ...], list[Any]]
) -> None:
    code, out, err, imported = refused[arguments]
    assert (code, out, imported) == (1, "", []), err
    assert err.startswith("clir: ") and REFUSED[arguments] in err and "Traceback" not in err
