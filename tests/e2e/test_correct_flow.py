"""The flow `correct`: what the form asks, what the UI shows, and an index that anybody can read."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clir_core.correct.table_spec import CorrectSpec
from clir_core.registry.registry import Registry
from clir_core.sources import read_corpus

DIM = 8


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the demo's documents and queries, each language at a place of its own."""
    corpus, random = read_corpus("demo", ("de",)), np.random.default_rng(0)
    place, offset = tmp_path_factory.mktemp("serves"), {lang: random.standard_normal(DIM) for lang in corpus.languages}
    for name, key in (("documents", "doc_id"), ("queries", "query_id")):
        frame = pl.DataFrame(pl.from_arrow(getattr(corpus, name))).select(id=key, lang="lang")
        made = [offset[lang] + random.standard_normal(DIM) for lang in frame["lang"]]
        frame.with_columns(vector=pl.Series(made, dtype=pl.Array(pl.Float32, DIM))).write_parquet(
            place / f"{name}.parquet"
        )
    return place


def test_a_table_is_corrected_audited_and_shown(vectors: Path, prefect_api: str, tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    from flows.correct import correct

    asked: dict[str, Any] = {"vectors": f"vectors:{vectors}", "correction": "mean", "corpus": "demo#test"}
    spec = CorrectSpec.model_validate({**asked, "seen": ("demo#train",), "workspace": tmp_path / "workspace"})
    state = correct(spec, return_state=True)
    assert state.is_completed(), state.message
    found = state.result()
    assert found.needs_language and pl.read_parquet(found.out / "documents.parquet").columns[:2] == ["id", "lang"]
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        shown = {one.key: one.data for one in client.read_artifacts(artifact_filter=mine) if one.key}
    (page,) = (data for key, data in shown.items() if key.startswith("correction-"))
    assert str(found.out / "query.json") in page and "### Before" in page and "### After" in page
    # both tables are known from now on, and the corrected one is not what is corrected next
    assert {entry.found.ref.partition("?")[0] for entry in Registry(spec.workspace).entries()} == {
        f"vectors:{vectors}",
        found.vectors.partition("?")[0],
    }
    again = correct(spec.model_copy(update={"vectors": None}), return_state=True)
    assert again.is_completed() and again.result() == found
