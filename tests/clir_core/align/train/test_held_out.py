"""The held-out pool: what training never sees, and its two figures against an audit's own."""

import numpy as np
import polars as pl
import pytest
import torch

from clir_core.align.data import training_triples
from clir_core.align.train.held_out import HeldOut, acc_at_1, hold_out, max_at_r_norm


@pytest.fixture(scope="module")
def triples() -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), 500, 0)))


def made(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Triples of a passage's group, a query's and a language; texts are named after them."""
    return pl.DataFrame(
        [
            {
                "triple_id": f"{group}|{query}|{lang}",
                "group_id": group,
                "query_group_id": query,
                "lang": lang,
                "q_en": f"en {query}",
                "p_en": f"en {group}",
                "p_x": f"{lang} {group}",
                "q_x": f"{lang} {query}",
                "negatives": [f"en {other}" for other in ("p0", "p1", "p2") if other != group],
            }
            for group, query, lang in rows
        ]
    )


def test_no_text_of_a_held_out_group_is_trained_on(triples: pl.DataFrame) -> None:
    fitted, held = hold_out(triples, 0.25, seed=0)
    assert len(fitted) + len(held) == len(triples)
    assert held["group_id"].n_unique() == round(0.25 * triples["group_id"].n_unique())
    for side in ("group_id", "query_group_id", "q_en", "p_en", "p_x", "q_x"):
        assert not set(fitted[side]) & set(held[side])
    assert set(held["lang"]) == {"de", "zh"}


def test_the_seed_draws_and_the_order_of_the_triples_does_not(triples: pl.DataFrame) -> None:
    groups = [set(hold_out(triples, 0.2, seed)[1]["group_id"]) for seed in (0, 1)]
    assert groups[0] != groups[1]
    assert set(hold_out(triples.reverse(), 0.2, 0)[1]["group_id"]) == groups[0]


def test_groups_that_share_a_query_stay_together_and_leave_no_negative() -> None:
    rows = [(f"p{n}", f"q{n}", "de") for n in range(12)] + [(f"p{n + 1}", f"q{n}", "de") for n in range(0, 12, 2)]
    for seed in range(5):
        fitted, held = hold_out(made(*rows), 0.35, seed)
        assert held["group_id"].n_unique() == 4
        assert not set(fitted["query_group_id"]) & set(held["query_group_id"])
        assert not {text for texts in fitted["negatives"] for text in texts} & set(held["p_en"])
        gone = {f"en {name}" for name in ("p0", "p1", "p2")} & set(held["p_en"])
        assert all(len(texts) >= 2 - len(gone) for texts in fitted["negatives"])


@pytest.mark.parametrize(
    ("share", "rows"),
    [
        (0.0, [(f"p{n}", f"q{n}", "de") for n in range(20)]),
        (0.1, [(f"p{n}", f"q{n}", "de") for n in range(10)]),
        (0.5, [(f"p{n}", f"q{n}", f"x{n}") for n in range(10)]),  # one group a language: nothing to find
        (0.5, [(f"p{n}", "q", "de") for n in range(10)]),  # one query for all
    ],
)
def test_too_little_to_hold_out_means_none(share: float, rows: list[tuple[str, str, str]]) -> None:
    triples = made(*rows)
    fitted, held = hold_out(triples, share, 0)
    assert fitted.equals(triples) and held.is_empty()


def test_figures_by_hand() -> None:
    """Two groups in German; the first query finds all, the second sees the first's passages above its own."""
    place = {
        "document": {"en p0": [1, 0], "de p0": [0.9, 0], "en p1": [0, 1], "de p1": [0, 0.2]},
        "query": {"en q0": [1, 0], "de q0": [1, 0], "en q1": [0, 1], "de q1": [1, 1]},
    }
    held = HeldOut(made(("p0", "q0", "de"), ("p1", "q1", "de")))
    found = held.measure(lambda texts, kind: torch.tensor([place[kind][text] for text in texts]))
    # of four documents two are golds. q0 in both languages and q1 in English: last gold in place 2, 100.
    # q1 in German: 1 (en p0, and en p1 as high), 0.9, 0.2: last gold in place 4, 0. Mean of X (50) and English (100)
    assert found.max_at_r_norm == pytest.approx(75)
    # German: q0 right, q1 wrong. English: both right
    assert found.mono_acc == pytest.approx((0.5 + 1) / 2)


def test_figures_equal_a_full_sort() -> None:
    rng = np.random.default_rng(0)
    scores, gold = rng.normal(size=(40, 12)).astype(np.float32), np.zeros((40, 12), bool)
    scores[:, 3] = scores[:, 7]  # ties, against the gold
    for row in gold:
        row[rng.choice(12, size=rng.integers(1, 4), replace=False)] = True
    norms = max_at_r_norm(torch.from_numpy(scores), torch.from_numpy(gold)).tolist()
    firsts = acc_at_1(torch.from_numpy(scores), torch.from_numpy(gold)).tolist()
    for values, golds, norm, first in zip(scores, gold, norms, firsts, strict=True):
        order = sorted(range(12), key=lambda d: (-values[d], golds[d]))
        last = 1 + max(place for place, d in enumerate(order) if golds[d])
        expected = 100 * (np.log2(12) - np.log2(last)) / (np.log2(12) - np.log2(golds.sum()))
        assert norm == pytest.approx(expected, abs=1e-3)
        assert first == golds[order[0]]


def test_queries_in_english_alone_are_enough(triples: pl.DataFrame) -> None:
    held = hold_out(triples.with_columns(q_x=pl.lit(None, pl.String)), 0.2, 0)[1]
    generator = torch.Generator().manual_seed(0)
    found = HeldOut(held).measure(lambda texts, kind: torch.randn(len(texts), 8, generator=generator))
    assert 0 < found.max_at_r_norm < 100 and 0 <= found.mono_acc <= 1


def test_weights_that_give_no_numbers_are_the_worst() -> None:
    scores, gold = (
        torch.full((2, 4), torch.nan),
        torch.tensor([[True, False, False, False], [False, True, True, False]]),
    )
    assert max_at_r_norm(scores, gold).tolist() == [0, 0] and acc_at_1(scores, gold).tolist() == [0, 0]
