"""Two processes with 8 rows each learn what one with 16 learns: same loss, same gradient after DDP's averaging."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch import multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from clir_core.align.spec import LossSpec
from clir_core.align.train.embeddings import Embeddings, numbers, spread
from clir_core.align.train.grad_cache import cached_step
from clir_core.align.train.objective import TERMS, objective

N, FEATURES, SEED = 16, 6, 3
# duplicates within a worker (1, 2), across workers (0, 8; 5, 12), and one question about two passages (3, 9)
GROUPS = [{2: 1, 8: 0, 12: 5}.get(n, n) for n in range(N)]
QUERY_GROUPS = [{9: 3}.get(n, n) for n in range(N)]
HAS_Q_X = {
    "some": [n % 3 != 1 for n in range(N)],
    "first worker": [n < 8 for n in range(N)],
    "none": [False] * N,
}
CASES: dict[str, tuple[dict[str, float], str]] = {
    **{name: ({name: 1.0}, "some") for name in TERMS},
    "everything": ({name: 0.5 + i for i, name in enumerate(TERMS)}, "some"),
    "q_x on one worker": (dict.fromkeys(TERMS, 1.0), "first worker"),
    "no q_x": (dict.fromkeys(TERMS, 1.0), "none"),
    "cached": (dict.fromkeys(TERMS, 1.0), "some"),
}


def model() -> nn.Module:
    torch.manual_seed(SEED)
    encoder = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    # as BERT's position numbers
    encoder.register_buffer("positions", torch.arange(4))
    return encoder


def step(case: str, encoder: nn.Module, rows: slice, no_sync: Callable[[], Any] | None = None) -> dict[str, Any]:
    """Loss, parts and gradients of these rows of the batch, all sides embedded by one model."""
    weights, which = CASES[case]
    generator = torch.Generator().manual_seed(SEED)
    texts = {
        side: torch.randn(N, FEATURES, generator=generator, dtype=torch.float64)[rows]
        for side in ("q_en", "p_en", "p_x", "q_x")
    }
    teacher = {side: torch.randn(N, 5, generator=generator, dtype=torch.float64)[rows] for side in texts}
    negatives = torch.randn(N, 2, 5, generator=generator, dtype=torch.float64)
    there = torch.ones(N, 2, dtype=torch.bool)
    there[8:] = False
    has_q_x = torch.tensor(HAS_Q_X[which])[rows]
    texts["q_x"] = texts["q_x"][has_q_x]
    if not has_q_x.any():
        del texts["q_x"], teacher["q_x"]

    def loss_of(embedded: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        if "q_x" in embedded:
            embedded = embedded | {"q_x": spread(embedded["q_x"], has_q_x)}
        batch = Embeddings(
            embedded,
            group_N=numbers([str(g) for g in GROUPS])[rows],
            query_group_N=numbers([str(g) for g in QUERY_GROUPS])[rows],
            lang_N=numbers([("zh", "de")[n % 2] for n in range(N)])[rows],
            teacher=teacher,
            has_q_x_N=has_q_x,
            # the second worker has none, and does not know that the first has
            negatives_NKH=None if rows == slice(8, 16) else negatives[rows],
            has_negative_NK=None if rows == slice(8, 16) else there[rows],
        )
        return objective(batch, LossSpec(**weights))

    encoder.zero_grad()
    if no_sync:
        chunks = [(side, {"x": part}) for side, x in texts.items() for part in x.split(3)]
        total, parts = cached_step(lambda features: encoder(features["x"]), chunks, loss_of, no_sync)
    else:
        total, parts = loss_of({side: encoder(x) for side, x in texts.items()})
        total.backward()
    gradients = {name.removeprefix("module."): weight.grad for name, weight in encoder.named_parameters()}
    return {"total": total.detach(), "parts": parts, "gradients": gradients}


def work(rank: int, directory: str) -> None:
    """One of two workers: every case, its result in a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{directory}/meeting", rank=rank, world_size=2)
    for case in CASES:
        # a worker without q_x has fewer forward passes: buffers exchanged at each of them would not meet
        encoder = DistributedDataParallel(model(), forward_sync_buffers=False)
        rows = slice(8 * rank, 8 * rank + 8)
        found = step(case, encoder, rows, encoder.no_sync if case == "cached" else None)
        torch.save(found, Path(directory) / f"{case}.{rank}")
    dist.barrier()
    # gloo's threads now and then abort a Python that shuts down (pytorch #179291, #190489)
    os._exit(0)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("workers")
    mp.spawn(work, (str(directory),), nprocs=2)
    return directory


@pytest.mark.parametrize("case", CASES)
def test_two_workers_learn_what_one_learns(two_workers: Path, case: str):
    alone = step(case, model(), slice(0, N))
    for rank in (0, 1):
        found = torch.load(two_workers / f"{case}.{rank}")
        torch.testing.assert_close(found, alone, rtol=1e-9, atol=1e-12)


def test_the_cases_can_tell_a_mistake():
    # without the duplicates across workers, or without the other worker's rows, the loss is another
    alone = step("everything", model(), slice(0, N))
    for rows in (slice(0, 8), slice(8, 16)):
        assert not torch.isclose(step("everything", model(), rows)["total"], alone["total"], rtol=1e-3)
    assert all(alone["parts"][name] > 0 for name in TERMS)
