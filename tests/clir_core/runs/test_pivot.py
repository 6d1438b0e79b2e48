"""Another language in English's place: the same figures after relabelling, and nothing that still says English."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.reading import ReadingSpec
from clir_core.errors import CorpusError, SpecError
from clir_core.measure.metrics import metric_better, metric_named
from clir_core.report.table import as_text
from clir_core.runs.audited import Audit, compare_audits
from clir_core.runs.vectors import audit_vectors
from clir_core.sources import read_corpus
from clir_core.sources.choice import choose_languages

DIM = 12
SWAPPED = {"en": "de", "de": "en", "English": "German", "German": "English", "english": "de"}
Frames = dict[str, pl.DataFrame]
Vectors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def demo() -> Frames:
    corpus = read_corpus("demo", ("de", "zh"))
    tables = {"documents": corpus.documents, "queries": corpus.queries, "qrels": corpus.qrels}
    return {what: pl.DataFrame(pl.from_arrow(table)) for what, table in tables.items()}


@pytest.fixture(scope="module")
def vectors(demo: Frames) -> tuple[Vectors, Vectors]:
    """English documents and, less so, German ones are nearer to every query than they should be."""
    rng = np.random.default_rng(0)
    meaning = {group: rng.normal(size=DIM) for group in sorted(demo["documents"]["group_id"].unique())}
    answers = dict(demo["qrels"].select("query_id", "group_id").iter_rows())
    pull = {"en": 2.0, "de": 1.0, "zh": 0.0}
    documents, queries = {}, {}
    for row in demo["documents"].iter_rows(named=True):
        own = rng.normal(scale=0.7, size=DIM)
        documents[row["doc_id"]] = np.append(meaning[row["group_id"]] + own, pull[row["lang"]])
    for row in demo["queries"].iter_rows(named=True):
        own = rng.normal(scale=0.7, size=DIM)
        queries[row["query_id"]] = np.append(meaning[answers[row["query_id"]]] + own, 1.5)
    return documents, queries


def audited(frames: Frames, vectors: tuple[Vectors, Vectors], pivot: str = "en") -> Audit:
    known = [
        {key: of[key] for key in frames[what][column]}
        for what, column, of in zip(("documents", "queries"), ("doc_id", "query_id"), vectors, strict=True)
    ]
    return audit_vectors(frames, documents=known[0], queries=known[1], name="m", pivot=pivot)


@pytest.fixture(scope="module")
def as_it_is(demo: Frames, vectors: tuple[Vectors, Vectors]) -> Audit:
    return audited(demo, vectors)


@pytest.fixture(scope="module")
def relabelled(demo: Frames, vectors: tuple[Vectors, Vectors]) -> Audit:
    """What was English is called German, what was German English."""
    lang = pl.col("lang").replace({"en": "de", "de": "en"})
    return audited(
        demo | {what: demo[what].with_columns(lang) for what in ("documents", "queries")}, vectors, pivot="de"
    )


@pytest.fixture(scope="module")
def without_english(demo: Frames, vectors: tuple[Vectors, Vectors]) -> Audit:
    no_english = pl.col("lang") != "en"
    queries = demo["queries"].filter(no_english)
    frames = {
        "documents": demo["documents"].filter(no_english),
        "queries": queries,
        "qrels": demo["qrels"].join(queries, on="query_id", how="semi"),
    }
    return audited(frames, vectors, pivot="de")


def back(text: str) -> str:
    """The other language's name and code in each place."""
    return re.sub(r"\b(English|German|en|de)(?=\b|_share)", lambda found: SWAPPED[found[0]], text)


def test_every_figure_is_that_of_the_relabelled_languages(as_it_is: Audit, relabelled: Audit) -> None:
    def figures(audit: Audit, swap: bool) -> dict[tuple[object, ...], tuple[object, ...]]:
        code = {"en": "de", "de": "en"} if swap else {}
        return {
            (
                row.scenario,
                code.get(str(row.query_lang), row.query_lang),
                code.get(str(row.lang), row.lang),
                back(row.metric).replace("en_share", "english_share") if swap else row.metric,
            ): (row.value, row.low, row.high, row.n, row.clusters, row.p, row.unit)
            for row in audit.result.metrics
        }

    before, after = figures(as_it_is, False), figures(relabelled, True)
    assert before == after and len(before) > 300
    sizes = [[sum(pool.sizes.values()) for pool in audit.result.pools] for audit in (as_it_is, relabelled)]
    assert sizes[0] == sizes[1]


def test_every_sentence_and_table_is_too(as_it_is: Audit, relabelled: Audit) -> None:
    assert "English inclination" in as_it_is.verdict[0] and "German inclination" in relabelled.verdict[0]
    assert tuple(map(back, relabelled.verdict)) == as_it_is.verdict
    names = {"english_inclination": "pivot_inclination"}
    claims = [[claim.claim for claim in audit.result.claims] for audit in (as_it_is, relabelled)]
    assert claims[1] == [names.get(name, name) for name in claims[0]] and "pivot_inclination" in claims[1]
    tables = [" ".join(as_text(audit.result, 10_000).split()) for audit in (as_it_is, relabelled)]
    assert back(tables[1]) == tables[0]


def test_ranks_and_rates_without_english_are_those_of_plain_counting(
    demo: Frames, vectors: tuple[Vectors, Vectors], without_english: Audit
) -> None:
    unit = [{key: one / np.linalg.norm(one) for key, one in of.items()} for of in vectors]
    docs = demo["documents"].filter(pl.col("lang") != "en").to_dicts()
    asked = demo["qrels"].join(demo["queries"].filter(pl.col("lang") == "zh"), on="query_id", suffix="_q").to_dicts()
    ranks: dict[tuple[str, str], int] = {}
    beaten: dict[str, bool] = {}
    for qrel in asked:
        query = unit[1][qrel["query_id"]]
        score = {doc["doc_id"]: float(query @ unit[0][doc["doc_id"]]) for doc in docs}
        (gold,) = (doc for doc in docs if (doc["group_id"], doc["lang"]) == (qrel["group_id"], "zh"))
        above = [doc for doc in docs if score[doc["doc_id"]] > score[gold["doc_id"]]]
        own = sum(doc["lang"] == "zh" for doc in above)
        german = sum(doc["lang"] == "de" and doc["group_id"] != qrel["group_id"] for doc in above)
        ranks |= {("mono", qrel["query_id"]): 1 + own, ("distractor", qrel["query_id"]): 1 + own + german}
        beaten[qrel["query_id"]] = german > 0
    for scenario in ("mono", "distractor"):
        found = without_english.ranks.filter(scenario=scenario, query_lang="zh").select("query_id", "rank")
        assert dict(found.iter_rows()) == {query: rank for (name, query), rank in ranks.items() if name == scenario}
    rates = {row.key: row.value for row in without_english.result.metrics}
    expected = sum(beaten.values()) / len(beaten)
    assert rates["distractor", "zh", "zh", "inclination_rate"] == pytest.approx(expected) and expected > 0
    assert without_english.result.languages == ("de", "zh")


def test_nothing_says_english_where_there_is_none(without_english: Audit, tmp_path: Path) -> None:
    out = without_english.save(tmp_path / "out")
    page = re.sub(r"(?s)<style>.*?</style>", "", (out / "report.html").read_text("utf-8"))
    told = json.loads((out / "audit.json").read_text("utf-8"))
    mteb = "".join(file.read_text("utf-8") for file in out.rglob("mteb/**/*.json"))
    texts = [page, as_text(without_english.result), *told["verdict"], mteb, json.dumps(told["claims"])]
    texts += [repr(told["skipped"]), repr([pool["per_query"] for pool in told["pools"]])]
    texts += [file.read_text("utf-8") for file in out.rglob("*.csv")]
    for text in texts:
        # JSON has one schema for all: of the keys, what is said of English stands there for the pivot
        plain = text.replace('"english_first"', "").replace('<html lang="en">', "")
        assert not re.search(r"(?i)english|\(en\)|\ben\b", plain), re.search(
            r"(?i).{40}(english|\(en\)|\ben\b).{20}", plain
        )
    names = {row.metric for row in without_english.result.metrics}
    assert {"pull(de)", "unrelated_first(de)", "de_share@10"} <= names
    columns = [*without_english.ranks.columns, *without_english.queries.columns, *names]
    assert not [name for name in columns if re.search("english|_en$|en[)]", name)]


def test_a_metric_is_known_beside_any_pivot() -> None:
    for name in ("pull(de)", "pull(x)", "de_share@10", "english_share@10", "zh-Hant_share@3", "pull(zh-Hant)"):
        found = metric_named(name)
        assert found and found.name == name and metric_better(name) == "0"
    assert metric_better("unrelated_first(pt-BR)") == "lower" and metric_named("pull") is None


def test_audits_of_two_pivots_are_not_compared(as_it_is: Audit, demo: Frames, vectors: tuple[Vectors, Vectors]) -> None:
    other = audited(demo, vectors, pivot="zh")
    with pytest.raises(SpecError, match="against English, the other against Chinese; audit both"):
        compare_audits(as_it_is, other)
    same = compare_audits(other, other)
    assert "pull(zh)" in same["metric"] and same["difference"].abs().max() == 0


def test_a_corpus_without_the_pivot_says_the_way_out() -> None:
    with pytest.raises(CorpusError, match=r"English \('en'\) is not in .* add its documents, or .* --pivot zh$"):
        choose_languages((), ("zh", "de"), "mine")
    assert choose_languages((), ("zh", "de"), "mine", "de") == ("de", "zh")
    assert choose_languages(("zh", "de"), ("zh", "de", "fr"), "mine", "de") == ("de", "zh")
    with pytest.raises(CorpusError, match=r"French \('fr'\) is not in the corpus, it has documents in de, zh"):
        choose_languages((), ("zh", "de"), "mine", "fr")
    with pytest.raises(CorpusError, match="pivot 'klingonish' is not a BCP-47 code"):
        choose_languages((), ("zh", "de"), "mine", "klingonish")


def test_a_reading_has_the_pivot_first() -> None:
    corpus = read_corpus("demo", ("de", "zh"), ReadingSpec(pivot="zh"))
    assert (corpus.pivot, corpus.languages) == ("zh", ("zh", "de"))
    assert corpus.fingerprint() == read_corpus("demo", ("zh", "de"), ReadingSpec(pivot="de")).fingerprint()


def test_the_pivot_is_part_of_an_identity_where_it_is_not_english() -> None:
    specs = [AuditSpec(), AuditSpec(pivot="en"), AuditSpec(pivot="de"), AuditSpec(pivot="zh")]
    assert len({spec.identity() for spec in specs}) == len({spec.asked("00") for spec in specs}) == 3
    with pytest.raises(ValidationError, match="'de' cannot be trained against: every triple holds a text in English"):
        AlignSpec(pivot="de")
