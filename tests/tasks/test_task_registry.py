"""What an alignment run enters into the registry, and what it leaves to people."""

from pathlib import Path

import pytest
from alignment_case import alignment
from prefect.logging import disable_run_logger

from clir_core.model.checkpoint import Checkpoint
from clir_core.registry.facts import Decided, Registry
from tasks import registry as steps


def test_the_same_run_asked_again_leaves_a_persons_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(steps, "tell", lambda kind, *_: told.append(kind))
    result = alignment()
    result = result.model_copy(
        update={
            "spec": result.spec.model_copy(update={"workspace": tmp_path}),
            "decision": result.decision.model_copy(update={"status": "promoted"}),
        }
    )
    made = Checkpoint(
        name="tuned", ref="/models/tuned", path=tmp_path, digest="a" * 64, vectors="b" * 64,
        query_prompt="", document_prompt="", max_tokens=512, truncate_dim=None,
        dtype="float32", normalize=True, remote_code=False,
    )  # fmt: skip

    def registered(out: str = "out") -> list[str]:
        asked = result.model_copy(update={"audit_after": tmp_path / out / "after"})
        with disable_run_logger():
            return [one.status for one in steps.register_alignment.fn(asked, made).history]

    assert registered() == registered() == ["promoted"] and told == ["promoted"]
    Registry(tmp_path).add(Decided(checkpoint=made.digest, status="rejected", reason="It reads badly."))
    assert registered() == registered("elsewhere") == ["promoted", "rejected"] and told == ["promoted"]
