"""Whatever became of a file that the workspace keeps: it is read, computed again, or an error of our own names it."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest
from corpus_files import damaged
from hypothesis import given
from hypothesis import strategies as st
from test_comparison import History

from clir_core.audit.result import AuditResult
from clir_core.errors import ClirError
from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.comparison import compare_checkpoints
from clir_core.registry.registry import Registry
from clir_core.runs.audited import load_audit
from clir_core.workspace.steps import once, read_kept, read_result
from flows.commands import registry as commands

FILES = ("first/audit.json", "second/audit.json", "first/queries.parquet", "ws/registry/facts.sqlite")


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        history = History(Path(place))
        history.add("first", 0.5)
        history.add("second", 0.6)
        yield Path(place)


@given(name=st.sampled_from(FILES), data=st.data())
def test_a_damaged_file_is_named_or_read(kept: Path, name: str, data: st.DataObject) -> None:
    whole = (kept / name).read_bytes()
    with tempfile.TemporaryDirectory() as place:
        workspace = Path(place) / "ws"
        shutil.copytree(kept / "ws", workspace)
        try:
            (kept / name if name[:2] != "ws" else Path(place) / name).write_bytes(damaged(whole, data.draw))
            with suppress(ClirError):
                compare_checkpoints(CompareSpec(workspace=workspace))
            with suppress(ClirError):
                load_audit(kept / "first").metrics.height  # noqa: B018  it is the reading that counts
            said = io.StringIO()
            for command in (
                commands.History(workspace=workspace),
                commands.Show(checkpoint="first", workspace=workspace),
            ):
                with suppress(ClirError), redirect_stdout(said):
                    command.cli_cmd()
        finally:
            (kept / name).write_bytes(whole)
        Registry(workspace)


@given(st.data())
def test_a_damaged_result_is_computed_again(kept: Path, data: st.DataObject) -> None:
    whole = (kept / "first" / "audit.json").read_bytes()
    made = AuditResult.model_validate_json(whole)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "result.json"
        file.write_bytes(damaged(whole, data.draw))
        there = read_result(file, AuditResult)
        with suppress(ClirError):
            assert read_kept(file, AuditResult) == there
        found, was_there = once(Path(place), AuditResult, lambda _: made)
        assert found == (there or made) and was_there == (there is not None)
        assert read_result(file, AuditResult) == found
