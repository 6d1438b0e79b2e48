"""A command of a user who has a proxy for everything, with a server and a Ray of its own: nothing goes to the proxy."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from embeddings_server import Server
from other_user import doors
from recording_proxy import proxy


@pytest.mark.slow  # test_service_secrets.py asks the same of the service
def test_a_local_run_keeps_to_this_machine_and_to_its_user(
    clir: Callable[..., subprocess.CompletedProcess[str]],
    demo_part: Callable[..., Path],
    embeddings_server: Server,
    tmp_path: Path,
) -> None:
    asked = {
        "model": f"{embeddings_server.url}#tiny",
        "corpus": f"parquet:{demo_part(tmp_path / 'corpus', ('de',), 6)}",
        "workspace": tmp_path / ".clir",
        "out": tmp_path / "out",
    }
    options = [part for name, value in asked.items() for part in (f"--{name}", value)]
    with proxy() as through:
        done = clir("audit", *options, env={**through.environment, "PREFECT_API_URL": ""})
        assert done.returncode == 0, done.stdout + done.stderr
        assert [one.splitlines()[0] for one in through.asked] == []
    # the temporary server's history is in the workspace, and nobody else's
    assert (tmp_path / ".clir" / "prefect" / "prefect.db").exists()
    assert os.geteuid() != 0 or doors(tmp_path / ".clir") == []
    assert stat.S_IMODE((tmp_path / ".clir").stat().st_mode) == 0o700
    umask = os.umask(0)
    os.umask(umask)
    for path in (tmp_path / "out", tmp_path / "out" / "report.html", tmp_path / "out" / "audit.json"):
        wanted = (0o777 if path.is_dir() else 0o666) & ~umask
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
