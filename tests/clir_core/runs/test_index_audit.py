"""An approximate index beside the exact ranking: what it returns, and what it takes to ask for one."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from clir_core.audit.index import IndexRow
from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.errors import SpecError
from clir_core.rank.built_index import BuiltIndex
from clir_core.rank.index_spec import CANDIDATES, Indexes
from clir_core.runs.audit import Finished, audit
from clir_core.runs.here import Here
from clir_core.runs.kept import finished
from clir_core.runs.runner import Runner


def run(tiny_model: Path, workspace: Path, **asked: Any) -> Finished:
    spec = {"model": str(tiny_model), "corpus": "demo", "languages": ["de", "zh"], "workspace": workspace, **asked}
    return audit(AuditSpec.model_validate(spec), Here(), Runner())


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def found(tiny_model: Path, workspace: Path) -> Finished:
    return run(tiny_model, workspace, index="ivf_flat", index_partitions=12, index_effort=[1, 12], cutoffs=[5, 10])


def rows(result: AuditResult, metric: str, effort: int) -> dict[tuple[str, str], IndexRow]:
    assert result.searched
    return {
        (row.query_lang, row.lang): row for row in result.searched.rows if (row.metric, row.effort) == (metric, effort)
    }


def test_an_index_that_looks_everywhere_returns_the_exact_result(found: Finished) -> None:
    """But for scores that float32 cannot tell apart, of which the tiny model has some."""
    assert found.result.searched
    assert (found.result.searched.documents, found.result.searched.partitions) == (3 * 72, 12)
    for k in (5, 10):
        for row in rows(found.result, f"index_recall@{k}", 12).values():
            assert row.value > 0.97 and row.low <= row.value <= row.high and row.exact == 1
        for row in rows(found.result, f"gold_recall@{k}", 12).values():
            assert row.value == pytest.approx(row.exact, abs=0.03)


def test_a_part_of_it_returns_a_part_of_every_language(found: Finished) -> None:
    part, whole = (rows(found.result, "index_recall@10", effort) for effort in (1, 12))
    assert part.keys() == whole.keys() and len(part) > 3
    assert all(part[pair].value <= whole[pair].value for pair in part)
    assert min(row.value for row in part.values()) < 0.9


def test_golds_are_found_as_often_as_exact_lists_hold_them(found: Finished) -> None:
    top = pl.read_parquet(found.out / "topk.parquet").filter(pl.col("scenario") == "nway", pl.col("relation") == "gold")
    asked = pl.read_parquet(found.out / "ranks.parquet").filter(pl.col("scenario") == "nway")
    for (query_lang, lang), row in rows(found.result, "gold_recall@10", 12).items():
        of_pair = asked.filter(pl.col("query_lang") == query_lang, pl.col("gold_lang") == lang)
        listed = top.filter(pl.col("query_lang") == query_lang, pl.col("doc_lang") == lang)
        assert row.n == of_pair["query_id"].n_unique()
        assert row.exact == pytest.approx(len(listed) / len(of_pair))


def test_it_is_in_the_report_and_not_searched_again(found: Finished, tiny_model: Path, workspace: Path) -> None:
    page = (found.out / "report.html").read_text("utf-8")
    assert "What an index returns" in page and "12 probed" in page and "ivf_flat, 216 documents, 12 partitions" in page
    again = run(tiny_model, workspace, index="ivf_flat", index_partitions=12, index_effort=[1, 12], cutoffs=[5, 10])
    assert again.out == found.out and again.result.searched == found.result.searched
    assert finished(again.result.spec) == found.out
    told = [sentence for sentence in found.result.verdict if sentence.startswith("Index, ")]
    assert len(told) == 2 and told[0].startswith("Index, 1 probed: of the exact first 10 it returns ")
    # nothing of the index stays, and an audit without one is what it was
    assert not list((workspace / "steps").glob("index-*/.unfinished*"))
    plain = run(tiny_model, workspace, cutoffs=[5, 10])
    assert plain.result.searched is None and plain.result.metrics == found.result.metrics
    assert "What an index returns" not in (plain.out / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    "asked", [{"index": "hnsw_sq"}, {"index": "ivf_sq", "correction": "mean+hub", "correction_fit": "demo"}]
)
def test_other_indexes_and_corrected_vectors(asked: dict[str, Any], tiny_model: Path, workspace: Path) -> None:
    corpus = {"corpus": "demo#test", "correction_fit": "demo#train"} if "correction" in asked else {}
    made = run(tiny_model, workspace, **{**asked, **corpus}).result
    efforts = {1, 4, 8} if "correction" in asked else {20, 80, 320}  # no more than there are partitions
    assert made.searched and {row.effort for row in made.searched.rows} == efforts
    assert made.searched.similarity == ("dot" if "correction" in asked else "cosine")
    assert np.mean([row.value for row in rows(made, "index_recall@10", max(efforts)).values()]) > 0.8


def test_too_few_documents_for_a_quantiser_are_said(tmp_path: Path) -> None:
    """LanceDB would search them exactly, and all would seem well."""
    few_DH = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
    with pytest.raises(SpecError, match=r"ivf_pq of 100 documents .* cannot be built .*are not in it.*take ivf_flat"):
        BuiltIndex(tmp_path, few_DH, Indexes(index="ivf_pq"), True)


def test_an_index_has_the_partitions_that_it_is_said_to_have(tmp_path: Path) -> None:
    """LanceDB trains fewer where each would see fewer than 256 vectors, and says so in its log alone."""
    vectors_DH = np.random.default_rng(0).normal(size=(960, 32)).astype(np.float32)
    for index in ("ivf_flat", "ivf_pq", "ivf_sq"):
        built = BuiltIndex(tmp_path / index, vectors_DH, Indexes.model_validate({"index": index}), False)
        reached = [len(found) for found in built.search(vectors_DH[:50], 1, 960)]
        assert built.partitions == 30 and np.mean(reached) < 3 * 960 / 30
    few = BuiltIndex(tmp_path / "few", vectors_DH[:20], Indexes(index="ivf_flat", index_partitions=500), False)
    assert few.partitions == 20 and (few.effort(16, 10), few.effort(64, 10)) == (16, 20)


def test_vectors_of_an_odd_length_are_quantised_as_well_as_others(tmp_path: Path) -> None:
    """A hub correction appends a coordinate a language; of 32 + 5 dimensions LanceDB would make one code."""
    whole_DH = np.random.default_rng(0).normal(size=(600, 37)).astype(np.float32)
    index = BuiltIndex(tmp_path, whole_DH, Indexes(index="hnsw_pq"), False)
    exact = np.argsort(-whole_DH[:50] @ whole_DH.T, axis=1)[:, :10]
    found = [*index.search(whole_DH[:50], index.effort(200, 10), 10)]
    assert np.mean([len({*one} & {*of_exact}) / 10 for one, of_exact in zip(found, exact, strict=True)]) > 0.35


def test_a_corpus_without_pools_of_all_languages_has_none_to_search(tiny_model: Path, tmp_path: Path) -> None:
    for lang in ("en", "de"):
        (tmp_path / f"lines.{lang}").write_text("".join(f"{lang} says {at}.\n" for at in range(20)), "utf-8")
    with pytest.raises(SpecError, match=r"index ivf_flat: no query of .* has relevant versions in all of en, de"):
        run(tiny_model, tmp_path / "ws", corpus=f"bitext:{tmp_path}", languages=["de"], index="ivf_flat")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"index_effort": [4]}, "none is asked for; add `index`"),
        ({"index": "hnsw_sq", "index_partitions": 4}, "is one graph"),
        ({"index": "ivf_pq", "scenarios": ["mono"]}, "add nway to scenarios"),
        ({"index": "faiss"}, "Input should be 'ivf_flat'"),
    ],
)
def test_what_no_index_can_answer_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AuditSpec.model_validate(fields)


def test_a_model_without_vectors_has_none_to_index(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="index ivf_flat holds one vector a text, and bm25 has"):
        audit(AuditSpec(model="bm25", corpus="demo", index="ivf_flat", workspace=tmp_path), Here(), Runner())


def test_the_usual_efforts_and_an_identity_of_before() -> None:
    assert AuditSpec(index="hnsw_sq").efforts(10) == tuple(10 * times for times in CANDIDATES)
    assert AuditSpec(index="ivf_pq").efforts(10) == (1, 4, 16)
    assert AuditSpec(index="ivf_pq").identity() != AuditSpec().identity()
