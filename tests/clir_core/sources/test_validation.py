"""Every way in which a corpus can contradict itself, each made by hand and each named with its place."""

import pickle

import pytest

from clir_core.errors import CorpusError
from clir_core.sources.rows import RawRows


class Draft(RawRows):
    """Raw tables that a test fills row by row; the row number is the order of writing."""

    def __init__(self):
        super().__init__()
        self.count = {"d": 0, "q": 0, "r": 0}

    def _row(self, kind):
        self.count[kind] += 1
        return self.count[kind]

    def doc(self, doc_id, lang="en", group_id=None, text="words"):
        group = doc_id if group_id is None else group_id
        self.documents.add("docs", self._row("d"), doc_id=doc_id, group_id=group, lang=lang, text=text)
        return self

    def query(self, query_id, lang="en", group_id=None, text="words?"):
        group = query_id if group_id is None else group_id
        self.queries.add("queries", self._row("q"), query_id=query_id, group_id=group, lang=lang, text=text)
        return self

    def qrel(self, query_id, group_id=None, doc_id=None, grade=1):
        self.qrels.add("qrels", self._row("r"), query_id=query_id, group_id=group_id, doc_id=doc_id, grade=grade)
        return self

    def validated(self):
        return self.corpus("drafted").validated()


def good() -> Draft:
    """English and German, one parallel group, one judged query."""
    return Draft().doc("en/a", "en", "a").doc("de/a", "de", "a").query("q").qrel("q", group_id="a")


def problems_of(draft: Draft) -> list[str]:
    with pytest.raises(CorpusError) as caught:
        draft.validated()
    return list(caught.value.problems)


def test_a_good_corpus_passes_sorted_and_without_places():
    draft = Draft().doc("en/b", "en", "b").doc("en/a", "en", "a").doc("de/a", "de", "a")
    draft.query("q2", "en").query("q1", "en").query("q3", "de").qrel("q2", doc_id="en/b").qrel(
        "q1", group_id="a", grade=2
    )
    corpus = draft.qrel("q3", group_id="a").qrel("q2", doc_id="en/a").validated()
    assert corpus.name == "drafted"
    assert corpus.languages == ("en", "de")
    assert corpus.documents["doc_id"].to_pylist() == ["de/a", "en/a", "en/b"]
    assert corpus.queries["query_id"].to_pylist() == ["q3", "q1", "q2"]
    assert corpus.qrels["doc_id"].to_pylist() == [None, "en/a", "en/b", None]
    assert corpus.qrels["grade"].to_pylist() == [2, 1, 1, 1]
    assert corpus.documents.column_names == ["doc_id", "group_id", "lang", "text", "title"]
    assert corpus.skipped == ()


BAD = {
    "doc_id 'en/a' was used before, in docs, row 1": (good().doc("en/a", "fr", "c"), "docs, row 3"),
    "query_id 'q' was used before, in queries, row 1": (good().query("q", "de", "c"), "queries, row 2"),
    "text of document 'x' is empty": (good().doc("x", text=" \n\t　").qrel("q", doc_id="x"), "docs, row 3"),
    "text of query 'y' is empty": (good().query("y", text=None).qrel("y", "a"), "queries, row 2"),
    "doc_id is empty": (good().doc(None, group_id="g"), "docs, row 3"),
    "query_id is empty; every query": (good().query("", group_id="g"), "queries, row 2"),
    "group_id is empty": (good().doc("x", group_id=""), "docs, row 3"),
    "lang is empty": (good().query("y", lang=None), "queries, row 2"),
    "language 'german' is not a BCP-47 code; did you mean 'de'?": (good().doc("x", "german"), "docs, row 3"),
    "language 'zz' is not a BCP-47 code; write one": (good().doc("x", "zz"), "docs, row 3"),
    "query_id 'nobody' is no query": (good().qrel("nobody", group_id="a"), "qrels, row 2"),
    "group_id 'nowhere' is no group": (good().qrel("q", group_id="nowhere"), "qrels, row 2"),
    "doc_id 'nothing' is no document": (good().qrel("q", doc_id="nothing"), "qrels, row 2"),
    "query_id is empty; every qrel": (good().qrel(None, group_id="a"), "qrels, row 2"),
    "has group_id 'b' and doc_id 'b'; keep one": (good().doc("b").qrel("q", "b", "b"), "qrels, row 2"),
    "query 'q' has neither group_id nor doc_id": (good().qrel("q", group_id="", doc_id=""), "qrels, row 2"),
    "query 'q' is judged for 'a' before, in qrels, row 1": (good().qrel("q", group_id="a", grade=2), "qrels, row 2"),
    "for document 'de/a' and for its group 'a' as well": (good().qrel("q", doc_id="de/a", grade=0), "qrels, row 2"),
    "in qrels, row 1, as 1, and here as 0; keep one": (good().qrel("q", group_id="a", grade=0), "qrels, row 2"),
    "grade for query 'q' is empty": (good().doc("b").qrel("q", doc_id="b", grade=None), "qrels, row 2"),
    "group 'a' has a document in 'de' before, in docs, row 2": (good().doc("de/2", "de", "a"), "docs, row 3"),
    "group 'a' has a document in 'de' before, in docs, row 2;": (good().doc("de/2", "deu", "a"), "docs, row 3"),
    "group 'q' has a query in 'en' before, in queries, row 1": (good().query("q2", "en", "q"), "queries, row 2"),
}


@pytest.mark.parametrize("message", BAD)
def test_a_problem_is_named_once_with_file_row_and_value(message):
    draft, place = BAD[message]
    (problem,) = problems_of(draft)
    assert problem.startswith(f"{place}: ")
    assert message in problem


def test_codes_of_one_language_are_one_language():
    draft = good().doc("b", "deu").doc("c", "zho_Hans").query("y", "ENG").qrel("y", doc_id="b")
    corpus = draft.validated()
    assert corpus.languages == ("en", "de", "zh")
    assert corpus.queries["lang"].to_pylist() == ["en", "en"]
    assert corpus.notes == (
        "Codes of languages were read as BCP-47 writes them: ENG as en, deu as de, zho_Hans as zh.",
    )
    assert good().validated().notes == ()


def test_all_problems_are_reported_at_once_in_the_order_of_the_files():
    draft = good().doc("x", "german", text="").doc("en/a").query("q", "de").qrel("q", group_id="gone").qrel("q", "x")
    problems = problems_of(draft)
    places = [problem.split(": ")[0] for problem in problems]
    assert places == ["docs, row 3", "docs, row 3", "docs, row 4", "queries, row 2", "qrels, row 2"]


def test_the_same_id_may_be_a_group_and_a_document():
    corpus = Draft().doc("a").doc("b", "de", "a").query("q").query("p", "de").qrel("q", "a").qrel("p", doc_id="a")
    assert len(corpus.validated().qrels) == 2


@pytest.mark.parametrize("what", ["documents", "queries", "qrels"])
def test_an_empty_corpus_is_an_error(what):
    assert f"there are no {what}; a corpus needs some" in problems_of(Draft())


def test_what_is_left_out_is_counted():
    draft = good().doc("b").query("only-zero").query("unjudged", "de")
    corpus = draft.qrel("only-zero", doc_id="b", grade=0).qrel("q", doc_id="b", grade=0).validated()
    assert corpus.queries["query_id"].to_pylist() == ["q"]
    assert corpus.qrels["grade"].to_pylist() == [1]
    qrels, queries = corpus.skipped
    assert (qrels.what, qrels.count, qrels.examples) == ("qrels", 2, ("only-zero -> b", "q -> b"))
    assert (queries.what, queries.count, queries.examples) == ("queries", 2, ("only-zero", "unjudged"))
    assert "grade 0" in qrels.reason and "no relevant document" in queries.reason


def test_qrels_that_are_all_zero_are_an_error():
    with pytest.raises(CorpusError, match="every qrel has grade 0"):
        Draft().doc("a").query("q").qrel("q", doc_id="a", grade=0).validated()


def test_a_long_list_of_problems_stays_whole_across_processes():
    draft = good()
    for number in range(50):
        draft.doc(f"d{number}", text="").qrel("q", doc_id=f"d{number}")
    with pytest.raises(CorpusError, match=r"\.\.\. and 30 more") as caught:
        draft.validated()
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems
