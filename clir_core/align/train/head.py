"""The head: one linear layer behind the pooling in which the languages' means meet. Fitted, not trained.

An embedding says what a text means, and in which language it is written; the second part is nearly one constant vector
a language and kind of text, so it spans a few directions. The head takes these out, keeps the rest as it is, and adds
per language what makes the normalised means of translations equal: a language's mean cannot be subtracted, as nobody
tells the model the language, but it can be read off those directions. Same purpose as LIR (Yang et al. 2021) and
language-mean centring; theirs is a correction of stored vectors, this one is part of the checkpoint.

Where only the first dimensions are ranked (Matryoshka), it is fitted to these and mixes these alone: cut there, its
vectors are as fitted, and the dimensions behind stay as the checkpoint gives them.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from torch import Tensor, nn

from clir_core.align.train.parts import end_of_body, save
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import load_as_saved

_PAIRS = (("p_en", "p_x"), ("q_en", "q_x"))
# chosen on XQuAD's train articles: more mends the pools further and costs monolingual accuracy
SHRINK = 0.3
# of what is added: where languages hardly differ, their directions say little, and much of them would be noise
RIDGE = 1e-3
_ITERATIONS = 60
# for bare texts, all chosen on XQuAD's #dev, its languages el, es, ro and tr left out, and on half of GNOME's help
TEXTS_RIDGE = 0.2  # over the number of texts: of few, W would learn by heart what they say
KEPT = 0.2  # of what all languages of a kind share: none costs monolingual accuracy, all of it leaves hubs
Pairs = list[tuple[Tensor, Tensor]]


def fit_head(embeddings: Mapping[str, np.ndarray], langs: Sequence[str]) -> np.ndarray:
    """A matrix W_HH, float32, so that W e has no language. Deterministic.

    `embeddings` are of the triples' sides p_en, p_x, q_en and q_x, each [triples, H] and of length 1; rows without a
    q_x are zeros. `langs` is the language of each triple's X. As many directions are taken out as there are
    languages, and SHRINK of the direction that all texts share goes with them.
    """
    pairs = _translations(embeddings, np.asarray(langs))
    offsets_LH = torch.stack([x.mean(0) - en.mean(0) for en, x in pairs])
    directions = len(set(langs))
    spoken_KH = torch.linalg.svd(offsets_LH, full_matrices=False)[2][:directions]
    silent_HH = torch.eye(offsets_LH.shape[1], dtype=torch.float64) - spoken_KH.T @ spoken_KH
    mean_H = torch.stack([side.mean(0) for pair in pairs for side in pair]).mean(0)
    common_H = nn.functional.normalize(silent_HH @ mean_H, dim=0)
    kept_HH = silent_HH - SHRINK * torch.outer(common_H, common_H)
    return (kept_HH + _returned(pairs, kept_HH, spoken_KH) @ spoken_KH).float().numpy()


def fit_head_to_texts(vectors: Mapping[tuple[str, str], np.ndarray]) -> np.ndarray:
    """A matrix W_HH, float32, so that W e has no language: ridge regression, in closed form.

    `vectors` are of bare texts by kind and language, each [texts, H] and of length 1. What W takes out of a vector is
    predicted from the vector itself: the mean of its language and kind, but for KEPT of the mean that the kind's
    languages share. Every kind counts the same, and in it every language. Of a language that is not among them W takes
    out what its mean has of the directions in which the means of many languages differ.
    """
    means = {key: found_NH.astype(np.float64).mean(axis=0) for key, found_NH in sorted(vectors.items())}
    languages = Counter(kind for kind, _ in means)
    shared = {kind: sum(m_H for (of, _), m_H in means.items() if of == kind) / n for kind, n in languages.items()}
    size = len(next(iter(means.values())))
    ridge = TEXTS_RIDGE / sum(map(len, vectors.values()))
    seen_HH, taken_HH = ridge * np.eye(size), np.zeros((size, size))
    for (kind, lang), mean_H in means.items():
        weight = 1 / languages[kind] / len(languages)
        found_NH = vectors[kind, lang].astype(np.float64)
        seen_HH += weight / len(found_NH) * found_NH.T @ found_NH
        taken_HH += weight * np.outer(mean_H, mean_H - KEPT * shared[kind])
    return (np.eye(size) - np.linalg.solve(seen_HH, taken_HH).T).astype(np.float32)


def with_head(vectors_NH: np.ndarray, head_DD: np.ndarray) -> np.ndarray:
    """What the head makes of vectors: of their first D dimensions; the others stay."""
    size = len(head_DD)
    return np.concatenate([vectors_NH[:, :size] @ head_DD.T, vectors_NH[:, size:]], axis=1)


def save_with_head(checkpoint: Checkpoint, head_DD: np.ndarray, directory: Path) -> None:
    """Write the checkpoint with the head on its first D dimensions, an ordinary sentence-transformers directory."""
    model = load_as_saved(checkpoint, "cpu")
    weight_HH = torch.eye(_size(model))
    weight_HH[: len(head_DD), : len(head_DD)] = torch.from_numpy(head_DD)
    layer = Dense(*weight_HH.shape, bias=False, activation_function=nn.Identity(), init_weight=weight_HH)
    parts, at = list(model._modules.items()), end_of_body(model)
    name = next(name for n in count(1) if (name := f"head-{n}") not in model._modules)
    # not `insert`, which counts on parts that are named by their place
    model._modules = OrderedDict([*parts[:at], (name, layer.to(next(model.parameters()).dtype)), *parts[at:]])
    save(model, checkpoint, directory)


def _size(model: SentenceTransformer) -> int:
    """Of its vectors, before anything is cut off them."""
    with model.truncate_embeddings(None):
        return int(model.get_embedding_dimension() or 0)


def _translations(embeddings: Mapping[str, np.ndarray], langs: np.ndarray) -> Pairs:
    """Embeddings of the same texts in English and in X, a pair for every language and kind of text."""
    found = []
    for english, other in _PAIRS:
        for lang in sorted(set(langs)):
            rows = (langs == lang) & np.any(embeddings[other] != 0, axis=1)
            if rows.any():
                en_NH, x_NH = (torch.from_numpy(embeddings[side][rows]).double() for side in (english, other))
                found.append((en_NH, x_NH))
    return found


def _returned(pairs: Pairs, kept_HH: Tensor, spoken_KH: Tensor) -> Tensor:
    """What each direction adds, [H, K], for the means to be equal after normalisation: ridge regression by L-BFGS."""
    added_HK = torch.zeros(spoken_KH.shape[::-1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([added_HK], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def distance() -> Tensor:
        optimiser.zero_grad()
        head_HH = kept_HH + added_HK @ spoken_KH
        means = [[nn.functional.normalize(side @ head_HH.T).mean(0) for side in pair] for pair in pairs]
        apart = torch.stack([(en_H - x_H).square().sum() for en_H, x_H in means]).sum()
        total = apart + RIDGE * added_HK.square().sum()
        total.backward()
        return total

    optimiser.step(distance)
    return added_HK.detach()
