"""BM25 over one index of all documents, whatever their languages: weights of terms, whose products are its scores.

Texts are read alike in every language: Unicode's words, in lower case and compatible forms, without stemming and stop
words; what scripts without spaces between words write is read as pairs of neighbouring characters.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from bm25s import BM25
from scipy.sparse import csc_array, csr_array

from clir_core.model.baseline import K1, METHOD, B

_UNSPACED = "".join(
    rf"\p{{scx={script}}}" for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
)
_RUN, _WORD = rf"[\w&&[{_UNSPACED}]]+", rf"[\w&&[^{_UNSPACED}]]+"


def tokenized(texts: Sequence[str]) -> list[list[str]]:
    """The terms of each text, each as often as it stands there; those without spaces last."""
    plain = pl.Series(texts, dtype=pl.String).str.normalize("NFKC").str.to_lowercase()
    words, runs = (plain.str.extract_all(form).to_list() for form in (_WORD, _RUN))
    return [found + [pair for run in parts for pair in _pairs(run)] for found, parts in zip(words, runs, strict=True)]


def weighed(documents: Sequence[str], queries: Sequence[str]) -> tuple[csr_array, csr_array]:
    """Weights of documents and counts of queries, float32 [texts, terms], over the terms that both have."""
    asked = tokenized(queries)
    number = {term: i for i, term in enumerate(sorted({term for terms in asked for term in terms}))}
    n_asked = len(number)
    # what no query asks for counts for a document's length alone
    held = [[number.get(term, n_asked) for term in terms] for terms in tokenized(documents)]
    weights = csr_array((len(documents), n_asked), dtype=np.float32)
    if any(held):
        index = BM25(method=METHOD, k1=K1, b=B).build_index_from_ids(
            list(range(n_asked + 1)), held, show_progress=False
        )
        parts = (index["data"], index["indices"], index["indptr"])
        weights = csr_array(csc_array(parts, (len(documents), n_asked + 1))[:, :n_asked])
    terms = np.array([number[term] for found in asked for term in found], np.int64)
    lines = np.repeat(np.arange(len(asked)), [len(found) for found in asked])
    # a term that stands there twice counts twice: equal places add up
    counts = csr_array((np.ones(len(terms), np.float32), (lines, terms)), (len(asked), n_asked))
    return weights, counts


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
