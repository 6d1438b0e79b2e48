"""Every command is there, and what is wrong with a request is said before Prefect or Ray start."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.commands import COMMANDS

WATCH = "version: 1\ngate: {metric: pull}\nfamilies: [{name: e5, sources: [{kind: aligned}]}]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_the_list_says_and_does_something(name: str) -> None:
    assert callable(COMMANDS[name].load().cli_cmd)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("audit", "--languages", "klingon"), "'klingon' is not a BCP-47 code"),
        (("audit", "--corpus", "demo#tset"), "did you mean 'demo#test'?"),
        (("audit", "--cluster", "article"), "cluster 'article': the queries of corpus demo have no such column"),
        (("embed", "--model", "/nowhere"), "/nowhere: no such directory"),
        (("embed", "--corpus", "beir:/nowhere"), "/nowhere does not exist"),
        (("align", "--gate.metric", "pull"), "pull cannot be the primary metric"),
        (("align", "--base", "/nowhere"), "/nowhere: no such directory"),
        (("compare", "--before", "nobody"), "no checkpoint is called 'nobody'"),
        (("compare", "--gate.metric", "pull"), "pull cannot be the primary metric"),
        (("nightly", "--watch", "watch.yaml"), "pull cannot be the primary metric"),
    ],
)
def test_it_is_refused_before_anything_starts(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / "watch.yaml").write_text(WATCH, "utf-8")
    code = (
        "import sys\nfrom flows import cli\n"
        "try:\n    cli.main()\n"
        "finally:\n    print([name for name in ('prefect', 'ray') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stdout) == (1, "[]\n"), done.stderr
    assert done.stderr.startswith("clir: ") and message in done.stderr and "Traceback" not in done.stderr
