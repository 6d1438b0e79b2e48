"""Texts that are the same in two languages have one vector: no language gains by it, no gold pushes another down."""

import numpy as np
import polars as pl
import pytest

from clir_core import Audit, audit_vectors

N, DIM = 600, 32
LANGUAGES = ("en", "de", "fr")


def frames(languages: tuple[str, ...] = LANGUAGES) -> dict[str, pl.DataFrame]:
    """A parallel corpus; a query asks for the document of its own group."""
    rows = [(lang, i) for lang in languages for i in range(N)]
    text = {"lang": [lang for lang, _ in rows], "text": [f"{lang} {i}" for lang, i in rows]}
    documents = {"doc_id": [f"{lang}/d{i}" for lang, i in rows], "group_id": [f"d{i}" for _, i in rows], **text}
    queries = {"query_id": [f"{lang}/q{i}" for lang, i in rows], "group_id": [f"q{i}" for _, i in rows], **text}
    qrels = {"query_id": queries["query_id"], "group_id": documents["group_id"], "grade": [1] * len(rows)}
    return {"documents": pl.DataFrame(documents), "queries": pl.DataFrame(queries), "qrels": pl.DataFrame(qrels)}


def audit(
    documents: np.ndarray,
    queries: np.ndarray,
    order: np.random.Generator | None = None,
    languages: tuple[str, ...] = (),
) -> Audit:
    """Of vectors [languages, N, DIM], whose corpus is given as it stands or in a random order."""
    corpus, vectors = frames(), {"documents": documents.reshape(-1, DIM), "queries": queries.reshape(-1, DIM)}
    if order:
        for what in vectors:
            rows = order.permutation(len(vectors[what]))
            corpus[what], vectors[what] = corpus[what][rows], vectors[what][rows]
        corpus["qrels"] = corpus["qrels"].sample(fraction=1, shuffle=True, seed=1)
    return audit_vectors(
        corpus, **vectors, name="x", scenarios=("multi", "nway"), cutoffs=(2, 3, 10), languages=languages
    )


def value(audit: Audit, metric: str, scenario: str = "multi", query_lang: str | None = "de") -> float:
    rows = audit.metrics.filter(scenario=scenario, metric=metric)
    wanted = pl.col("query_lang").eq_missing(query_lang)
    return rows.filter(wanted, pl.col("lang").is_null() | (pl.col("lang") == "de"))["value"].item()


@pytest.fixture(scope="module")
def perfect() -> Audit:
    """One vector for all versions of a document and for the queries that ask for it."""
    meaning = np.random.default_rng(0).normal(size=(N, DIM))
    every = np.broadcast_to(meaning, (len(LANGUAGES), N, DIM))
    return audit(every, every)


@pytest.mark.parametrize("query_lang", ["de", "en"])
def test_an_encoder_that_sees_no_language_is_perfect(perfect: Audit, query_lang: str) -> None:
    of = {name: value(perfect, name, query_lang=query_lang) for name in perfect.metrics["metric"].unique()
          if "gap" not in name and "mrc" not in name}  # fmt: skip
    assert of["acc@1"] == of["mrr"] == of["complete@2"] == of["complete@10"] == of["ndcg@2"] == of["ndcg@10"] == 1
    assert (of["max_at_r"], of["max_at_r_norm"], of["lpr"], of["tlr@2"]) == (2, 100, 0.5, 1)
    assert of["quadrant(right,query)"] + of["quadrant(right,other)"] == 1
    assert of["quadrant(right,query)"] == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / N))
    everywhere = (value(perfect, name, "nway", query_lang) for name in ("acc@1", "complete@3", "lpr", "max_at_r"))
    assert [*everywhere] == [1, 1, 0.5, 3]


def test_parallel_queries_of_such_an_encoder_find_the_same(perfect: Audit) -> None:
    assert value(perfect, "mrc@10", query_lang=None) == 1
    assert value(perfect, "language_gap(ndcg@2)", query_lang=None) == 0


def test_in_a_pool_of_all_languages_each_is_first_as_often(perfect: Audit) -> None:
    first = perfect.top.filter(pl.col("position") == 1, scenario="nway", query_lang="de")["doc_lang"].value_counts()
    assert len(first) == 3 and np.allclose(first["count"] / N, 1 / 3, atol=3 * np.sqrt(2 / 9 / N))


def test_golds_that_tie_are_counted_once(perfect: Audit) -> None:
    """Every version of the document is a gold of every query, and ties with the other versions."""
    assert perfect.result.provenance.gold_ties == len(LANGUAGES) ** 2 * N
    assert perfect.result.provenance.ties == 0


def neutral() -> tuple[np.ndarray, np.ndarray]:
    """Versions differ by chance alone, and a fifth of the documents is the English text in every language."""
    rng = np.random.default_rng(3)
    meaning = rng.normal(size=(N, DIM))
    documents, queries = (meaning + rng.normal(size=(len(LANGUAGES), N, DIM)) * 0.7 for _ in range(2))
    copied = rng.random(N) < 0.2
    documents[:, copied] = documents[0, copied]
    return documents, queries


@pytest.fixture(scope="module")
def untranslated() -> Audit:
    return audit(*neutral())


@pytest.mark.parametrize("query_lang", ["de", "en"])
def test_untranslated_documents_lean_to_no_language(untranslated: Audit, query_lang: str) -> None:
    query, other = (
        value(untranslated, f"quadrant(right,{lang})", query_lang=query_lang) for lang in ("query", "other")
    )
    assert query + other > 0.9
    # English first wherever both versions are one text would be .4 and .6
    chance = 3 * np.sqrt(0.25 / N)
    assert query == pytest.approx(other, abs=2 * chance)
    assert value(untranslated, "lpr", query_lang=query_lang) == pytest.approx(0.5, abs=chance)
    assert value(untranslated, "english_share@10", query_lang=query_lang) == pytest.approx(0, abs=0.02)


def test_the_order_of_the_corpus_and_of_the_languages_changes_nothing(untranslated: Audit) -> None:
    again = audit(*neutral(), np.random.default_rng(4), ("fr", "de"))
    pool = ["scenario", "query_lang", "lang", "query_id"]
    for name, key in (("ranks", "doc_id"), ("top", "position")):
        one, other = (getattr(found, name) for found in (untranslated, again))
        assert one.sort(*pool, key).equals(other.select(one.columns).sort(*pool, key))
