"""The hub's data sets: hand-made rows are converted, and local folders stand in for what cannot be reached."""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clir_core.corpus.reading import ReadingSpec
from clir_core.errors import CorpusError
from clir_core.sources import hub, read_corpus
from clir_core.sources.asked import Asked


def question(number: int, context: str) -> dict:
    return {"id": f"q{number}", "context": context, "question": f"{context} {number}?", "answers": {"text": []}}


XQUAD = {
    "en": [question(0, "moon"), question(1, "moon"), question(2, "sun")],
    "zh": [question(0, "月"), question(1, "月"), question(2, "日")],
}


def belebele(dialect: str, *rows: tuple[str, int, str]) -> list[dict]:
    return [
        {"link": link, "question_number": number, "flores_passage": passage, "question": f"{passage} {number}?"}
        | {"mc_answer1": "a", "correct_answer_num": "1", "dialect": dialect, "ds": "2023-05-03"}
        for link, number, passage in rows
    ]


BELEBELE = {
    "eng_Latn": belebele("eng_Latn", ("w/sea", 1, "sea"), ("w/sun", 1, "sun"), ("w/sea", 2, "sea")),
    "zho_Hans": belebele("zho_Hans", ("w/sun", 1, "日"), ("w/sea", 2, "海"), ("w/sea", 1, "海")),
    "arb_Arab": belebele("arb_Arab", ("w/sea", 1, "بحر")),
}
OWN = {
    "documents": [{"doc_id": "e", "lang": "en", "text": "moon"}],
    "queries": [{"query_id": "q", "lang": "en", "text": "what?"}],
    "qrels": [{"query_id": "q", "doc_id": "e", "grade": 2}],
}


def save(folder: Path, configs: dict[str, list[dict]], split: str) -> Path:
    """A data set as the hub stores it: Parquet files, and configs in the head of README.md."""
    head = []
    for config, rows in configs.items():
        (folder / config).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / config / f"{split}.parquet")
        files = [{"split": split, "path": f"{config}/{split}.parquet"}]
        head.append({"config_name": config, "data_files": files})
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(head)}\n---\n")
    return folder


@pytest.fixture
def hub_is(monkeypatch, tmp_path):
    """Lets a name lead to a local folder instead of the hub."""
    load, names = datasets.load_dataset, datasets.get_dataset_config_names
    folders: dict[str, str] = {}
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets, "load_dataset", lambda name, *args, **kwargs: load(folders[name], *args, **kwargs))
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda name: names(folders[name]))

    def point(name: str, configs: dict[str, list[dict]], split: str) -> None:
        folders[name] = str(save(tmp_path / name, configs, split))

    return point


def rows_of(table, *columns):
    return [tuple(row[column] for column in columns) for row in table.to_pylist()]


def test_xquad_rows_become_paragraphs():
    raw = hub.xquad_tables({lang: (f"hub:{lang}", rows) for lang, rows in XQUAD.items()})
    corpus = raw.validated()
    assert corpus.name == "xquad"
    assert rows_of(corpus.documents, "doc_id", "group_id", "text") == [
        *(("en/p000", "p000", "moon"), ("en/p001", "p001", "sun"), ("zh/p000", "p000", "月"), ("zh/p001", "p001", "日"))
    ]
    assert rows_of(corpus.queries, "query_id", "group_id")[:2] == [("en/q0", "q0"), ("en/q1", "q1")]
    assert rows_of(corpus.qrels, "query_id", "group_id")[-1] == ("zh/q2", "p001")


def test_xquad_rows_in_another_order_are_refused():
    rows = {"en": ("hub:en", XQUAD["en"]), "zh": ("hub:zh", XQUAD["zh"][::-1])}
    with pytest.raises(CorpusError, match=r"hub:zh, row 1: paragraph p000 has other question ids"):
        hub.xquad_tables(rows)


def test_belebele_rows_are_grouped_by_link_whatever_their_order():
    raw = hub.belebele_tables({"en": ("e", BELEBELE["eng_Latn"]), "zh": ("z", BELEBELE["zho_Hans"])})
    corpus = raw.validated()
    assert corpus.name == "belebele"
    assert rows_of(corpus.documents, "doc_id", "group_id", "text") == [
        *(("en/w/sea", "w/sea", "sea"), ("en/w/sun", "w/sun", "sun"), ("zh/w/sea", "w/sea", "海")),
        ("zh/w/sun", "w/sun", "日"),
    ]
    assert rows_of(corpus.queries, "query_id", "group_id")[-2:] == [
        ("zh/w/sea#2", "w/sea#2"),
        ("zh/w/sun#1", "w/sun#1"),
    ]
    assert rows_of(corpus.qrels, "query_id", "group_id")[-1] == ("zh/w/sun#1", "w/sun")


def test_two_belebele_passages_under_one_link_are_refused():
    rows = belebele("eng_Latn", ("w/sea", 1, "sea"), ("w/sea", 2, "another sea"))
    with pytest.raises(CorpusError, match="doc_id 'en/w/sea' was used before"):
        hub.belebele_tables({"en": ("e", rows)}).validated()


def test_xquad_is_loaded_in_the_languages_asked_for(hub_is):
    hub_is("google/xquad", {f"xquad.{lang}": rows for lang, rows in XQUAD.items()}, "validation")
    assert read_corpus("hub:google/xquad").languages == ("en", "zh")
    assert read_corpus("hub:google/xquad", ["en"]).languages == ("en",)
    with pytest.raises(CorpusError, match="language 'fr' is not in the corpus, it has documents in en, zh"):
        read_corpus("hub:google/xquad", ["fr"])


def test_belebele_is_loaded_under_bcp_47_codes(hub_is):
    hub_is("facebook/belebele", BELEBELE, "test")
    corpus = read_corpus("hub:facebook/belebele")
    assert corpus.languages == ("en", "ar", "zh")
    assert (len(corpus.documents), len(corpus.queries)) == (5, 7)


def test_any_other_name_needs_our_three_configs(hub_is):
    hub_is("me/own", OWN, "train")
    corpus = read_corpus("hub:me/own")
    assert corpus.name == "own"
    assert rows_of(corpus.qrels, "query_id", "doc_id", "grade") == [("q", "e", 2)]
    hub_is("me/half", {"documents": OWN["documents"], "other": OWN["queries"]}, "test")
    with pytest.raises(CorpusError, match=r"hub:me/half has the configs documents, other, and no corpus is known"):
        read_corpus("hub:me/half")


def test_columns_that_are_missing_are_named(hub_is):
    hub_is("me/wrong", OWN | {"queries": [{"key": "q"}]}, "test")
    with pytest.raises(CorpusError, match=r"hub:me/wrong/queries: column 'query_id' is missing, it has key"):
        read_corpus("hub:me/wrong")
    hub_is("google/xquad", {"xquad.en": [{"id": "q", "text": "moon"}]}, "validation")
    with pytest.raises(CorpusError, match=r"hub:google/xquad/xquad\.en has no column context, question"):
        read_corpus("hub:google/xquad")


def test_a_hub_that_cannot_be_reached_is_one_clear_error(monkeypatch):
    def unreachable(name):
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub")

    monkeypatch.setattr(datasets, "get_dataset_config_names", unreachable)
    with pytest.raises(CorpusError, match=r"ConnectionError: Couldn't reach 'google/xquad'.*use xquad:DIR, beir:DIR"):
        read_corpus("hub:google/xquad")


def mteb(lang: str, texts: dict[str, str], splits: tuple[str, ...] = ("test",)) -> dict[str, hub.Splits]:
    """One language as mteb's data sets hold it: three configs, the last with a split each."""

    def table(rows: list[dict]) -> pa.Table:
        return pa.Table.from_pylist(rows)

    corpus = table([{"_id": key, "title": "", "text": text} for key, text in texts.items()])
    queries = table([{"_id": f"q{key}", "text": f"{text}?"} for key, text in texts.items()])
    pairs = [{"query-id": f"q{key}", "corpus-id": key, "score": 1.0} for key in texts]
    qrels = {split: table(pairs[at : at + 1]) for at, split in enumerate(splits)}
    return {
        "documents": hub.Splits(f"hub:x/{lang}-corpus", {"corpus": corpus}),
        "queries": hub.Splits(f"hub:x/{lang}-queries", {"queries": queries}),
        "qrels": hub.Splits(f"hub:x/{lang}-qrels", qrels),
    }


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        (["corpus", "default", "queries"], {None}),
        (["en-corpus", "en-qrels", "en-queries", "zh-corpus", "zh-qrels", "zh-queries"], {"en", "zh"}),
        (["en-corpus", "en-queries"], set()),
        (["train", "test"], set()),
    ],
)
def test_mteb_names_its_configs(configs, expected):
    assert set(hub.mteb_layout(configs)) == expected


def test_mteb_rows_become_a_corpus():
    parts = {"en": mteb("en", {"1": "moon", "2": "sun"}), "zh": mteb("zh", {"1": "哲学", "9": "城市"})}
    corpus = hub.mteb_tables("miracl", parts, Asked()).validated()
    # an id that two languages number by themselves
    assert rows_of(corpus.documents, "doc_id", "group_id", "lang") == [
        *(("en/1", "en/1", "en"), ("en/2", "en/2", "en"), ("zh/1", "zh/1", "zh"), ("zh/9", "zh/9", "zh"))
    ]
    assert rows_of(corpus.qrels, "query_id", "doc_id", "grade") == [("en/q1", "en/1", 1), ("zh/q1", "zh/1", 1)]
    said = hub.mteb_tables("miracl", parts, Asked(reading=ReadingSpec(parallel="ids"))).validated()
    assert rows_of(said.qrels, "query_id", "group_id") == [("en/q1", "1"), ("zh/q1", "1")]


def test_mteb_splits_are_named_and_none_is_trained_on_that_audits_ask():
    parts = {"en": mteb("en", {"1": "moon", "2": "sun"}, ("train", "test"))}
    for asked, query in ((Asked(), "en/q2"), (Asked(split="train"), "en/q1"), (Asked(training=True), "en/q1")):
        raw = hub.mteb_tables("x", parts, asked)
        assert raw.validated().queries["query_id"].to_pylist() == [query]
    assert raw.notes[0] == "Qrels were read from split train, and not from split test."
    with pytest.raises(CorpusError, match=r"to be trained on, and there is no train \(en: test\)"):
        hub.mteb_tables("x", {"en": mteb("en", {"1": "moon"})}, Asked(training=True))


def test_mteb_configs_are_loaded(hub_is):
    rows = {
        "corpus": [{"_id": "1", "title": "", "text": "moon", "lang": "en"}],
        "queries": [{"_id": "q", "text": "moon?", "lang": "en"}],
        "default": [{"query-id": "q", "corpus-id": "1", "score": 2}],
    }
    hub_is("mteb/small", rows, "test")
    corpus = read_corpus("hub:mteb/small")
    assert rows_of(corpus.qrels, "query_id", "doc_id", "grade") == [("q", "1", 2)]
    assert read_corpus("hub:mteb/small#test").name == "small-test"


def test_configs_of_another_code_are_that_language(hub_is):
    rows = {
        f"{code}-{what}": [row]
        for code in ("eng", "deu_Latn")
        for what, row in (
            ("corpus", {"_id": "1", "title": "", "text": f"moon {code}"}),
            ("queries", {"_id": "q", "text": f"moon {code}?"}),
            ("qrels", {"query-id": "q", "corpus-id": "1", "score": 1}),
        )
    }
    hub_is("mteb/codes", rows, "test")
    corpus = read_corpus("hub:mteb/codes", ["de"])
    assert rows_of(corpus.documents, "doc_id", "text") == [("de/1", "moon deu_Latn"), ("en/1", "moon eng")]
    assert any("deu_Latn as de, eng as en" in note for note in corpus.notes)
