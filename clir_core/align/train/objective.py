"""From a batch's embeddings to one number: the weighted sum of losses that a LossSpec asks for.

Contrastive terms have the rows of all workers as negatives; gathering.py states the convention.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from clir_core.align.train import losses
from clir_core.align.train.embeddings import Embeddings, GlobalBatch, global_batch

if TYPE_CHECKING:
    from clir_core.align.spec import LossSpec


class Needs(NamedTuple):
    """Sides that a loss reads. Without one of `required` a term means nothing; rows may lack a q_x that is not.

    `negatives` says whether hard negatives change it.
    """

    student: frozenset[str]
    teacher: frozenset[str]
    required: frozenset[str]
    negatives: bool


def objective(embeddings: Embeddings, loss: "LossSpec") -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum over the whole batch of all workers, and each term's value, not weighted and without graph.

    A term of weight 0 is neither computed nor reported. NaN is returned, not raised.
    """
    need = needs(loss)
    # 16 bits keep three digits: too few for a cosine over a temperature of 0.05
    with torch.autocast(embeddings.group_N.device.type, enabled=False):
        batch = global_batch(embeddings, need.student, need.teacher)
        values = {name: TERMS[name].value(batch, loss) for name in loss.weights()}
        # the zeros keep every side in the graph, also where a term has no row to work on
        total = torch.stack([rows.sum() * 0 for rows in batch.raw.values()]).sum()
        for name, weight in loss.weights().items():
            total = total + weight * values[name]
    return total, {name: value.detach() for name, value in values.items()}


def needs(loss: "LossSpec") -> Needs:
    """Which sides have to be embedded for a loss, and which of them by the frozen model."""
    terms = [TERMS[name] for name in loss.weights()]
    return Needs(
        student=frozenset(side for term in terms for side in term.student),
        teacher=frozenset(side for term in terms for side in term.teacher),
        required=frozenset(side for term in terms for side in term.student if side != "q_x" or term.needs_q_x),
        negatives=any(term.negatives for term in terms),
    )


def _info_nce(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """The paper's: p_x finds q_en among the batch's English queries."""
    return losses.info_nce(batch.unit["p_x"], batch.unit["q_en"], loss.temperature, batch.related_NN)


def _jsd(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """The paper's: p_en against p_x, normalised or as pooled."""
    sides = batch.unit if loss.normalize else batch.raw
    return losses.sqrt_jsd(sides["p_en"], sides["p_x"])


def _passage_info_nce(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """p_x and p_en find each other."""
    return losses.symmetric_info_nce(batch.unit["p_x"], batch.unit["p_en"], loss.temperature, batch.same_passage_NN)


def _query_info_nce(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """Mean over the four directions q_en, q_x -> p_en, p_x, each against the passages of that side."""
    rows = {"q_en": batch.row_N, "q_x": batch.q_x_P}
    return _mean([_to_passages(batch, loss, q, p, rows[q]) for q in rows for p in ("p_en", "p_x") if len(rows[q])])


def _to_passages(batch: GlobalBatch, loss: "LossSpec", query: str, passage: str, rows_P: Tensor) -> Tensor:
    """InfoNCE of the queries in some rows over all passages of a side, and their own negatives where it is English."""
    candidates_MH, excluded_NM = batch.unit[passage], batch.related_NN
    if passage == "p_en":
        candidates_MH = torch.cat([candidates_MH, batch.negatives_KH])
        excluded_NM = torch.cat([excluded_NM, batch.not_own_NK], dim=1)
    return losses.info_nce(batch.unit[query][rows_P], candidates_MH, loss.temperature, excluded_NM[rows_P], rows_P)


def _clear_forward(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """q_en finds p_en."""
    return _to_passages(batch, loss, "q_en", "p_en", batch.row_N)


def _clear_backward(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """p_en finds q_x, in rows that have one."""
    rows_P = batch.q_x_P
    if not len(rows_P):
        return _nothing(batch)
    anchors_PH, candidates_PH = batch.unit["p_en"][rows_P], batch.unit["q_x"][rows_P]
    return losses.info_nce(anchors_PH, candidates_PH, loss.temperature, batch.related_NN[rows_P][:, rows_P])


def _clear_kl(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """Both directions of CLEAR share alike, over the rows that have a q_x."""
    rows_P = batch.q_x_P
    if not len(rows_P):
        return _nothing(batch)
    q_en_PH, q_x_PH, p_en_PH = (batch.unit[side][rows_P] for side in ("q_en", "q_x", "p_en"))
    return losses.clear_kl(q_en_PH, q_x_PH, p_en_PH, loss.temperature, batch.related_NN[rows_P][:, rows_P])


def _distill_passages(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """p_en and p_x stay at, and come to, the frozen model's p_en; mean of both."""
    return _mean([losses.distillation(batch.unit[side], batch.teacher["p_en"]) for side in ("p_en", "p_x")])


def _distill_queries(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """q_en, and q_x where there is one, to the frozen model's q_en; mean of both."""
    terms, rows_P = [losses.distillation(batch.unit["q_en"], batch.teacher["q_en"])], batch.q_x_P
    if len(rows_P):
        terms.append(losses.distillation(batch.unit["q_x"][rows_P], batch.teacher["q_en"][rows_P]))
    return _mean(terms)


def _distill_scores(batch: GlobalBatch, loss: "LossSpec") -> Tensor:
    """q_en over the batch's p_en, and q_x over those p_x that are in its language, share as by the frozen model."""
    unit, teacher, rows_P = batch.unit, batch.teacher, batch.q_x_P
    english = (unit["q_en"], unit["p_en"], teacher["q_en"], teacher["p_en"])
    terms = [losses.score_distillation(*english, loss.temperature)]
    if len(rows_P):
        own = (unit["q_x"][rows_P], unit["p_x"], teacher["q_x"][rows_P], teacher["p_x"])
        terms.append(losses.score_distillation(*own, loss.temperature, batch.other_language_NN[rows_P]))
    return _mean(terms)


def _mean(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).mean()


def _nothing(batch: GlobalBatch) -> Tensor:
    return torch.zeros((), device=batch.q_x_P.device)


class _Term(NamedTuple):
    value: Callable[[GlobalBatch, "LossSpec"], Tensor]
    student: tuple[str, ...]
    teacher: tuple[str, ...] = ()
    needs_q_x: bool = False
    negatives: bool = False


_ALL = ("q_en", "p_en", "p_x", "q_x")

TERMS: dict[str, _Term] = {
    "info_nce": _Term(_info_nce, ("p_x", "q_en")),
    "jsd": _Term(_jsd, ("p_en", "p_x")),
    "passage_info_nce": _Term(_passage_info_nce, ("p_en", "p_x")),
    "query_info_nce": _Term(_query_info_nce, _ALL, negatives=True),
    "clear_forward": _Term(_clear_forward, ("q_en", "p_en"), negatives=True),
    "clear_backward": _Term(_clear_backward, ("p_en", "q_x"), needs_q_x=True),
    "clear_kl": _Term(_clear_kl, ("q_en", "q_x", "p_en"), needs_q_x=True),
    "distill_passages": _Term(_distill_passages, ("p_en", "p_x"), ("p_en",)),
    "distill_queries": _Term(_distill_queries, ("q_en", "q_x"), ("q_en",)),
    "distill_scores": _Term(_distill_scores, _ALL, _ALL),
}
