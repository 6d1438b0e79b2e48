"""Bare texts of corpora: which, how many of each language, and never what the evaluation asks."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from corpus_case import write_demo_part

from clir_core.align import bare
from clir_core.align.bare import bare_texts, without_groups
from clir_core.align.contamination import check
from clir_core.align.data import TRIPLES
from clir_core.align.spec import AlignSpec
from clir_core.errors import AlignError
from clir_core.sources import read_corpus


def spec(*references: str) -> AlignSpec:
    return AlignSpec(head_texts=references)


def counts(texts: pl.DataFrame) -> Counter[tuple[str, bool]]:
    return Counter((lang, passage is not None) for lang, passage in texts.select("lang", "p_x").iter_rows())


def test_all_languages_of_a_corpus_without_labels_or_pairs() -> None:
    texts, corpus = bare_texts(spec("demo#train")), read_corpus("demo#train")
    passages, queries = Counter(corpus.documents["lang"].to_pylist()), Counter(corpus.queries["lang"].to_pylist())
    assert counts(texts) == {(lang, True): passages[lang] for lang in corpus.languages} | {
        (lang, False): queries[lang] for lang in corpus.languages
    }
    assert texts.filter(pl.col("p_x").is_null() == pl.col("q_x").is_null()).is_empty()
    assert bare_texts(spec("demo#train", "demo#train")).equals(texts)  # the same text twice is one


def test_no_more_of_a_language_than_enough_and_none_of_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "MOST", 20)
    texts = bare_texts(spec("demo#train"))
    assert set(counts(texts).values()) == {20}
    monkeypatch.setattr(bare, "FEWEST", 21)
    with pytest.raises(AlignError, match="no language has 21 passages or queries; name larger ones"):
        bare_texts(spec("demo#train"))


def test_no_corpora_are_no_texts() -> None:
    assert bare_texts(AlignSpec()).is_empty() and AlignSpec().identity() != spec("demo#train").identity()


def test_what_is_held_out_is_left_out() -> None:
    texts = bare_texts(spec("demo#train"))
    groups = texts["group_id"].unique().to_list()[:5]
    rest = without_groups(texts, groups)
    assert 0 < len(rest) < len(texts) and not set(groups) & set(rest["group_id"])


def test_texts_that_the_evaluation_asks_are_refused(tmp_path: Path) -> None:
    nothing = TRIPLES.empty_table()
    evaluation = read_corpus("demo#test")
    assert not check(nothing, evaluation, (), bare_texts(spec("demo#train"))).found
    write_demo_part(tmp_path / "part", ("de",), 24)
    with pytest.raises(AlignError, match="head_texts"):
        check(nothing, evaluation, (), bare_texts(spec("demo")))
    allowed = check(nothing, evaluation, ("*",), bare_texts(spec(f"parquet:{tmp_path / 'part'}")))
    assert allowed.found and all("head_texts" in finding.columns for finding in allowed.found)
