"""A real service in a scratch workspace, with a tiny checkpoint and a small corpus, for faults to happen to."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), *(str(HERE.parents[1] / name) for name in ("", "clir_core", "deployments"))]

import httpx  # noqa: E402
import polars as pl  # noqa: E402
from corpus_case import write_demo_part  # noqa: E402
from service_case import Service, call, drop, until  # noqa: E402
from tiny_case import write_tiny  # noqa: E402

from clir_core.registry.facts import Entry  # noqa: E402
from clir_core.registry.registry import Registry  # noqa: E402
from clir_core.workspace import layout  # noqa: E402

GROUPS = 6
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass(frozen=True)
class Scratch:
    """The service, what its audits ask, and the ranks that every audit of a copy of the checkpoint has to give."""

    service: Service
    model: Path
    corpus: str
    ranks: pl.DataFrame

    def copy(self, seed: int, folder: Path | None = None) -> Path:
        """Another checkpoint of the same ranks, in a folder of its own or in one with others."""
        place = folder or self.service.workspace / "dropped"
        place.mkdir(exist_ok=True)
        return drop(self.model, place / f"copy-{seed}", seed)

    def audit(self, model: Path) -> str:
        """Start an audit of it; the run."""
        return self.service.start("audit/checkpoint", model=str(model), corpus=self.corpus)

    def entry(self, name: str) -> Entry | None:
        """What the registry says of the checkpoint of this name."""
        found = [entry for entry in Registry(self.service.workspace).entries() if entry.name == name]
        return found[0] if len(found) == 1 else None

    def lost(self, name: str) -> str:
        """What is missing of an audit of this name, or otherwise than undisturbed; empty where all is there."""
        entry = self.entry(name)
        if entry is None or not entry.audits:
            return "not registered"
        out = entry.audits[-1].out
        if out is None or entry.audits[-1].outcome == "failed":
            return f"failed: {entry.audits[-1].reason}"
        missing = [file for file in layout.AUDIT_FILES if not (out / file).exists()]
        if missing:
            return f"without {', '.join(missing)}"
        return "" if ranks_of(out).equals(self.ranks) else "other ranks"

    def lost_training(self, name: str) -> str:
        """What is missing of the one checkpoint that was trained from this one; empty where all is there."""
        base = self.entry(name)
        every = Registry(self.service.workspace).entries()
        made = [entry for entry in every if base and entry.found.parent == base.checkpoint]
        if len(made) != 1:
            return f"{len(made)} checkpoints were trained"
        there = (Path(made[0].found.ref) / "model.safetensors").exists() and made[0].audits and made[0].status
        return "" if there else "the trained checkpoint is not whole"

    def twice(self, name: str) -> str:
        """What was done more often than once; empty where nothing was."""
        entry = self.entry(name)
        if entry is None:
            return ""
        events = until(lambda: self.service.events(entry.checkpoint), 60)
        asked = [audit.asked for audit in entry.audits]
        told = {kind: count for kind, count in events.items() if count > 1}
        return f"events {told}" if told else "audits" if len({*asked}) < len(asked) else ""


def ranks_of(out: Path) -> pl.DataFrame:
    """All ranks of an audit, in one order."""
    frame = pl.read_parquet(out / layout.RANKS)
    return frame.select(name for name in frame.columns if frame[name].dtype != pl.Float32).sort(pl.all())


@contextmanager
def scratch(workspace: Path, **more: str) -> Iterator[Scratch]:
    """Up within, down afterwards; with more in its environment."""
    own = ("CLIR_", "PREFECT_", "DATABASE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment |= {f"CLIR_{name}_PORT": str(_free_port()) for name in ("UI", "RAY", "DASHBOARD")}
    environment |= {"CLIR_WORKSPACE": str(workspace), "HF_HUB_OFFLINE": "1", "CLIR_NOTIFY_URL": "off"}
    environment |= more
    model, corpus = write_tiny(workspace / "tiny"), write_demo_part(workspace / "corpus", ("de",), GROUPS)
    done = call("up", environment)
    try:
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        user, _, password = (workspace / "prefect" / "auth").read_text("utf-8").partition(":")
        base = f"http://127.0.0.1:{environment['CLIR_UI_PORT']}/api"
        with httpx.Client(base_url=base, auth=(user, password), timeout=60, trust_env=False) as api:
            nobody: Queue[dict[str, Any]] = Queue()
            neither: Any = SimpleNamespace()  # hub nor proxy
            service = Service(workspace, environment, api, nobody, neither, neither, done.stdout)
            asked = f"parquet:{corpus}"
            run = service.start("audit/checkpoint", model=str(model), corpus=asked)
            service.completed(run)
            entry = next(entry for entry in Registry(workspace).entries() if entry.name == model.name)
            assert entry.audits[-1].out
            yield Scratch(service, model, asked, ranks_of(entry.audits[-1].out))
    finally:
        call("down", environment)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
