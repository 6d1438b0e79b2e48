"""Bare texts of corpora: which, how many of each language, and never what the evaluation asks."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from corpus_case import write_demo_part

from clir_core.align import bare
from clir_core.align.bare import bare_texts, opening, without_groups
from clir_core.align.contamination import check
from clir_core.align.data import TRIPLES
from clir_core.align.spec import AlignSpec
from clir_core.errors import AlignError
from clir_core.sources import read_corpus


def spec(*references: str) -> AlignSpec:
    return AlignSpec(head_texts=references)


def counts(texts: pl.DataFrame) -> Counter[tuple[str, str]]:
    return Counter((lang, kind.partition(", ")[2]) for lang, kind in texts.select("lang", "kind").iter_rows())


def test_all_languages_of_a_corpus_without_labels_or_pairs() -> None:
    texts, corpus = bare_texts(spec("demo#train")), read_corpus("demo#train")
    passages, queries = Counter(corpus.documents["lang"].to_pylist()), Counter(corpus.queries["lang"].to_pylist())
    kinds = {"passages": passages, "openings": passages, "queries": queries}
    wanted = {(lang, kind): found[lang] for kind, found in kinds.items() for lang in corpus.languages}
    assert counts(texts) == wanted
    assert texts.filter(pl.col("p_x").is_null() == pl.col("q_x").is_null()).is_empty()
    assert bare_texts(spec("demo#train", "demo#train")).equals(texts)  # the same corpus twice is one


def test_sentences_stand_in_a_row_too(tmp_path: Path) -> None:
    for lang in ("en", "de"):
        (tmp_path / f"lines.{lang}").write_text("".join(f"{lang} says {at}.\n" for at in range(22)), "utf-8")
    texts = bare_texts(spec(f"bitext:{tmp_path}"))
    whole = {"passages": 22, "queries": 22, "openings": 22}
    assert counts(texts) == {
        (lang, kind): n for kind, n in (whole | {"sentences in a row": 6}).items() for lang in ("en", "de")
    }
    german = texts.filter(pl.col("lang") == "de")
    sentences = german.filter(pl.col("kind") == "corpus 1, passages")["p_x"].to_list()
    rows = german.filter(pl.col("kind") == "corpus 1, sentences in a row")["p_x"].to_list()
    assert rows == ["\n".join(sentences[at : at + 4]) for at in range(0, 22, 4)]


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("The cat sat on the mat, and slept.", "The cat sat on the"),
        ("猫坐在垫子上睡着了，没有人叫醒它。", "猫坐在垫子上睡着了，没有"),
        ("Short", "Short"),
        # Thai parts sentences, not words
        ("แมวนั่งอยู่บนเสื่อและหลับไปอย่างสบาย " * 6, "แมวนั่งอยู่บ"),
    ],
)
def test_an_opening_is_as_short_as_a_title(text: str, opened: str) -> None:
    assert opening(text) == opened


def test_no_more_of_a_language_than_enough_and_none_of_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "MOST", 20)
    texts = bare_texts(spec("demo#train"))
    assert {n for (_, kind), n in counts(texts).items() if "row" not in kind} == {20}
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
