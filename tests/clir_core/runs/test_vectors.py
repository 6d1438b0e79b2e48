"""Audits of vectors given from Python: the figures of a full sort, whatever form they come in, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from clir_core import Audit, audit_vectors, read_corpus
from clir_core.corpus.tables import Corpus
from clir_core.errors import CorpusError, SpecError, VectorsError

DIM = 16


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus("demo", ("de",))


@pytest.fixture(scope="module")
def given(corpus: Corpus) -> dict[str, np.ndarray]:
    """Random vectors, not of length 1, in the order of the corpus."""
    random = np.random.default_rng(0)
    return {
        "documents": random.normal(size=(len(corpus.documents), DIM)),
        "queries": random.normal(size=(len(corpus.queries), DIM)),
    }


@pytest.fixture(scope="module")
def audit(given: dict[str, np.ndarray]) -> Audit:
    return audit_vectors("demo", languages=("de",), name="random", **given)


def by_id(corpus: Corpus, vectors: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    ids = {"documents": corpus.documents["doc_id"], "queries": corpus.queries["query_id"]}
    return {what: dict(zip(ids[what].to_pylist(), rows, strict=True)) for what, rows in vectors.items()}


def test_ranks_are_those_of_a_full_sort_by_cosine(audit: Audit, corpus: Corpus, given: dict[str, np.ndarray]) -> None:
    units = {what: rows / np.linalg.norm(rows, axis=1, keepdims=True) for what, rows in given.items()}
    place = {key: at for at, key in enumerate(corpus.documents["doc_id"].to_pylist())}
    asked = {key: at for at, key in enumerate(corpus.queries["query_id"].to_pylist())}
    langs = np.array(corpus.documents["lang"].to_pylist())
    rows = audit.ranks.filter(scenario="mono", query_lang="de")
    assert len(rows) == 72
    for row in rows.iter_rows(named=True):
        scores_D = units["documents"] @ units["queries"][asked[row["query_id"]]]
        gold = scores_D[place[row["doc_id"]]]
        assert row["rank"] == 1 + np.sum(scores_D[langs == "de"] > gold + 1e-9)
    accuracy = audit.metrics.filter(scenario="mono", query_lang="de", metric="acc@1")["value"].item()
    assert accuracy == pytest.approx((rows["rank"] == 1).mean())


def as_mapping(corpus: Corpus, given: dict[str, np.ndarray]) -> dict[str, Any]:
    return {what: dict(reversed(list(rows.items()))) for what, rows in by_id(corpus, given).items()}


def as_arrow(corpus: Corpus, given: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        what: pa.table({"id": list(rows), "vector": [row.tolist() for row in rows.values()]})
        for what, rows in by_id(corpus, given).items()
    }


def as_polars(corpus: Corpus, given: dict[str, np.ndarray]) -> dict[str, Any]:
    found = as_arrow(corpus, given)
    named = (("documents", "doc_id"), ("queries", "query_id"))
    return {
        what: pl.DataFrame(pl.from_arrow(found[what])).rename({"id": key, "vector": "embedding"}).reverse()
        for what, key in named
    }


@pytest.mark.parametrize("form", [as_mapping, as_arrow, as_polars])
def test_the_form_and_the_order_of_vectors_change_no_figure(
    form: Callable[..., dict[str, Any]], audit: Audit, corpus: Corpus, given: dict[str, np.ndarray]
) -> None:
    again = audit_vectors("demo", languages=("de",), name="random", **form(corpus, given))
    assert again.metrics.equals(audit.metrics) and again.ranks.equals(audit.ranks) and again.verdict == audit.verdict


def test_a_corpus_of_frames_is_the_corpus_of_the_reference(
    audit: Audit, corpus: Corpus, given: dict[str, np.ndarray]
) -> None:
    """An array follows the frames' own order."""
    order = np.random.default_rng(1).permutation(len(corpus.documents))
    frames = {
        "documents": pl.DataFrame(pl.from_arrow(corpus.documents))[order],
        "queries": pl.DataFrame(pl.from_arrow(corpus.queries)),
        "qrels": corpus.qrels.to_pylist(),
    }
    again = audit_vectors(frames, documents=given["documents"][order], queries=given["queries"], name="random")
    assert again.metrics.equals(audit.metrics)
    pd = pytest.importorskip("pandas")
    pandas = {what: pd.DataFrame(corpus_rows) for what, corpus_rows in (
        ("documents", corpus.documents.to_pylist()), ("queries", corpus.queries.to_pylist()),
        ("qrels", corpus.qrels.to_pylist()),
    )}  # fmt: skip
    assert audit_vectors(pandas, **given, name="random").metrics.equals(audit.metrics)


def test_a_column_of_frames_is_what_queries_are_clustered_by(
    audit: Audit, corpus: Corpus, given: dict[str, np.ndarray]
) -> None:
    queries = pl.DataFrame(pl.from_arrow(corpus.queries)).with_columns(
        cluster=pl.col("group_id").str.len_bytes(), id=pl.lit(1), lean=pl.lit(0.5)
    )
    frames = {"documents": corpus.documents, "queries": queries, "qrels": corpus.qrels}
    again = audit_vectors(frames, **given, name="random", cluster="cluster")
    assert again.result.spec.cluster == "cluster"
    assert again.metrics["value"].equals(audit.metrics["value"])
    assert again.queries.drop("cluster").equals(audit.queries.drop("cluster"))
    # not a vector is looked at for a unit that is not there
    with pytest.raises(SpecError, match=r"have topic, cluster, id; write one of query, passage, topic, cluster, id$"):
        audit_vectors(frames, documents={}, queries={}, name="random", cluster="lean")


def test_frames_that_are_no_corpus_are_refused(given: dict[str, np.ndarray]) -> None:
    with pytest.raises(CorpusError, match="documents, queries, qrels; qrels: missing"):
        audit_vectors({"documents": [], "queries": []}, **given, name="x")
    with pytest.raises(CorpusError, match="documents: int is no table"):
        audit_vectors({"documents": 3, "queries": [], "qrels": []}, **given, name="x")


def without(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: row for key, row in vectors.items() if key != "de/bees-1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "documents: no vector for de/bees-1; add them"),
        (lambda found: found | {"de/never": np.ones(DIM)}, "documents: vectors for de/never, which the corpus lacks"),
        (lambda found: found | {"de/bees-1": np.full(DIM, np.nan)}, "NaN or infinity in the vectors of de/bees-1"),
        (lambda found: found | {"de/bees-1": np.ones(DIM - 1)}, r"have 16 dimensions, but not de/bees-1 \(15\)"),
        (lambda found: found | {"de/bees-1": np.zeros(DIM)}, "nothing but zeros in the vectors of de/bees-1"),
        (lambda found: np.stack(list(found.values()))[1:], r"shape \(143, 16\); it needs .* each of the 144 documents"),
        (lambda found: {"a": [1]}, "no vector for de/"),
        (lambda found: pa.table({"key": ["a"]}), "a table of key; it needs a column of ids"),
    ],
)
def test_vectors_that_do_not_fit_are_named(
    change: Callable[[dict[str, np.ndarray]], Any], message: str, corpus: Corpus, given: dict[str, np.ndarray]
) -> None:
    found = by_id(corpus, given)
    with pytest.raises(VectorsError, match=message):
        audit_vectors(
            "demo", languages=("de",), documents=change(found["documents"]), queries=found["queries"], name="x"
        )


def test_a_dot_product_is_not_normalised(corpus: Corpus, given: dict[str, np.ndarray], audit: Audit) -> None:
    """A long document wins by a dot product alone."""
    longer = given["documents"] * np.where(np.arange(len(given["documents"])) == 0, 1000.0, 1.0)[:, None]
    by_cosine = audit_vectors("demo", languages=("de",), documents=longer, queries=given["queries"], name="random")
    by_dot = audit_vectors(
        "demo", languages=("de",), documents=longer, queries=given["queries"], name="random", similarity="dot"
    )
    assert by_cosine.ranks["rank"].equals(audit.ranks["rank"]) and not by_dot.ranks["rank"].equals(audit.ranks["rank"])


def test_queries_and_documents_of_other_sizes_are_refused(given: dict[str, np.ndarray]) -> None:
    with pytest.raises(VectorsError, match="documents have 16 dimensions and queries 8"):
        audit_vectors(
            "demo", languages=("de",), documents=given["documents"], queries=given["queries"][:, :8], name="x"
        )


def test_what_a_model_that_is_not_here_cut_is_not_known(audit: Audit) -> None:
    facts = audit.result.facts
    assert facts is not None and [(row.lang, row.documents) for row in facts.languages] == [("en", 72), ("de", 72)]
    assert all(row.cut_documents is None and row.cut_queries is None for row in facts.languages)
