"""The weighted sum, and what each term makes of a batch, against the losses and SciPy row by row."""

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from clir_core.align.spec import LossSpec, PresetName
from clir_core.align.train import losses
from clir_core.align.train.embeddings import Embeddings, numbers, pairs, spread
from clir_core.align.train.objective import TERMS, needs, objective
from clir_core.errors import AlignError

SIDES = ("q_en", "p_en", "p_x", "q_x")
# rows 0 and 2 ask about one passage; rows 1 and 4 are one question about two
GROUPS = ["a", "b", "a", "c", "d", "e"]
QUERY_GROUPS = ["q", "r", "s", "t", "r", "u"]
LANGS = ["zh", "zh", "de", "de", "zh", "de"]


def sides(seed: int, names: tuple[str, ...] = SIDES, n: int = 6, dim: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, dim, generator=generator, dtype=torch.float64, requires_grad=True) for name in names}


def batch(**changes: Any) -> Embeddings:
    whole = Embeddings(sides(0), numbers(GROUPS), numbers(QUERY_GROUPS), numbers(LANGS), teacher=sides(1))
    return dataclasses.replace(whole, **changes)


def part(name: str, embeddings: Embeddings, **settings: Any) -> float:
    # mild enough for every candidate to count, so that a wrong mask shows
    return objective(embeddings, LossSpec(**{name: 1.0, "temperature": 0.5}, **settings))[1][name].item()


def cosines(a: Tensor, b: Tensor) -> np.ndarray:
    return (F.normalize(a.detach(), dim=1) @ F.normalize(b.detach(), dim=1).T).numpy()


def related() -> np.ndarray:
    groups, queries = np.array(GROUPS), np.array(QUERY_GROUPS)
    return (groups[:, None] == groups) | (queries[:, None] == queries)


def info_nce(scores: np.ndarray, masked: np.ndarray, temperature: float = 0.5) -> list[float]:
    """Per row; the positive is column n."""
    kept = ~masked | np.eye(*masked.shape, dtype=bool)
    return [logsumexp(scores[n][kept[n]] / temperature) - scores[n, n] / temperature for n in range(len(scores))]


def same_language() -> np.ndarray:
    return np.array(LANGS)[:, None] == np.array(LANGS)


def score_divergences(query: str, passage: str, kept: np.ndarray) -> list[float]:
    """KL(teacher || student) of each query's shares over the passages that are kept."""
    frozen, trained = (2 * cosines(side[query], side[passage]) for side in (batch().teacher, batch().student))
    return [entropy(softmax(frozen[n][kept[n]]), softmax(trained[n][kept[n]])) for n in range(len(kept))]


def test_weights_add_up():
    weights = {name: 0.5 + i for i, name in enumerate(TERMS)}
    total, parts = objective(batch(), LossSpec(**weights, temperature=0.5))
    assert parts.keys() == weights.keys()
    assert total.item() == pytest.approx(sum(weight * parts[name].item() for name, weight in weights.items()))
    assert not any(value.requires_grad for value in parts.values())
    alone = {name: part(name, batch()) for name in weights}
    assert alone == pytest.approx({name: value.item() for name, value in parts.items()})


def test_gradients_add_up_too():
    embeddings = batch()
    gradients = []
    for weights in ({"jsd": 2.0}, {"info_nce": 3.0}, {"jsd": 2.0, "info_nce": 3.0}):
        total, _ = objective(embeddings, LossSpec(**weights))
        gradients.append(torch.autograd.grad(total, embeddings.student["p_x"])[0])
    torch.testing.assert_close(gradients[0] + gradients[1], gradients[2])


def test_every_weight_of_a_spec_is_a_term():
    assert set(TERMS) == set(LossSpec.model_fields) - {"temperature", "normalize"}


@pytest.mark.parametrize("name", sorted(set(get_args(PresetName)) - {"none"}))
def test_a_preset_reads_no_more_than_it_says(name: str):
    loss = LossSpec.preset(name)
    need = needs(loss)
    only = batch(student=sides(0, tuple(need.student)), teacher=sides(1, tuple(need.teacher)))
    total, parts = objective(only, loss)
    assert total.isfinite() and set(parts) == set(loss.weights())
    gradients = torch.autograd.grad(total, list(only.student.values()))
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_what_is_read_and_what_is_required():
    assert needs(LossSpec(info_nce=1))[:3] == ({"p_x", "q_en"}, frozenset(), {"p_x", "q_en"})
    assert needs(LossSpec(distill_queries=1))[:3] == ({"q_en", "q_x"}, {"q_en"}, {"q_en"})
    assert needs(LossSpec(clear_kl=1)).required == {"q_en", "p_en", "q_x"}


def test_a_missing_side_is_named():
    with pytest.raises(AlignError, match=r"trained model's p_en, and the batch has \['p_x', 'q_en'\]"):
        objective(batch(student=sides(0, ("q_en", "p_x"))), LossSpec(jsd=1))
    with pytest.raises(AlignError, match=r"frozen model's p_en, and the batch has none"):
        objective(batch(teacher={}), LossSpec(distill_passages=1))
    # the rows have a q_x, so its target has to be there
    with pytest.raises(AlignError, match="frozen model's q_x"):
        objective(batch(teacher=sides(1, ("q_en", "p_en", "p_x"))), LossSpec(distill_scores=1))


def test_info_nce_and_passage_info_nce_mask_different_duplicates():
    student = batch().student
    expected = np.mean(info_nce(cosines(student["p_x"], student["q_en"]), related()))
    assert part("info_nce", batch()) == pytest.approx(expected)
    # one question about two passages is no reason that they were translations of each other
    same = np.array(GROUPS)[:, None] == np.array(GROUPS)
    both = [info_nce(cosines(student[a], student[b]), same) for a, b in (("p_x", "p_en"), ("p_en", "p_x"))]
    assert part("passage_info_nce", batch()) == pytest.approx(np.mean(both))


def test_a_passage_that_answers_elsewhere_is_no_negative():
    # by a triple of another batch, e, row 5's passage, answers t, row 3's query, as well
    student = sides(0)
    answers = pairs(numbers([*QUERY_GROUPS, "t"]), numbers([*GROUPS, "e"]))
    masked = related()
    masked[3, 5] = masked[5, 3] = True
    expected = np.mean(info_nce(cosines(student["p_x"], student["q_en"]), masked))
    assert part("info_nce", batch(student=student, answers_P=answers)) == pytest.approx(expected)
    assert part("info_nce", batch(student=student)) != pytest.approx(expected)


def test_query_info_nce_goes_in_four_directions():
    student = batch().student
    directions = [
        np.mean(info_nce(cosines(student[q], student[p]), related())) for q in ("q_en", "q_x") for p in ("p_en", "p_x")
    ]
    assert part("query_info_nce", batch()) == pytest.approx(np.mean(directions))


def test_clear_is_as_its_authors_wrote_it():
    student = batch().student
    forward, backward = (
        np.where(related() & ~np.eye(6, dtype=bool), -np.inf, 2 * cosines(student[a], student[b]))
        for a, b in (("q_en", "p_en"), ("p_en", "q_x"))
    )
    assert part("clear_forward", batch()) == pytest.approx(-np.log(softmax(forward, axis=1).diagonal()).mean())
    assert part("clear_backward", batch()) == pytest.approx(-np.log(softmax(backward, axis=1).diagonal()).mean())
    kl = entropy(softmax(backward, axis=1), softmax(forward, axis=1), axis=1).mean()
    assert part("clear_kl", batch()) == pytest.approx(kl)


def test_score_distillation_compares_queries_with_passages_of_their_language():
    english = np.mean(score_divergences("q_en", "p_en", np.ones((6, 6), bool)))
    other = np.mean(score_divergences("q_x", "p_x", same_language()))
    assert part("distill_scores", batch()) == pytest.approx((english + other) / 2)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    student = sides(0)
    aligned = {"q_en": student["q_en"], "q_x": student["q_en"], "p_en": student["p_en"], "p_x": student["p_en"]}
    same = batch(student=aligned, teacher=aligned)
    for name in ("jsd", "distill_passages", "distill_queries", "distill_scores"):
        assert part(name, same) == pytest.approx(0, abs=1e-12)


def test_only_raw_jsd_feels_length():
    student = sides(0)
    longer = batch(student={name: 3 * side for name, side in student.items()})
    for name in TERMS:
        assert part(name, longer) == pytest.approx(part(name, batch()))
    raw = part("jsd", longer, normalize=False)
    assert raw == pytest.approx(losses.sqrt_jsd(3 * student["p_en"], 3 * student["p_x"]).item())
    assert raw != pytest.approx(part("jsd", batch(), normalize=False))


@pytest.mark.parametrize("name", ["query_info_nce", "clear_backward", "clear_kl", "distill_queries", "distill_scores"])
def test_rows_without_q_x_are_as_if_nothing_stood_there(name: str):
    has = torch.tensor([True, False, True, True, False, True])
    values = []
    for filler in (0.0, 7.0):
        student = sides(0)
        student["q_x"] = student["q_x"].detach().masked_fill(~has[:, None], filler).requires_grad_()
        total, parts = objective(batch(student=student, has_q_x_N=has), LossSpec(**{name: 1}))
        gradient = torch.autograd.grad(total, student["q_x"])[0]
        assert gradient.isfinite().all() and gradient[has].any() and not gradient[~has].any()
        values.append(parts[name].item())
    assert values[0] == values[1]


def test_rows_with_q_x_keep_their_own_positives_masks_and_targets():
    has = torch.tensor([False, True, True, False, True, True])
    there, student, some = has.nonzero()[:, 0].numpy(), batch().student, batch(has_q_x_N=has)
    directions = [np.mean(info_nce(cosines(student["q_en"], student[p]), related())) for p in ("p_en", "p_x")]
    # every passage is a candidate, also of a row whose q_x is missing
    directions += [
        np.mean([info_nce(cosines(student["q_x"], student[p]), related())[n] for n in there]) for p in ("p_en", "p_x")
    ]
    assert part("query_info_nce", some) == pytest.approx(np.mean(directions))
    target = batch().teacher["q_en"]
    english, other = (2 - 2 * cosines(student[q], target).diagonal() for q in ("q_en", "q_x"))
    assert part("distill_queries", some) == pytest.approx((english.mean() + other[there].mean()) / 2)
    backward = info_nce(cosines(student["p_en"], student["q_x"])[np.ix_(there, there)], related()[np.ix_(there, there)])
    assert part("clear_backward", some) == pytest.approx(np.mean(backward))
    english = score_divergences("q_en", "p_en", np.ones((6, 6), bool))
    other = np.array(score_divergences("q_x", "p_x", same_language()))[there]
    assert part("distill_scores", some) == pytest.approx((np.mean(english) + np.mean(other)) / 2)


def test_a_batch_without_any_q_x():
    without = batch(student=sides(0, ("q_en", "p_en", "p_x")), teacher=sides(1, ("q_en", "p_en", "p_x")))
    total, parts = objective(without, LossSpec(**dict.fromkeys(TERMS, 1.0), temperature=0.5))
    total.backward()
    assert parts["clear_backward"] == 0 and parts["clear_kl"] == 0
    student = without.student
    expected = [np.mean(info_nce(cosines(student["q_en"], student[p]), related())) for p in ("p_en", "p_x")]
    assert parts["query_info_nce"].item() == pytest.approx(np.mean(expected))


def test_hard_negatives_are_those_of_the_own_row():
    student = batch().student
    negatives = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    there = torch.tensor([[True, True], [True, False], [False, False]] * 2)
    expected = []
    for n, plain in enumerate(info_nce(cosines(student["q_en"], student["p_en"]), related())):
        # ln(sum e^a) with more summands; the positive's score is the same
        positive = cosines(student["q_en"], student["p_en"])[n, n] / 0.5
        own = cosines(student["q_en"], negatives[n])[n][there[n]] / 0.5
        expected.append(logsumexp([plain + positive, *own]) - positive)
    assert part("clear_forward", batch(negatives_NKH=negatives, has_negative_NK=there)) == pytest.approx(
        np.mean(expected)
    )
    # where the candidates are queries there is no place for them
    assert part("info_nce", batch(negatives_NKH=negatives)) == part("info_nce", batch())


def test_16_bits_are_widened_before_scores_are_taken():
    short = {name: side.detach().bfloat16() for name, side in sides(0).items()}
    wide = {name: side.float() for name, side in short.items()}
    loss = LossSpec(info_nce=1, jsd=1)
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = objective(batch(student=short), loss)
    assert total.dtype == torch.float32
    assert total.item() == objective(batch(student=wide), loss)[0].item()


def test_nan_is_handed_on():
    student = sides(0)
    student["q_en"] = student["q_en"].detach().index_fill(0, torch.tensor([2]), torch.nan)
    total, parts = objective(batch(student=student), LossSpec(info_nce=1, jsd=1))
    assert total.isnan() and parts["info_nce"].isnan() and parts["jsd"].isfinite()


def test_names_have_the_same_number_in_every_process():
    # printf zh | b2sum -l 64, read as a signed number
    assert numbers(["zh", "de", "zh"]).tolist() == [-1104851454266326237, -561103414247739526, -1104851454266326237]


def test_spread_puts_rows_in_their_places():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    whole = spread(values, torch.tensor([[True, False], [False, True]]))
    assert whole.tolist() == [[[1, 2], [0, 0]], [[0, 0], [3, 4]]]
    whole[1, 1, 0].backward()
    assert values.grad is not None and values.grad.tolist() == [[0, 0], [1, 0]]
