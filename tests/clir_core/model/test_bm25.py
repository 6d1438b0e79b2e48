"""BM25's scores are those of bm25s itself; its terms are words in any script."""

import bm25s
import numpy as np
import pytest

from clir_core.model.bm25 import tokenized, weighed
from clir_core.sources import read_corpus

# what bm25s is given where this project says nothing
METHOD = "lucene"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cat, the CAT!", ["the", "cat", "the", "cat"]),
        ("Straße don't x_1", ["straße", "don", "t", "x_1"]),
        pytest.param("हिन्दी किताब", ["हिन्दी", "किताब"], id="vowel signs belong to their word"),
        pytest.param("한국어 책", ["한국어", "책"], id="Korean has spaces"),
        pytest.param("日本語カード。", ["日本", "本語", "語カ", "カー", "ード"], id="Han and kana in pairs"),
        pytest.param("abc日x", ["abc", "x", "日"], id="one character alone, and words beside it"),
        pytest.param("ไทย", ["ไท", "ทย"], id="Thai"),
        pytest.param("ＡＢ１ ﬁn", ["ab1", "fin"], id="compatible forms"),
        ("", []),
        ("?! …", []),
    ],
)
def test_terms_are_words_or_pairs_of_characters(text: str, terms: list[str]) -> None:
    assert tokenized([text]) == [terms]


def test_scores_are_bm25s_own() -> None:
    demo = read_corpus("demo", ("de", "hi", "zh"))
    documents, queries = demo.documents["text"].to_pylist(), demo.queries["text"].to_pylist()[::7]
    documents[3] = ""
    index = bm25s.BM25(method=METHOD)
    terms = tokenized(documents)
    index.index(terms, show_progress=False)
    weights, counts = weighed(documents, [*queries, "", "zzzz"])
    found = (counts @ weights.T).toarray()
    assert not found[-2:].any()
    known = {term for part in terms for term in part}
    for query, scores in zip(tokenized(queries), found, strict=False):
        held = [term for term in query if term in known]
        expected = index.get_scores(held) if held else np.zeros(len(documents))
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


def test_a_term_that_stands_twice_in_a_query_counts_twice() -> None:
    weights, counts = weighed(["a b", "a c", ""], ["a", "a a", "b c"])
    one, two, other = (counts @ weights.T).toarray()
    np.testing.assert_allclose(two, 2 * one)
    assert one[2] == 0 and other[0] == other[1] > 0


def test_there_may_be_nothing_to_weigh() -> None:
    assert weighed(["", "?"], ["a"])[0].nnz == 0
    assert weighed(["a"], [""])[0].shape == (1, 0)
