"""Facts about data against corpora whose counts are known, and against the plainest way to count."""

import random
import unicodedata
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_core.audit.data_counts import count_facts, cut_by_language, small_pools
from clir_core.audit.data_facts import Cuts, DataFacts, LanguageFacts, SmallPool, sentences
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.scenarios.pool_info import PoolInfo

TEXTS = {
    ("en", "1"): "Bees find their way home.",
    ("en", "2"): "The bank raised its rates.",
    ("en", "3"): "The full  moon",
    ("en", "4"): "The bank raised its rates.",  # again
    ("de", "1"): "Bienen finden nach Hause.",
    ("de", "2"): "The bank raised its rates.",  # untranslated
    ("de", "3"): " The \uff46ull\u00a0moon\n",  # untranslated, in other forms
    ("de", "4"): "Пчёлы находят дорогу.",  # Russian
    ("zh", "1"): "Bees find their way home!",  # English, but not its English version
    ("zh", "2"): "银行提高了利率。",
    ("zh", "5"): "银行提高了利率。",  # again
    ("zh", "6"): "银行提高了利率。",  # and again; no English version
}
QUESTIONS = {("en", "a"): "Who?", ("en", "b"): "When do bees?", ("de", "a"): "Who?", ("de", "c"): "Wo denn bitte?"}
ASKED = {"a": ("1",), "b": ("1", "2"), "c": ("1",)}  # groups that answer each question


def corpus(order: random.Random | None = None) -> Corpus:
    documents = [
        {"doc_id": f"{lang}-{g}", "group_id": g, "lang": lang, "text": text, "title": None}
        for (lang, g), text in TEXTS.items()
    ]
    queries = [
        {"query_id": f"{lang}-{g}", "group_id": g, "lang": lang, "text": text} for (lang, g), text in QUESTIONS.items()
    ]
    qrels = [{"query_id": f"{lang}-{q}", "group_id": g, "grade": 1} for lang, q in QUESTIONS for g in ASKED[q]]
    qrels += [{"query_id": "en-a", "group_id": "3", "grade": 0}, {"query_id": "en-a", "doc_id": "en-1", "grade": 2}]
    for rows in (documents, queries, qrels):
        if order:
            order.shuffle(rows)
    tables = ((documents, DOCUMENTS), (queries, QUERIES), (qrels, QRELS))
    return Corpus("made", *(pa.Table.from_pylist(rows, schema) for rows, schema in tables))


def counted(**changes: object) -> DataFacts:
    return count_facts(corpus(), (), 10, Cuts()).model_copy(update=changes)


def row(lang: str, **changes: object) -> LanguageFacts:
    nothing = dict.fromkeys(("duplicate_documents", "duplicate_queries", "suspected_labels"), 0)
    shared = {"documents": 240, "queries": 100, "untranslated_documents": None, "untranslated_queries": None}
    return LanguageFacts.model_validate({"lang": lang, **nothing, **shared, **changes})


def facts(*rows: LanguageFacts, **changes: object) -> DataFacts:
    whole = {"questions": 240, "passages": 240, "questions_per_passage": 1, "most_questions": 1, "cutoff": 10}
    return DataFacts.model_validate({"languages": rows, **whole, **changes})


def pool(scenario: str, lang: str, *, query: str = "", **sizes: int) -> PoolInfo:
    return PoolInfo(
        scenario=scenario, query_lang=query or lang, lang=lang, languages=tuple(sizes), sizes=sizes,
        share=None, seed=0, documents_sha256="0", per_query=None,
    )  # fmt: skip


def test_every_count_is_the_one_that_was_made() -> None:
    english, german, chinese = counted().languages
    assert (english.lang, german.lang, chinese.lang) == ("en", "de", "zh")
    assert [(one.documents, one.queries) for one in (english, german, chinese)] == [(4, 2), (4, 2), (4, 0)]
    assert [one.duplicate_documents for one in (english, german, chinese)] == [1, 0, 2]
    assert [one.untranslated_documents for one in (english, german, chinese)] == [None, 2, 0]
    assert [one.untranslated_queries for one in (english, german, chinese)] == [None, 1, 0]
    assert [one.suspected_examples for one in (english, german, chinese)] == [(), ("de-4",), ("zh-1",)]
    assert [one.suspected_labels for one in (english, german, chinese)] == [0, 1, 1]
    assert [one.english_share for one in (english, german, chinese)] == [None, 0.5, 0.5]
    assert {one.cut_documents for one in (english, german, chinese)} == {None}


def test_questions_count_once_whatever_their_languages_and_grade_0_asks_nothing() -> None:
    found = counted()
    # passage 1 is asked about by a, b and c; passage 2 by b
    assert (found.questions, found.passages, found.questions_per_passage, found.most_questions) == (3, 2, 2.0, 3)


def test_a_query_that_is_a_title_of_its_language_is_counted_and_said() -> None:
    made = corpus()
    titles = {"en-1": "WHO?", "en-2": "Wo  denn bitte?", "de-1": " wo denn  bitte?", "de-3": "Who?"}
    rows = [row | {"title": titles.get(row["doc_id"])} for row in made.documents.to_pylist()]
    titled = replace(made, documents=pa.Table.from_pylist(rows, DOCUMENTS))
    found = count_facts(titled, (), 10, Cuts())
    assert [one.title_queries for one in found.languages] == [1, 2, 0]
    said = "German: 2 of 2 queries (100.0 %) are the title of a document, which stands in its text; English: 1 of 2"
    assert any(one.startswith(said) for one in sentences(found))
    assert [one.title_queries for one in counted().languages] == [0, 0, 0]


def test_a_query_that_is_a_documents_text_is_counted_and_said_but_for_its_own_document() -> None:
    made = corpus()
    asked = {"en-a": "bees FIND\ntheir  way home.", "en-b": "Bees find", "de-a": "Bees find their way home."}
    rows = [one | {"text": asked.get(one["query_id"], one["text"])} for one in made.queries.to_pylist()]
    found = count_facts(replace(made, queries=pa.Table.from_pylist(rows, QUERIES)), (), 10, Cuts())
    assert [one.document_queries for one in found.languages] == [1, 0, 0]
    assert "English: 1 of 2 queries (50.0 %) is the whole text of a document." in sentences(found)
    # as in ArguAna and in lines of parallel files: each is the document of its id, and a copy of another one
    own = [
        {"query_id": one["doc_id"], **{name: one[name] for name in ("group_id", "lang", "text")}}
        for one in made.documents.to_pylist()
    ]
    found = count_facts(replace(made, queries=pa.Table.from_pylist(own, QUERIES)), (), 10, Cuts())
    assert [one.document_queries for one in found.languages] == [0, 0, 0]
    # other ids, and all of them are found without any retrieval
    other = [one | {"query_id": f"q{i}"} for i, one in enumerate(own)]
    found = count_facts(replace(made, queries=pa.Table.from_pylist(other, QUERIES)), (), 10, Cuts())
    assert [one.document_queries for one in found.languages] == [4, 4, 4]


def test_notes_of_the_corpus_come_first_and_once() -> None:
    found = count_facts(replace(corpus(), notes=("Qrels were read from x.",)), (), 10, Cuts())
    assert found.notes == ("Qrels were read from x.",) == sentences(found)[:1]
    assert sentences(found).count("Qrels were read from x.") == 1


@given(st.randoms(use_true_random=False))
def test_no_count_depends_on_the_order_of_rows(order: random.Random) -> None:
    assert count_facts(corpus(order), (), 10, Cuts()) == counted()


@given(st.lists(st.tuples(st.sampled_from("ab\u00a0 ﬁ"), st.sampled_from(["en", "de"]), st.integers(0, 3)), max_size=8))
def test_counts_are_those_of_a_plain_loop(cells: list[tuple[str, str, int]]) -> None:
    texts = {(lang, group): f"x{letter}{letter}y" for letter, lang, group in cells}
    rows = [
        {"doc_id": f"{lang}{group}", "group_id": str(group), "lang": lang, "text": text, "title": None}
        for (lang, group), text in texts.items()
    ]
    made = Corpus("made", pa.Table.from_pylist(rows, DOCUMENTS), QUERIES.empty_table(), QRELS.empty_table())
    plain = {key: " ".join(unicodedata.normalize("NFKC", text).split()) for key, text in texts.items()}
    for found in count_facts(made, (), 10, Cuts()).languages:
        own = Counter(text for (lang, _), text in texts.items() if lang == found.lang)
        assert found.duplicate_documents == sum(own.values()) - len(own)
        same = sum(plain[key] == plain.get(("en", key[1])) for key in texts if key[0] == found.lang)
        assert found.untranslated_documents == (None if found.lang == "en" else same)


def test_a_title_is_part_of_a_document() -> None:
    made = corpus()
    titles = pa.array([str(number) for number in range(len(made.documents))])
    at = made.documents.column_names.index("title")
    titled = Corpus("made", made.documents.set_column(at, DOCUMENTS.field("title"), titles), made.queries, made.qrels)
    assert sum(one.duplicate_documents for one in count_facts(titled, (), 10, Cuts()).languages) == 0


def test_cut_texts_are_counted_only_where_every_text_is_known() -> None:
    import polars as pl

    texts = pl.DataFrame({"lang": ["de", "de", "en", "en", "zh"], "is_cut": [True, True, False, None, False]})
    assert cut_by_language(texts) == {"de": 2, "zh": 0}
    known = count_facts(corpus(), (), 10, Cuts(documents={"de": 2, "en": 0}, queries={"de": 1}))
    assert [(one.cut_documents, one.cut_queries) for one in known.languages] == [(0, None), (2, 1), (None, None)]


def test_a_pool_is_small_where_a_cutoff_takes_all_of_it() -> None:
    pools = (pool("mono", "de", de=6), pool("multi", "de", en=6, de=5), pool("multi", "zh", query="en", en=6, zh=4))
    found = small_pools(pools, 10)
    assert [(one.scenario, one.query_lang, one.lang, one.documents) for one in found] == [
        ("mono", "de", "de", 6), ("multi", "en", "zh", 10),
    ]  # fmt: skip
    told = sentences(facts(row("en"), small_pools=found))
    assert told == (
        "No more documents than the cutoff 10 are in the pools of mono (de); multi (zh): whatever the model, all of "
        "them are among the first 10.",
    )


def test_the_small_pool_of_all_languages_is_of_none() -> None:
    small = (SmallPool(scenario="nway", query_lang="de", lang=None, documents=9),)
    (told,) = sentences(facts(row("en"), small_pools=small))
    assert "are in the pools of nway: whatever" in told


def test_what_is_as_it_should_be_needs_no_sentence() -> None:
    german = row("de", untranslated_documents=0, untranslated_queries=0, english_share=0.5, cut_documents=0)
    assert sentences(facts(row("en"), german)) == ()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [row("de", untranslated_documents=14)],
            "German: 14 of 240 documents (5.8 %) have the text of their English version.",
        ),
        ([row("de", duplicate_queries=1)], "German: 1 of 100 queries (1.0 %) repeats an earlier text."),
        (
            [row("de", cut_documents=1), row("fr", cut_documents=24), row("zh", cut_documents=None)],
            "French: 24 of 240 documents (10.0 %) are longer than the checkpoint reads; German: 1 of 240 (0.4 %).",
        ),
        (
            [row(lang, duplicate_documents=n) for n, lang in enumerate(("en", "de", "fr", "it", "es", "pt"))],
            "Portuguese: 5 of 240 documents (2.1 %) repeat an earlier text; Spanish: 4 of 240 (1.7 %); Italian: 3 of "
            "240 (1.2 %); 2 more languages: at most 0.8 %.",
        ),
        (
            [row("de", suspected_labels=5, suspected_examples=("d1", "d2", "d3"))],
            "Perhaps labelled with the wrong language, by their script: German 5 (d1, d2, d3, ...).",
        ),
        (
            [row("de", english_share=0.99), row("zh", english_share=0.55), row("fr", english_share=0.09)],
            "English's share of the documents in pools of two languages: 99.0 % beside German, 9.0 % beside French.",
        ),
    ],
)
def test_what_matters_is_one_sentence_for_all_languages(rows: list[LanguageFacts], told: str) -> None:
    assert sentences(facts(*rows)) == (told,)


def test_a_text_that_is_cut_as_was_asked_is_said_so_for_its_kind_alone() -> None:
    """A checkpoint that reads short queries by itself, and longer documents than were asked for."""
    cut = facts(row("de", cut_documents=24, cut_queries=3), own_tokens={"document": 8192})
    assert sentences(cut) == (
        "German: 24 of 240 documents (10.0 %) are longer than was asked to be read, and the checkpoint reads 8,192 "
        "tokens (--encoding.max-tokens 8192).",
        "German: 3 of 100 queries (3.0 %) are longer than the checkpoint reads.",
    )


def test_questions_that_share_passages_are_told() -> None:
    shared = {"questions": 1190, "passages": 240, "questions_per_passage": 1190 / 240, "most_questions": 17}
    assert sentences(facts(**shared)) == (
        "1,190 questions ask about 240 passages, 5.0 a passage on average and at most 17.",
    )


def test_facts_are_json_both_ways() -> None:
    found = counted()
    assert DataFacts.model_validate_json(found.model_dump_json()) == found
