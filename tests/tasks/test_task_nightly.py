"""What a night's tasks add to its rules: which run it is, and whether Prefect started it again."""

from pathlib import Path

import pytest

from clir_core.registry.facts import Audited, Found
from clir_core.registry.registry import Registry
from tasks import nightly as steps


@pytest.mark.parametrize(("attempt", "names"), [("1", []), ("2", ["one"])])
def test_only_a_run_that_was_started_again_has_judged_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: str, names: list[str]
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", "quiet-owl")
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", attempt)
    registry = Registry(tmp_path)
    for name, by in (("one", "flow run quiet-owl"), ("two", "flow run loud-owl")):
        registry.add(Found(checkpoint=name, name=name, ref=f"/{name}", family="e5", source="incoming"))
        registry.add(Audited(checkpoint=name, asked="q", corpus="demo", outcome="unchanged", by=by))
    assert [one.name for one in steps.judged_before(registry.entries(), "q", ())] == names
