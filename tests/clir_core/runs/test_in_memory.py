"""Audits of what stores no vectors: BM25, a run, weighted terms, several vectors a text, from reference to report."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import other_models_case as made
import polars as pl
import pytest
from ir_measures import Success, nDCG
from sentence_transformers import MultiVectorEncoder, SparseEncoder

from clir_core import audit_model, load_audit, read_corpus
from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import documents_of, queries_of
from clir_core.errors import AlignError, ModelError, SpecError
from clir_core.model.checkpoint import Checkpoint, check_unchanged
from clir_core.registry.registry import Registry
from clir_core.runs import align, audit
from clir_core.runs.here import Here
from clir_core.runs.kept import finished
from clir_core.runs.runner import Runner
from clir_core.workspace import layout

STEPS = ["read corpus", "resolve model", "rank golds", "compute metrics", "report", "register audit"]


class OnlyDtype:
    """Workers with a GPU, which are asked for nothing else."""

    def dtype(self, runtime: Any) -> str:
        return "bfloat16"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus("demo", ("de",))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> AuditSpec:
    return AuditSpec(model="bm25", languages=("de",), workspace=tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def bm25(spec: AuditSpec) -> audit.Finished:
    runner = Runner()
    done = audit.audit(spec, OnlyDtype(), runner, by="me")  # type: ignore[arg-type]
    assert list(runner.timings) == STEPS
    return done


def test_bm25_is_audited_and_nothing_is_stored(bm25: audit.Finished, spec: AuditSpec) -> None:
    result = load_audit(bm25.out).result
    assert {file.name for file in bm25.out.iterdir()} == set(layout.AUDIT_FILES)
    made_of = result.provenance
    assert (made_of.reading.kind, made_of.documents_table, made_of.queries_table) == ("bm25", None, None)
    assert result.verdict[0].startswith("bm25: ") and not layout.vectors(spec.workspace).exists()
    assert "weights of words" in (bm25.out / layout.REPORT).read_text("utf-8")
    entry = Registry(spec.workspace).get(made_of.checkpoint)
    assert entry and entry.is_there() and entry.found.ref == entry.found.name == "bm25"


def test_it_is_ranked_once(bm25: audit.Finished, spec: AuditSpec) -> None:
    runner = Runner()
    again = audit.audit(spec, OnlyDtype(), runner)  # type: ignore[arg-type]
    assert runner.timings["rank golds"] == 0 and again.out == bm25.out and again.news is None
    assert finished(spec) == bm25.out


def test_what_shares_no_term_with_its_query_is_counted_and_stands_last(bm25: audit.Finished, corpus: Corpus) -> None:
    ranks = load_audit(bm25.out).ranks
    unscored = ranks.filter(pl.col("score") == 0)
    assert len(unscored) and (unscored["outranking_en"].fill_null(0) > 0).any()
    # in mono, cross and multi all golds of all pairs occur
    pairs = ranks.unique(["query_id", "doc_id"]).with_columns(own=pl.col("gold_lang") == pl.col("query_lang"))
    own, other = (pairs.filter(pl.col("own") == same) for same in (True, False))
    counts = [(int((part["score"] == 0).sum()), len(part)) for part in (own, other)]
    facts = load_audit(bm25.out).result.facts
    assert facts and facts.notes == (
        f"Without a term in common with their query: {counts[0][0]:,} of {counts[0][1]:,} relevant documents in their "
        f"query's language and {counts[1][0]:,} of {counts[1][1]:,} relevant documents in another language; each "
        "stands last in its pools.",
    )
    mono = unscored.filter(pl.col("scenario") == "mono")
    assert mono["rank"].to_list() == mono["pool_size"].to_list()


def written_run(path: Path, corpus: Corpus) -> list[tuple[str, str, float]]:
    """A run of 30 random documents for most queries, in the query's language, in the file and as rows."""
    rng = random.Random(0)
    documents, queries = documents_of(corpus), queries_of(corpus)
    rows = []
    for query, lang in queries.sort("id").select("id", "lang").iter_rows():
        ids = documents.filter(pl.col("lang") == lang)["id"].sort().to_list()
        if rng.random() < 0.9:
            rows += [(query, doc, rng.random()) for doc in rng.sample(ids, 30)]
    path.write_text("".join(f"{query} Q0 {doc} 0 {score!r} x\n" for query, doc, score in rows), "utf-8")
    return rows


def test_a_run_measures_what_ir_measures_says_of_it(corpus: Corpus, tmp_path: Path) -> None:
    rows = written_run(tmp_path / "my.run", corpus)
    spec = AuditSpec(
        model=f"run:{tmp_path}/my.run", languages=("de",), scenarios=("mono",), cutoffs=(1, 10), workspace=tmp_path
    )
    done = load_audit(audit.audit(spec, Here(), Runner()).out)
    assert done.result.name == "my on demo" and done.result.provenance.reading.kind == "run"
    golds = done.ranks.select("query_id", "doc_id")
    qrels = [ir_measures.Qrel(query, doc, 1) for query, doc in golds.iter_rows()]
    run = [ir_measures.ScoredDoc(*row) for row in rows]
    found = {row["query_id"]: row for row in done.queries.iter_rows(named=True)}
    measured = list(ir_measures.iter_calc([Success @ 1, nDCG @ 10], qrels, run))
    assert len(measured) == 2 * len(found) == 288
    for one in measured:
        ours = found[one.query_id]["acc@1" if one.measure == Success @ 1 else "ndcg@10"]
        assert ours == pytest.approx(one.value), one
    listed = {(query, doc) for query, doc, _ in rows}
    n_missing = len(found) - len({query for query, _, _ in rows})
    n_unlisted = sum(pair not in listed for pair in golds.iter_rows())
    assert done.result.facts and done.result.facts.notes == (
        f"{n_missing} of 144 queries are not in the run.",
        f"Not in the run: {n_unlisted} of 144 relevant documents in their query's language; each stands last in its "
        "pools.",
    )
    entry = Registry(tmp_path).get(done.result.provenance.checkpoint)
    assert entry and entry.found.ref == f"run:{tmp_path}/my.run" and entry.is_there()
    (tmp_path / "my.run").write_text("changed", "utf-8")
    with pytest.raises(ModelError, match="changed"):
        check_unchanged(resolved_as("run", f"run:{tmp_path}/my.run", entry.checkpoint), tmp_path)
    (tmp_path / "my.run").unlink()
    assert not entry.is_there()


def test_a_run_that_cannot_be_read_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "my.run").write_bytes(gzip.compress(b"q Q0 d 1 1 x"))
    runner = Runner()
    for name, reason in (("my.run", r"is packed by gzip; call it my\.run\.gz"), ("none.run", "No such file")):
        spec = AuditSpec(model=f"run:{tmp_path / name}", corpus="beir:nowhere", workspace=tmp_path / "workspace")
        with pytest.raises(ModelError, match=reason):
            audit.audit(spec, Here(), runner)
    assert not runner.timings and not (tmp_path / "workspace").exists()


def resolved_as(kind: Any, ref: str, digest: str) -> Checkpoint:
    path = Path(ref.removeprefix("run:"))
    return made.as_checkpoint(path, kind).model_copy(update={"ref": ref, "digest": digest})


@pytest.mark.parametrize(
    ("kind", "make", "model"),
    [("sparse", made.splade, SparseEncoder), ("multi_vector", made.multi_vector, MultiVectorEncoder)],
)
def test_models_without_a_vector_a_text_rank_as_their_own_similarity_does(
    kind: Any,
    make: Callable[[Path, Path], Path],
    model: Any,
    tiny_model: Path,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = make(tmp_path, tiny_model)
    spec = AuditSpec(model=str(path), languages=("de",), scenarios=("mono", "cross"), workspace=tmp_path)
    done = load_audit(audit.audit(spec, OnlyDtype(), Runner()).out)  # type: ignore[arg-type]
    assert done.result.provenance.reading.kind == kind and not layout.vectors(tmp_path).exists()
    own = model(str(path), device="cpu")
    documents, queries = documents_of(corpus), queries_of(corpus)
    asked, held = own.encode_query(queries["text"].to_list()), own.encode_document(documents["text"].to_list())
    scores_QD = np.asarray(own.similarity(asked, held).to_dense())
    langs = documents["lang"].to_numpy()
    places = [{one: i for i, one in enumerate(texts["id"])} for texts in (queries, documents)]
    for row in done.ranks.iter_rows(named=True):
        line, doc = scores_QD[places[0][row["query_id"]]], places[1][row["doc_id"]]
        gold = line[doc]
        assert row["score"] == pytest.approx(gold, rel=1e-5)
        pool = line[langs == row["gold_lang"]]
        near = np.abs(pool - gold) <= 1e-5 * abs(gold)
        assert (pool > gold)[~near].sum() < row["rank"] <= (pool > gold)[~near].sum() + near.sum()


def test_what_needs_stored_vectors_is_refused(tmp_path: Path) -> None:
    asked = {"model": "bm25", "languages": ("de",), "workspace": tmp_path}
    with pytest.raises(SpecError, match="bm25 has weights of words, so there are no vectors to embed"):
        audit.embed_only(EmbedSpec(**asked), Here(), Runner())
    corrected = AuditSpec(**asked, correction="centring", correction_fit="demo")
    with pytest.raises(SpecError, match="correction 'centring' changes the one stored vector of a text, and bm25 has"):
        audit.audit(corrected, Here(), Runner())
    with pytest.raises(AlignError, match="bm25: has weights of words, and a training moves the one vector"):
        align.resolved(AlignSpec(base="bm25", workspace=tmp_path), "bm25")


@pytest.mark.parametrize(("make", "model"), [(made.splade, SparseEncoder), (made.multi_vector, MultiVectorEncoder)])
def test_a_model_in_memory_is_audited_as_its_directory_is(
    make: Callable[[Path, Path], Path], model: Any, tiny_model: Path, corpus: Corpus, tmp_path: Path
) -> None:
    own = model(str(make(tmp_path, tiny_model)), device="cpu", prompts={"query": "q: ", "document": ""})
    own.default_prompt_name = "query"
    done = audit_model(own, "demo", languages=("de",), scenarios=("mono",), name="mine")
    assert own.default_prompt_name == "query" and done.result.name == "mine on demo"
    own.default_prompt_name = None
    documents, queries = documents_of(corpus), queries_of(corpus)
    scores_QD = own.similarity(
        own.encode_query(queries["text"].to_list()), own.encode_document(documents["text"].to_list())
    ).to_dense()
    places = [{one: i for i, one in enumerate(texts["id"])} for texts in (queries, documents)]
    for query, doc, score in done.ranks.select("query_id", "doc_id", "score").iter_rows():
        assert score == pytest.approx(float(scores_QD[places[0][query], places[1][doc]]), rel=1e-5)
    assert done.result.provenance.reading.kind == ("sparse" if model is SparseEncoder else "multi_vector")
