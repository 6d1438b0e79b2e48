"""Losses of alignment: pure functions of embeddings, one number each; lower is better, 0 the least.

One row a triple, float [N, H]. Scores are dot products over a temperature: cosines where embeddings are normalised.
`excluded` is True where a column is no negative of a row, for instance a duplicate of its positive; a row's own
positive always counts.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def sqrt_jsd(a_NH: Tensor, b_NH: Tensor) -> Tensor:
    """Mean of sqrt(JSD(softmax(a) || softmax(b))), softmax over the dimensions, natural log (Hong et al. 2026).

    JSD(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2; at most ln 2. Rows that agree to 1e-7 count as
    equal: they give 0 and no gradient, where the root's slope would be infinite.
    """
    # float32 errs by 2e-8 in the sum, a root of 1e-4: unit vectors of 384 dimensions at distance 0.01 differ by 2e-4
    log_a, log_b = F.log_softmax(a_NH.double(), dim=1), F.log_softmax(b_NH.double(), dim=1)
    log_mean = torch.logaddexp(log_a, log_b) - math.log(2)
    jsd_N = (divergence(log_a, log_mean) + divergence(log_b, log_mean)) / 2
    equal = jsd_N < 1e-14
    # the inner `where` keeps the infinite slope out of the gradient; the outer one alone would give 0 * inf
    root_N = torch.where(equal, torch.ones_like(jsd_N), jsd_N).sqrt()
    return torch.where(equal, torch.zeros_like(jsd_N), root_N).mean().to(a_NH.dtype)


def info_nce(
    anchors_NH: Tensor,
    candidates_MH: Tensor,
    temperature: float,
    excluded_NM: Tensor | None = None,
    positive_N: Tensor | None = None,
) -> Tensor:
    """InfoNCE (van den Oord et al. 2018): mean over rows of -log(exp(s_n+ / t) / sum over m of exp(s_nm / t)).

    Row n's positive is column positive_N[n] (n, when None); all columns that are not excluded are its negatives.
    """
    if positive_N is None:
        positive_N = torch.arange(len(anchors_NH), device=anchors_NH.device)
    log_share_NM = log_shares(anchors_NH, candidates_MH, temperature, sparing_positives(excluded_NM, positive_N))
    return -log_share_NM.gather(1, positive_N[:, None]).mean()


def symmetric_info_nce(a_NH: Tensor, b_NH: Tensor, temperature: float, excluded_NN: Tensor | None = None) -> Tensor:
    """(InfoNCE(a -> b) + InfoNCE(b -> a)) / 2, as in CLIP (Radford et al. 2021)."""
    turned_NN = None if excluded_NN is None else excluded_NN.T
    return (info_nce(a_NH, b_NH, temperature, excluded_NN) + info_nce(b_NH, a_NH, temperature, turned_NN)) / 2


def clear_kl(
    q_en_NH: Tensor, q_x_NH: Tensor, p_en_NH: Tensor, temperature: float, excluded_NN: Tensor | None = None
) -> Tensor:
    """Third part of CLEAR (Lee et al. 2026, arXiv 2604.05821): mean of KL(backward || forward) over rows.

    CLEAR = 0.4 forward + 0.4 backward + 0.2 KL at scale 20 (temperature 0.05), as in the authors' code
    (dltmddbs100/CLEAR, loss.py). Forward is InfoNCE q_en -> p_en; backward is the reverse into the other language,
    InfoNCE p_en -> q_x, so that the English passage is the bridge; the KL compares row n's shares over the batch in
    both, and gradients flow through both. Their mined negatives are left out: the batch's other rows remain.
    """
    forward_NN = log_shares(q_en_NH, p_en_NH, temperature, sparing_positives(excluded_NN))
    backward_NN = log_shares(p_en_NH, q_x_NH, temperature, sparing_positives(excluded_NN))
    return divergence(backward_NN, forward_NN).mean()


def distillation(student_NH: Tensor, teacher_NH: Tensor) -> Tensor:
    """Mean squared distance to the frozen English side (Reimers and Gurevych 2020), |s - t|^2, mean over rows.

    Summed over dimensions, where they average: on unit vectors it is 2 - 2 cos, whatever H is.
    """
    return (student_NH - teacher_NH).square().sum(dim=1).mean()


def score_distillation(
    queries_NH: Tensor,
    passages_MH: Tensor,
    teacher_queries_NH: Tensor,
    teacher_passages_MH: Tensor,
    temperature: float,
    excluded_NM: Tensor | None = None,
) -> Tensor:
    """Mean of KL(teacher || student) of a query's shares over the batch's passages (Hinton et al. 2015, on scores).

    The frozen model's own ranking is the target, so a model that ranks as before pays nothing, wherever it moved to.
    """
    student_NM = log_shares(queries_NH, passages_MH, temperature, excluded_NM)
    teacher_NM = log_shares(teacher_queries_NH, teacher_passages_MH, temperature, excluded_NM)
    return divergence(teacher_NM, student_NM).mean()


def log_shares(queries_NH: Tensor, candidates_MH: Tensor, temperature: float, excluded_NM: Tensor | None) -> Tensor:
    """log softmax over candidates of score / temperature, [N, M]; -inf where excluded."""
    scores_NM = queries_NH @ candidates_MH.T / temperature
    return F.log_softmax(scores_NM if excluded_NM is None else scores_NM.masked_fill(excluded_NM, -torch.inf), dim=1)


def divergence(log_p_NM: Tensor, log_q_NM: Tensor) -> Tensor:
    """KL(p || q) = sum over m of p (log p - log q), per row, [N] (Kullback and Leibler 1951).

    Columns where p is 0 give 0, also where q is 0 too.
    """
    nothing = log_p_NM == -torch.inf
    return (log_p_NM.exp() * (log_p_NM.masked_fill(nothing, 0) - log_q_NM.masked_fill(nothing, 0))).sum(dim=1)


def sparing_positives(excluded_NM: Tensor | None, positive_N: Tensor | None = None) -> Tensor | None:
    """The same exclusions without the rows' own positives (column n, when positive_N is None)."""
    if excluded_NM is None:
        return None
    if positive_N is None:
        positive_N = torch.arange(len(excluded_NM), device=excluded_NM.device)
    return excluded_NM.scatter(1, positive_N[:, None], False)
