"""The head: what it takes out, what it leaves, and that the checkpoint computes it."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from clir_core.align.train.head import KEPT, TEXTS_RIDGE, fit_head, fit_head_to_texts, save_with_head
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.encoder import load_encoder

H, N = 24, 60


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def spoken() -> tuple[dict[str, np.ndarray], list[str]]:
    """Meanings, a common direction and a vector a language and kind of text, as an encoder without noise would add."""
    rng = np.random.default_rng(0)
    common, languages = 2 * unit(rng.normal(size=H)), {"de": "d", "zh": "z"}
    offsets = {lang: 1.6 * unit(rng.normal(size=H)) for lang in languages}
    langs = ["de", "zh"] * (N // 2)
    sides = {}
    for kind in ("p", "q"):
        meaning = 0.15 * rng.normal(size=(N, H)) + common
        other = meaning + np.stack([offsets[lang] for lang in langs])
        sides |= {f"{kind}_en": unit(meaning), f"{kind}_x": unit(other)}
    return sides, langs


def distance(sides: dict[str, np.ndarray], langs: list[str]) -> float:
    """Between the means of translations, the worst language and kind."""
    rows = {lang: np.array([one == lang for one in langs]) for lang in set(langs)}
    return max(
        float(np.linalg.norm(sides[f"{kind}_en"][at].mean(0) - sides[f"{kind}_x"][at].mean(0)))
        for kind in ("p", "q")
        for at in rows.values()
    )


def test_the_languages_means_meet(spoken):
    sides, langs = spoken
    head_HH = fit_head(sides, langs)
    after = {side: unit(values @ head_HH.T) for side, values in sides.items()}
    assert distance(sides, langs) > 0.2
    assert distance(after, langs) < 0.25 * distance(sides, langs)


def test_a_mixed_pool_is_mended_and_a_pool_of_one_language_stays(spoken):
    sides, langs = spoken
    german = np.array([lang == "de" for lang in langs])
    own = np.arange(german.sum())

    def translations_found(head_HH: np.ndarray) -> float:
        """Share of German passages, asked for in a pool of both languages, whose translation comes second."""
        p_en, p_x = (unit(sides[side][german] @ head_HH.T) for side in ("p_en", "p_x"))
        assert (np.argmax(p_x @ p_x.T, axis=1) == own).all()
        scores = p_x @ np.concatenate([p_en, p_x]).T
        return float(((scores >= scores[own, own][:, None]).sum(axis=1) <= 2).mean())

    assert translations_found(np.eye(H)) < 0.2
    assert translations_found(fit_head(sides, langs)) > 0.95


def test_languages_that_hardly_differ_are_left_alone(spoken):
    sides, langs = spoken
    rng = np.random.default_rng(1)
    alike = {side: unit(sides[f"{side[0]}_en"] + 1e-4 * rng.normal(size=(N, H))) for side in sides}
    head_HH = fit_head(alike, langs)
    assert np.linalg.norm(head_HH, 2) < 1.1


def test_the_same_triples_give_the_same_bits(spoken):
    sides, langs = spoken
    assert fit_head(sides, langs).tobytes() == fit_head(sides, langs).tobytes()


def test_rows_without_a_query_do_not_count(spoken):
    sides, langs = spoken
    without = sides["q_x"].copy()
    without[10:] = 0
    fitted = fit_head({**sides, "q_x": without}, langs)
    changed = {**sides, "q_x": without, "q_en": sides["q_en"].copy()}
    changed["q_en"][10:] = 1.0
    assert np.array_equal(fitted, fit_head(changed, langs))


def test_triples_without_any_query_in_x_are_enough(spoken):
    sides, langs = spoken
    found = fit_head({**sides, "q_x": np.zeros_like(sides["q_x"])}, langs)
    assert np.isfinite(found).all()


def test_the_checkpoint_computes_the_head(tiny_model: Path, tmp_path: Path):
    base = resolve(str(tiny_model), EncodingSpec(), tmp_path, "float32")
    head_HH = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    save_with_head(base, head_HH, tmp_path / "headed")
    headed = resolve(str(tmp_path / "headed"), EncodingSpec(), tmp_path, "float32")
    assert (headed.query_prompt, headed.document_prompt) == (base.query_prompt, base.document_prompt)
    texts = ["eins", "two", "三"]
    for kind in ("query", "document"):
        expected = unit(load_encoder(base).encode(texts, kind) @ head_HH.T)
        assert np.allclose(load_encoder(headed).encode(texts, kind), expected, atol=1e-6)


def of_texts(seed: int, n: int = 80) -> dict[tuple[str, str], np.ndarray]:
    """Unpaired texts of three languages and two kinds, each around a place of its own."""
    rng = np.random.default_rng(seed)
    found = {}
    for kind in ("p_x", "q_x"):
        for lang in ("de", "en", "zh"):
            found[kind, lang] = unit(1.5 * unit(rng.normal(size=H)) + 0.2 * rng.normal(size=(n, H))).astype(np.float32)
    return found


def test_a_head_of_bare_texts_is_the_solution_of_its_normal_equations():
    texts = of_texts(0)
    del texts["q_x", "zh"]
    head_HH = fit_head_to_texts(texts).astype(np.float64)
    taken_HH = np.eye(H) - head_HH.T
    means = {key: found_NH.astype(np.float64).mean(axis=0) for key, found_NH in texts.items()}
    # the gradient of the ridge objective vanishes: each kind half of it, and in it each language alike
    slope_HH = TEXTS_RIDGE / sum(map(len, texts.values())) * taken_HH
    for (kind, lang), found_NH in texts.items():
        of_kind = [mean_H for (other, _), mean_H in means.items() if other == kind]
        x_NH, wanted_H = found_NH.astype(np.float64), means[kind, lang] - KEPT * np.mean(of_kind, axis=0)
        slope_HH += x_NH.T @ (x_NH @ taken_HH - wanted_H) / len(x_NH) / len(of_kind) / 2
    assert np.abs(slope_HH).max() < 1e-6


def test_it_takes_the_language_out_of_texts_that_it_has_not_seen():
    texts = of_texts(1)
    fit = {key: found_NH[:40] for key, found_NH in texts.items()}
    head_HH = fit_head_to_texts(fit)
    for kind in ("p_x", "q_x"):
        mean = {lang: texts[kind, lang][40:].mean(axis=0) for lang in ("de", "en", "zh")}
        for left, right in combinations(mean, 2):
            apart_H = mean[left] - mean[right]
            assert np.linalg.norm(head_HH @ apart_H) < 0.2 * np.linalg.norm(apart_H)
        # what is left of a text is what tells it from the others
        for lang in mean:
            own_NH = unit(texts[kind, lang][40:] - mean[lang])
            left_NH = texts[kind, lang][40:] @ head_HH.T
            assert np.median((unit(left_NH - left_NH.mean(axis=0)) * own_NH).sum(axis=1)) > 0.85


def test_it_takes_the_language_out_of_one_that_is_like_many():
    rng = np.random.default_rng(3)
    directions_KH = unit(rng.normal(size=(4, H)))

    def spoken(_: int) -> np.ndarray:
        place_H = unit(directions_KH[0] + rng.normal(size=4) @ directions_KH)
        return unit(1.5 * place_H + 0.2 * rng.normal(size=(80, H))).astype(np.float32)

    head_HH = fit_head_to_texts({("p_x", f"l{at}"): spoken(at) for at in range(30)})
    unseen, other = (spoken(at).mean(axis=0) for at in (30, 31))
    assert np.linalg.norm(head_HH @ (unseen - other)) < 0.2 * np.linalg.norm(unseen - other)


def test_every_language_counts_the_same_however_many_texts_it_has():
    texts = of_texts(2)
    many = {key: np.concatenate([found_NH] * (5 if key[1] == "en" else 1)) for key, found_NH in texts.items()}
    # but for the ridge, which there are more texts to set aside
    np.testing.assert_allclose(fit_head_to_texts(many), fit_head_to_texts(texts), atol=0.02)
    assert fit_head_to_texts(texts).tobytes() == fit_head_to_texts(dict(reversed(texts.items()))).tobytes()
