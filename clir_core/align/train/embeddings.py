"""A batch's embeddings by side, and the global batch that a loss works on: the rows of all workers, with gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from clir_core.align.train.gathering import gathered, largest, workers
from clir_core.errors import AlignError


@dataclass(frozen=True)
class Embeddings:
    """One worker's batch, as pooled by the model and before it normalises them; every worker has as many rows.

    student and teacher hold [N, H] by side: q_en, p_en, p_x, q_x; those that a loss does not read may be left out.
    Without has_q_x_N every row has a q_x if there is a side q_x at all. Numbers of groups and languages: numbers().
    answers_P are the pairs() of all queries and passages that answer them, in this batch or not, alike on all workers.
    """

    student: Mapping[str, Tensor]
    group_N: Tensor
    query_group_N: Tensor
    lang_N: Tensor
    teacher: Mapping[str, Tensor] = field(default_factory=dict)
    answers_P: Tensor | None = None
    has_q_x_N: Tensor | None = None
    negatives_NKH: Tensor | None = None  # English passages that do not answer the row's own query
    has_negative_NK: Tensor | None = None


def numbers(names: Sequence[str]) -> Tensor:
    """Names as numbers, int64 [names], the same in every process: equal names, equal numbers."""
    digests = [blake2b(name.encode(), digest_size=8).digest() for name in names]
    return torch.tensor([int.from_bytes(digest, "big", signed=True) for digest in digests], dtype=torch.int64)


def pairs(query_groups: Tensor, groups: Tensor) -> Tensor:
    """A number for a query and a passage, from theirs, int64 of their common shape; overflow is meant."""
    return query_groups * 6_364_136_223_846_793_005 + groups


def spread(values_PH: Tensor, present: Tensor) -> Tensor:
    """Embeddings of the texts that are there in their places, [*present.shape, H], zeros elsewhere; with gradient."""
    whole = values_PH.new_zeros(*present.shape, values_PH.shape[1])
    whole[present] = values_PH
    return whole


@dataclass(frozen=True)
class GlobalBatch:
    """The rows of all workers, at least float32. `unit`, `teacher` and negatives are normalised."""

    raw: dict[str, Tensor]
    unit: dict[str, Tensor]
    teacher: dict[str, Tensor]
    same_passage_NN: Tensor
    related_NN: Tensor  # the passage of one answers the query of the other
    other_language_NN: Tensor
    row_N: Tensor  # 0, 1, 2, ...
    q_x_P: Tensor  # the rows that have a q_x
    negatives_KH: Tensor
    not_own_NK: Tensor


def global_batch(embeddings: Embeddings, student: frozenset[str], teacher: frozenset[str]) -> GlobalBatch:
    """Gather the sides that a loss reads, of all workers. AlignError where one is not there."""
    has_q_x_N = _checked(embeddings, student, teacher)
    raw, frozen = _gathered_sides(embeddings.student, student), _gathered_sides(embeddings.teacher, teacher)
    labels = [embeddings.group_N, embeddings.query_group_N, embeddings.lang_N, has_q_x_N.long()]
    group_N, query_group_N, lang_N, has_q_x_N = gathered(torch.stack(labels, dim=1)).unbind(dim=1)
    same_passage_NN = group_N[:, None] == group_N
    related_NN = same_passage_NN | (query_group_N[:, None] == query_group_N)
    if embeddings.answers_P is not None:
        answers_NN = torch.isin(pairs(query_group_N[:, None], group_N), embeddings.answers_P)
        related_NN = related_NN | answers_NN | answers_NN.T
    negatives_KH, not_own_NK = _gathered_negatives(embeddings)
    return GlobalBatch(
        raw=raw,
        unit={side: F.normalize(rows, dim=1) for side, rows in raw.items()},
        teacher={side: F.normalize(rows, dim=1) for side, rows in frozen.items()},
        same_passage_NN=same_passage_NN,
        related_NN=related_NN,
        other_language_NN=lang_N[:, None] != lang_N,
        row_N=torch.arange(len(group_N), device=group_N.device),
        q_x_P=has_q_x_N.nonzero()[:, 0],
        negatives_KH=negatives_KH,
        not_own_NK=not_own_NK,
    )


def _checked(embeddings: Embeddings, student: frozenset[str], teacher: frozenset[str]) -> Tensor:
    """Which rows have a q_x. Raises AlignError where a side is missing that a loss reads; q_x may be, of all rows."""
    has_q_x_N = embeddings.has_q_x_N
    if has_q_x_N is None:
        has_q_x_N = torch.full_like(embeddings.group_N, "q_x" in embeddings.student, dtype=torch.bool)
    may_miss = set() if has_q_x_N.any() else {"q_x"}
    for who, wanted, given in (("trained", student, embeddings.student), ("frozen", teacher, embeddings.teacher)):
        if missing := sorted(wanted - given.keys() - may_miss):
            raise AlignError(
                f"the loss reads the {who} model's {', '.join(missing)}, and the batch has {sorted(given) or 'none'}; "
                "embed every side that needs(loss) names"
            )
    return has_q_x_N


def _gathered_sides(sides: Mapping[str, Tensor], wanted: frozenset[str]) -> dict[str, Tensor]:
    """The wanted sides of all workers in one exchange; zeros where this worker has no q_x."""
    if not wanted:
        return {}
    names, like = sorted(wanted), next(iter(sides.values()))
    stacked = torch.stack([sides[name] if name in sides else torch.zeros_like(like) for name in names], dim=1)
    return dict(zip(names, gathered(_at_least_float32(stacked)).unbind(dim=1), strict=True))


def _gathered_negatives(embeddings: Embeddings) -> tuple[Tensor, Tensor]:
    """All rows' negatives as columns; and where one is not the row's own, or only fills a place."""
    like = next(iter(embeddings.student.values()))
    n_rows, own_NKH, present_NK = len(embeddings.group_N), embeddings.negatives_NKH, embeddings.has_negative_NK
    if own_NKH is None:
        own_NKH, present_NK = like.new_zeros(n_rows, 0, like.shape[1]), None
    if present_NK is None:
        present_NK = own_NKH.new_ones(own_NKH.shape[:2], dtype=torch.bool)
    most = largest(own_NKH.shape[1], like.device)
    # one exchange for both: the last channel says whether a negative is there; 0 where this worker has fewer
    whole = torch.cat([_at_least_float32(own_NKH), present_NK[:, :, None]], dim=2)
    whole = F.pad(whole, (0, 0, 0, most - own_NKH.shape[1]))
    whole = gathered(whole) if most else whole.new_zeros(n_rows * workers(), 0, whole.shape[2])
    row_N = torch.arange(len(whole), device=whole.device)
    not_own_NK = (row_N[:, None] != row_N.repeat_interleave(most)) | (whole[:, :, -1].flatten() == 0)
    return F.normalize(whole[:, :, :-1].flatten(0, 1), dim=1), not_own_NK


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
