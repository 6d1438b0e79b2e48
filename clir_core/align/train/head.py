"""The head: one linear layer behind the pooling in which the languages' means meet. Fitted, not trained.

An embedding says what a text means, and in which language it is written; the second part is nearly one constant vector
a language and kind of text, so it spans a few directions. The head takes these out, keeps the rest as it is, and adds
per language what makes the normalised means of translations equal: a language's mean cannot be subtracted, as nobody
tells the model the language, but it can be read off those directions. Same purpose as LIR (Yang et al. 2021) and
language-mean centring; theirs is a correction of stored vectors, this one is part of the checkpoint.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers.base.modules import Dense, Normalize
from torch import Tensor, nn

from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import load

_PAIRS = (("p_en", "p_x"), ("q_en", "q_x"))
# chosen on XQuAD's train articles: more mends the pools further and costs monolingual accuracy
SHRINK = 0.3
# of what is added: where languages hardly differ, their directions say little, and much of them would be noise
RIDGE = 1e-3
_ITERATIONS = 60
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


def save_with_head(checkpoint: Checkpoint, head_HH: np.ndarray, directory: Path) -> None:
    """Write the checkpoint with the head behind its pooling, an ordinary sentence-transformers directory."""
    model = load(checkpoint, "cpu")
    size = len(head_HH)
    layer = Dense(size, size, bias=False, activation_function=nn.Identity(), init_weight=torch.from_numpy(head_HH))
    modules = list(model)
    before = next((i for i, module in enumerate(modules) if isinstance(module, Normalize)), len(modules))
    model.insert(before, layer.to(next(model.parameters()).dtype))
    model.prompts = {"query": checkpoint.query_prompt, "document": checkpoint.document_prompt}
    model.save_pretrained(str(directory), create_model_card=False)


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
