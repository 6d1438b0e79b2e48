"""Losses against arithmetic by hand, SciPy's divergences, and finite differences."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from clir_core.align.train import losses

# rows 0 and 2 duplicate each other
DUPLICATES = torch.tensor([[True, False, True, False], [False, True, False, False]] * 2)
DUPLICATES[2], DUPLICATES[3] = DUPLICATES[0].clone(), torch.tensor([False, False, False, True])


def rows(seed: int, n: int = 4, dim: int = 6) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def units(seed: int, n: int = 4, dim: int = 6) -> Tensor:
    return F.normalize(rows(seed, n, dim), dim=1)


def orthogonal(scores_NM: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Queries and candidates whose dot products are the given numbers: candidates are the axes."""
    return torch.tensor(scores_NM, dtype=torch.float64), torch.eye(len(scores_NM[0]), dtype=torch.float64)


def log_odds(share: float) -> float:
    """A score that has this share against one candidate of score 0."""
    return math.log(share / (1 - share))


def test_info_nce_by_hand():
    anchors, candidates = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # scores 1, .6 and 0, .8; over .5: 2, 1.2 and 0, 1.6; losses ln(1 + e^-.8) = .371101, ln(1 + e^-1.6) = .183901
    assert losses.info_nce(anchors, candidates, 0.5).item() == pytest.approx(0.277501, abs=1e-6)
    # turned: scores 1, 0 and .6, .8; over .5: ln(1 + e^-2) = .126928, ln(1 + e^-.4) = .513015; mean .319972
    assert losses.info_nce(candidates, anchors, 0.5).item() == pytest.approx(0.319972, abs=1e-6)
    # (.277501 + .319972) / 2
    assert losses.symmetric_info_nce(anchors, candidates, 0.5).item() == pytest.approx(0.298736, abs=1e-6)


def test_info_nce_without_duplicates_by_hand():
    anchors, candidates = orthogonal([[2.0, 2.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    excluded = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    # row 0 without column 1: ln(1 + e^-2) = .126928; row 1 without column 2: ln 2 = .693147; row 2: ln 3 = 1.098612
    expected = (0.126928 + 0.693147 + 1.098612) / 3
    assert losses.info_nce(anchors, candidates, 1.0, excluded).item() == pytest.approx(expected, abs=1e-6)


def test_symmetric_info_nce_turns_the_mask_along():
    # column 1 is no negative of row 0; turned, row 0 is none of column 1
    excluded = torch.tensor([[False, True], [False, False]])
    a, b = orthogonal([[2.0, 1.5], [0.0, 3.0]])
    # rows: 0 alone, ln(1 + e^-3) = .048587; columns: ln(1 + e^-2) = .126928 (scores 2, 0), 1 alone; sum over 2 * 2
    expected = (0 + 0.048587 + 0.126928 + 0) / 4
    assert losses.symmetric_info_nce(a, b, 1.0, excluded).item() == pytest.approx(expected, abs=1e-6)


def test_info_nce_equals_scipy_with_positives_anywhere():
    anchors, candidates, positive = units(0, 3), units(1, 7), torch.tensor([5, 0, 5])
    excluded = torch.rand(3, 7, generator=torch.Generator().manual_seed(2)) < 0.4
    scores = (anchors @ candidates.T).numpy() / 0.05
    expected = [
        -log_softmax([scores[n, m] for m in range(7) if m == p or not excluded[n, m]])[
            [m for m in range(7) if m == p or not excluded[n, m]].index(p)
        ]
        for n, p in enumerate(positive.tolist())
    ]
    assert losses.info_nce(anchors, candidates, 0.05, excluded, positive).item() == pytest.approx(np.mean(expected))


def test_jsd_by_hand():
    a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    # p = (1/2, 1/2), q = (3/4, 1/4), m = (5/8, 3/8)
    # KL(p||m) = (ln .8 + ln 4/3) / 2 = .032269; KL(q||m) = .75 ln 1.2 + .25 ln 2/3 = .035375
    # mean .033822, root .183908
    assert losses.sqrt_jsd(a, b).item() == pytest.approx(0.183908, abs=1e-6)
    # no overlap at all: ln 2, the largest
    far = torch.tensor([[0.0, 200.0]])
    assert losses.sqrt_jsd(-far, far).item() == pytest.approx(math.sqrt(math.log(2)))


@pytest.mark.parametrize("distance", [1.0, 1e-2, 1e-3])
def test_jsd_equals_scipy_also_between_near_equals_in_float32(distance: float):
    a = F.normalize(torch.randn(8, 384, generator=torch.Generator().manual_seed(0)), dim=1)
    b = a + distance * F.normalize(torch.randn(8, 384, generator=torch.Generator().manual_seed(1)), dim=1)
    expected = jensenshannon(softmax(a.double().numpy(), axis=1), softmax(b.double().numpy(), axis=1), axis=1).mean()
    assert losses.sqrt_jsd(a, b).item() == pytest.approx(expected, rel=1e-5)


def test_jsd_is_symmetric_and_ignores_a_shift():
    a, b = rows(0), rows(1)
    torch.testing.assert_close(losses.sqrt_jsd(a, b), losses.sqrt_jsd(b, a))
    torch.testing.assert_close(losses.sqrt_jsd(a + 3, b), losses.sqrt_jsd(a, b))


def test_jsd_of_equals_is_zero_with_no_gradient():
    a = rows(0).float().requires_grad_()
    b = torch.cat([a[:2], rows(1).float()[2:]])
    whole, half = losses.sqrt_jsd(a, a.detach().clone()), losses.sqrt_jsd(a, b.detach())
    assert whole.item() == 0
    assert torch.autograd.grad(whole, a)[0].abs().max() == 0
    gradient = torch.autograd.grad(half, a)[0]
    assert gradient[:2].abs().max() == 0
    assert gradient[2:].isfinite().all() and gradient[2:].abs().min() > 0


def test_clear_kl_by_hand():
    # forward shares .8, .2 in both rows; backward .6, .4
    p_en = torch.eye(2, dtype=torch.float64)
    q_en = torch.tensor([[log_odds(0.8), 0.0], [0.0, log_odds(0.8)]], dtype=torch.float64)
    q_x = torch.tensor([[log_odds(0.6), 0.0], [0.0, log_odds(0.6)]], dtype=torch.float64)
    # KL(backward || forward) = .6 ln(.6 / .8) + .4 ln(.4 / .2) = -.172609 + .277259
    assert losses.clear_kl(q_en, q_x, p_en, 1.0).item() == pytest.approx(0.104650, abs=1e-6)
    # temperature 1/2 doubles the log odds: shares .941176, .058824 and .692308, .307692
    # .692308 ln(.692308 / .941176) + .307692 ln(.307692 / .058824) = -.212608 + .509095
    assert losses.clear_kl(q_en, q_x, p_en, 0.5).item() == pytest.approx(0.296487, abs=1e-6)


def test_clear_kl_turns_the_passage_into_the_anchor():
    q_en, q_x, p_en = units(0), units(1), units(2)
    forward, backward = softmax((q_en @ p_en.T).numpy() * 20, axis=1), softmax((p_en @ q_x.T).numpy() * 20, axis=1)
    expected = entropy(backward, forward, axis=1).mean()
    assert losses.clear_kl(q_en, q_x, p_en, 0.05).item() == pytest.approx(expected)
    assert losses.clear_kl(q_en, q_en, q_en, 0.05).item() == 0


def test_distillation_by_hand():
    student, teacher = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    # 9 + 16 = 25 and 1 + 1 = 2
    assert losses.distillation(student, teacher).item() == 13.5
    assert losses.distillation(student, student).item() == 0
    # of unit vectors: 2 - 2 cos
    a, b = units(0), units(1)
    torch.testing.assert_close(losses.distillation(a, b), (2 - 2 * (a * b).sum(dim=1)).mean())


def test_score_distillation_by_hand():
    passages = torch.eye(2, dtype=torch.float64)
    student = torch.tensor([[log_odds(0.5), 0.0]], dtype=torch.float64)
    teacher = torch.tensor([[log_odds(0.75), 0.0]], dtype=torch.float64)
    # KL(teacher || student) = .75 ln(.75 / .5) + .25 ln(.25 / .5) = .304099 - .173287
    assert losses.score_distillation(student, passages, teacher, passages, 1.0).item() == pytest.approx(
        0.130812, abs=1e-6
    )


def test_score_distillation_sees_only_what_is_not_excluded():
    q, p, frozen_q, frozen_p = units(0), units(1), units(2), units(3)
    language = np.array([0, 1, 0, 1])
    kl = []
    for n in range(4):
        own = language == language[n]
        shares = [softmax((a[n] @ b.T).numpy()[own] / 0.1) for a, b in ((frozen_q, frozen_p), (q, p))]
        kl.append(entropy(*shares))
    other = torch.tensor(language[:, None] != language)
    assert losses.score_distillation(q, p, frozen_q, frozen_p, 0.1, other).item() == pytest.approx(np.mean(kl))


def test_score_distillation_asks_for_scores_not_for_places():
    q, p = units(0), units(1)
    turn = torch.linalg.qr(rows(2, 6))[0]
    assert losses.score_distillation(q @ turn, p @ turn, q, p, 0.05).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("column", range(4))
def test_what_a_masked_duplicate_holds_changes_nothing(column: int):
    a, b, c = units(0), units(1), units(2)
    masked = torch.zeros(4, 4, dtype=torch.bool)
    masked[:, column] = True
    b2 = b.clone()
    b2[column] = -5.0
    others = [n for n in range(4) if n != column]
    positive = torch.tensor(others)
    first, second = (losses.info_nce(a[others], side, 0.05, masked[others], positive) for side in (b, b2))
    assert first.item() == second.item()
    first, second = (losses.score_distillation(a, side, c, side, 0.05, masked) for side in (b, b2))
    assert first.item() == second.item()


def test_temperature_limits_of_info_nce():
    a, b = units(0, 8), units(1, 8)
    excluded = torch.zeros(8, 8, dtype=torch.bool)
    excluded[:, :3] = True
    # all scores alike: ln of the candidates left; row n < 3 keeps its positive beside the five
    left = [6, 6, 6, 5, 5, 5, 5, 5]
    assert losses.info_nce(a, b, 1e9, excluded).item() == pytest.approx(np.log(left).mean())
    # the positive wins: nothing; else the distance to the winner over the temperature
    assert losses.info_nce(a, a, 1e-3).item() == pytest.approx(0, abs=1e-12)
    scores = a @ b.T
    gap = (scores.max(dim=1).values - scores.diagonal()).mean().item()
    assert losses.info_nce(a, b, 1e-6).item() * 1e-6 == pytest.approx(gap, rel=1e-4)


@pytest.mark.parametrize("excluded", [None, DUPLICATES], ids=["all", "masked"])
def test_gradients_equal_finite_differences(excluded: Tensor | None):
    a, b, c = (units(seed).requires_grad_() for seed in range(3))
    check = torch.autograd.gradcheck
    assert check(losses.sqrt_jsd, (a, b))
    assert check(lambda x, y: losses.info_nce(x, y, 0.2, excluded), (a, b))
    assert check(lambda x, y: losses.symmetric_info_nce(x, y, 0.2, excluded), (a, b))
    assert check(lambda x, y, z: losses.clear_kl(x, y, z, 0.2, excluded), (a, b, c))
    assert check(losses.distillation, (a, b))
    teacher = units(3), units(4)
    assert check(lambda x, y: losses.score_distillation(x, y, *teacher, 0.2, excluded), (a, b))
