"""Corrections against values by hand and by NumPy's own SVD; what they may be fitted on, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from corpus_case import write_corpus
from pydantic import ValidationError

from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.corpus.texts import document_texts
from clir_core.correct import removal
from clir_core.correct.correction import Correction
from clir_core.correct.data import fit_reference, read_fit_corpus
from clir_core.correct.fit import fit_correction
from clir_core.correct.removal import Removal
from clir_core.errors import CorpusError, SpecError
from clir_core.rank.store import VectorTable, rows
from clir_core.sources import read_corpus

# language and group of each document
Vectors = dict[tuple[str, str], list[float]]
METHODS = ("centring", "shift", "lir")


def store(place: Path, vectors: Vectors) -> tuple[Corpus, VectorTable]:
    """A corpus of these documents, and the table with their vectors."""
    documents = [
        {"doc_id": f"{lang}/{group}", "group_id": group, "lang": lang, "text": f"{lang} {group}", "title": None}
        for lang, group in vectors
    ]
    corpus = Corpus("small", pa.Table.from_pylist(documents, DOCUMENTS), QUERIES.empty_table(), QRELS.empty_table())
    dim = len(next(iter(vectors.values())))
    table = VectorTable.create(str(place), "t", dim)
    texts = document_texts(corpus)
    table.append(rows(texts.with_columns(text_hash=pl.lit("of an older text")), np.full((len(texts), dim), 9.0)))
    table.append(rows(texts.reverse(), np.array(list(vectors.values())[::-1])))
    return corpus, VectorTable(str(place), "t")


def spec(method: str, alpha: float = 1.0) -> AuditSpec:
    return AuditSpec(correction=method, correction_fit="demo#train", correction_alpha=alpha)


def random_case(place: Path, seed: int) -> tuple[Corpus, VectorTable, dict[str, np.ndarray]]:
    """40 groups in three languages: unit vectors around a mean of each language's own."""
    random = np.random.default_rng(seed)
    found = {}
    for lang in ("en", "de", "zh"):
        vectors_NH = random.standard_normal((40, 6)) + 3 * random.standard_normal(6)
        found[lang] = (vectors_NH / np.linalg.norm(vectors_NH, axis=1, keepdims=True)).astype(np.float32)
    named = {(lang, f"g{i:02}"): row.tolist() for lang, some in found.items() for i, row in enumerate(some)}
    return *store(place, named), found


def test_centring_by_hand(tmp_path):
    corpus, table = store(
        tmp_path, {("en", "a"): [1, 0], ("en", "b"): [0, 1], ("de", "a"): [0, 1], ("de", "b"): [0, 1]}
    )
    found = fit_correction(spec("centring"), corpus, table, None, unit=True)
    # English lies around (.5, .5), German around (0, 1)
    english = found.of_documents("en", np.array([[1, 0], [0.5, 1]], np.float32))
    np.testing.assert_allclose(english, [[np.sqrt(0.5), -np.sqrt(0.5)], [0, 1]], atol=1e-7)
    np.testing.assert_allclose(found.of_queries("de", np.array([[1, 1]], np.float32)), [[1, 0]], atol=1e-7)
    assert english.dtype == np.float32
    # on the language's mean itself nothing is left: no direction, and no NaN
    assert found.of_documents("de", np.array([[0, 1]], np.float32)).tolist() == [[0, 0]]


def test_shift_by_hand(tmp_path):
    vectors: Vectors = {
        ("en", "a"): [1, 0], ("en", "b"): [0.6, 0.8], ("en", "alone"): [0, -1],
        ("de", "a"): [0, 1], ("de", "b"): [0.8, 0.6], ("de", "lone"): [-1, 0],
    }  # fmt: skip
    corpus, table = store(tmp_path, vectors)
    document = np.array([[0.6, 0.8]], np.float32)
    # of the pairs, German lies at (.4, .8) and English at (.8, .4): a German document moves by half of (.4, -.4)
    raw = fit_correction(spec("shift", 0.5), corpus, table, None, unit=False)
    np.testing.assert_allclose(raw.of_documents("de", document), [[0.8, 0.6]], atol=1e-7)
    moved = fit_correction(spec("shift", 1.0), corpus, table, None, unit=True).of_documents("de", document)
    np.testing.assert_allclose(moved, np.array([[1.0, 0.4]]) / np.hypot(1.0, 0.4), atol=1e-7)
    # queries and English documents stay where they are
    assert raw.of_documents("en", document) is document
    assert raw.of_queries("de", document) is document and raw.of_queries("en", document) is document


def test_lir_by_hand(tmp_path):
    corpus, table = store(tmp_path, {("en", "a"): [1, 0], ("en", "b"): [-1, 0], ("en", "c"): [0, 1]})
    found = fit_correction(spec("lir"), corpus, table, None, unit=False)
    # most of English lies along the first axis, on both sides: a mean would not tell
    np.testing.assert_allclose(found.of_documents("en", np.array([[0.6, 0.8]], np.float32)), [[0, 0.8]], atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_centred_languages_have_no_mean(seed, tmp_path):
    corpus, table, vectors = random_case(tmp_path, seed)
    found = fit_correction(spec("centring"), corpus, table, None, unit=False)
    for lang, vectors_NH in vectors.items():
        assert np.abs(vectors_NH.mean(axis=0)).max() > 0.1
        np.testing.assert_allclose(found.of_documents(lang, vectors_NH).mean(axis=0), 0, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_lir_leaves_nothing_along_the_first_singular_vector(seed, tmp_path):
    corpus, table, vectors = random_case(tmp_path, seed)
    found = fit_correction(spec("lir"), corpus, table, None, unit=True)
    for lang, vectors_NH in vectors.items():
        direction_H = np.linalg.svd(vectors_NH.astype(np.float64))[2][0]
        assert np.abs(vectors_NH @ direction_H).max() > 0.1
        for corrected in (found.of_documents(lang, vectors_NH), found.of_queries(lang, vectors_NH)):
            np.testing.assert_allclose(corrected @ direction_H, 0, atol=1e-6)
            np.testing.assert_allclose(np.linalg.norm(corrected, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_shift_puts_each_language_where_english_is(seed, tmp_path):
    corpus, table, vectors = random_case(tmp_path, seed)
    found = fit_correction(spec("shift"), corpus, table, None, unit=False)
    for lang in ("de", "zh"):
        moved = found.of_documents(lang, vectors[lang])
        np.testing.assert_allclose(moved.mean(axis=0), vectors["en"].mean(axis=0), atol=1e-6)


def test_a_whole_shift_leaves_the_pivot_and_moves_english(tmp_path):
    corpus, table, vectors = random_case(tmp_path, 3)
    found = fit_correction(spec("shift"), replace(corpus, pivot="de"), table, None, unit=False)
    assert found.of_documents("de", vectors["de"]).tobytes() == vectors["de"].tobytes()
    moved = found.of_documents("en", vectors["en"])
    np.testing.assert_allclose(moved.mean(axis=0), vectors["de"].mean(axis=0), atol=1e-6)


def test_alpha_0_changes_no_bit(tmp_path):
    corpus, table, vectors = random_case(tmp_path, 5)
    found = fit_correction(spec("shift", 0.0), corpus, table, None, unit=True)
    for lang, vectors_NH in vectors.items():
        assert found.of_documents(lang, vectors_NH).tobytes() == vectors_NH.tobytes()


@pytest.mark.parametrize("is_direction", [False, True])
def test_what_is_read_together_changes_no_bit(is_direction, monkeypatch):
    random = np.random.default_rng(6)
    vectors_NH = random.standard_normal((500, 384)).astype(np.float32)
    vector_H = random.standard_normal(384)
    found = Correction({"de": Removal(vector_H / np.linalg.norm(vector_H), is_direction)}, {}, unit=True)
    whole = found.of_documents("de", vectors_NH)
    one_by_one = np.concatenate([found.of_documents("de", vectors_NH[i : i + 1]) for i in range(len(vectors_NH))])
    assert one_by_one.tobytes() == whole.tobytes()
    monkeypatch.setattr(removal, "BLOCK", 7)
    assert found.of_documents("de", vectors_NH).tobytes() == whole.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_fitting_in_blocks_gives_the_same(method, tmp_path, monkeypatch):
    corpus, table, vectors = random_case(tmp_path, 7)
    whole = fit_correction(spec(method), corpus, table, None, unit=True).of_documents("zh", vectors["zh"])
    monkeypatch.setattr(removal, "BLOCK", 7)
    again = fit_correction(spec(method), corpus, table, None, unit=True).of_documents("zh", vectors["zh"])
    np.testing.assert_allclose(again, whole, atol=1e-6)


def test_shift_without_translations_says_what_to_do(tmp_path):
    corpus, table = store(tmp_path, {("en", "a"): [1, 0], ("de", "b"): [0, 1]})
    with pytest.raises(CorpusError, match=r"small: no document in 'de' has a version in 'en'.*correction_fit"):
        fit_correction(spec("shift"), corpus, table, None, unit=True)


@pytest.mark.parametrize(
    ("corpus", "fit", "expected"),
    [
        ("xquad:DIR#test", None, "xquad:DIR#train"),
        ("demo#dev", None, "demo#fit"),
        ("demo#test", "xquad:DIR#fit", "xquad:DIR#fit"),
        ("parquet:DIR", "demo", "demo"),
    ],
)
def test_what_a_correction_is_fitted_on(corpus, fit, expected):
    assert fit_reference(AuditSpec(correction="lir", correction_fit=fit), corpus) == expected


def test_without_a_correction_nothing_is_fitted():
    assert fit_reference(AuditSpec(), "demo") is None
    assert read_fit_corpus(AuditSpec(), "demo", read_corpus("demo", ("de",))) is None


@pytest.mark.parametrize("corpus", ["demo", "demo#train", "parquet:DIR"])
def test_where_it_is_not_known_what_to_fit_on_the_user_is_asked(corpus):
    with pytest.raises(SpecError, match=f"'lir' needs a corpus .* not for '{corpus}'; set correction_fit"):
        fit_reference(AuditSpec(correction="lir"), corpus)


def test_a_language_that_the_fit_corpus_lacks_is_named_with_the_way_out(tmp_path):
    write_corpus(read_corpus("demo", ("de",)), tmp_path)
    asked = AuditSpec(correction="centring", correction_fit=f"parquet:{tmp_path}")
    with pytest.raises(SpecError) as error:
        read_fit_corpus(asked, "demo#test", read_corpus("demo#test", ("de", "zh")))
    for part in (
        "'centring' cannot be fitted",
        f"'parquet:{tmp_path}'",
        "'zh' is not in",
        "set correction_fit",
        "fewer",
    ):
        assert part in str(error.value)
    assert read_fit_corpus(asked, "demo#test", read_corpus("demo#test", ("de",))).languages == ("en", "de")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"correction": "lir", "correction_alpha": 0.5}, "0.5 is for shift alone, and the correction is lir"),
        ({"correction_alpha": 0.5}, "0.5 is for shift alone, and the correction is none"),
        ({"correction_fit": "demo#train"}, "demo#train would be fitted on for no correction"),
        ({"correction": "shift", "correction_alpha": -1}, "greater than or equal to 0"),
        ({"correction": "pca"}, "'centring', 'mean', 'shift', 'lir', 'hub'"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words) as error:
        AuditSpec.model_validate(fields)
    assert error.value.error_count() == 1


@pytest.mark.parametrize("fields", [{}, {"correction": "lir"}, {"correction": "shift", "correction_alpha": 0.6}])
def test_a_spec_survives_json(fields):
    asked = AuditSpec.model_validate(fields)
    assert AuditSpec.model_validate_json(asked.model_dump_json()) == asked


def test_every_correction_is_an_audit_of_its_own():
    asked = [AuditSpec(), *(AuditSpec(correction=method) for method in METHODS)]
    asked += [AuditSpec(correction="shift", correction_alpha=0.6), AuditSpec(correction="lir", correction_fit="demo")]
    assert len({one.identity() for one in asked}) == len(asked)
    names = [one.corrected("m") for one in asked[:5]]
    assert names == ["m", "m + centring", "m + SHIFT 1", "m + LIR", "m + SHIFT 0.6"]
