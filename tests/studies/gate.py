"""How often the gate promotes and rejects, and a night calls a checkpoint regressed: the tables of docs/statistics.md.

Simulated paired differences whose truth is known, in languages that ask the same questions: a group holds 2 to 8
questions (5 on average), and an answer changes with those of its group in that language (two times in five), with its
question in all languages (one in five), or by itself. As many answers change as `flips` says, as many to the better as
to the worse where nothing is lost. ndcg@10 falls and rises by .37 to 1 where acc@1 does, and a little elsewhere.
    python tests/studies/gate.py [--repetitions 1000]
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from clir_core.audit.holm import LEVEL, holm
from clir_core.measure.evidence import loss_p
from clir_core.measure.interval import Means, clustered_means
from clir_core.measure.power import excludes

MARGIN = 0.01
LANGUAGES, QUESTIONS, FLIPS, LOSSES = (5, 12, 50), (72, 432, 1190, 5000), (0.02, 0.04, 0.08), (0.0, 0.01, 0.02, 0.05)
GAINED, FELL = 0.3, 0.02  # answers of the primary metric where it improves
GROUP_SHARE, QUESTION_SHARE = 0.4, 0.2
MOST_CELLS = 3 * 10**6  # of languages and questions in all repetitions of a row


@dataclass(frozen=True)
class Design:
    """Languages that ask the same questions, English one of them, and the share of answers that change."""

    languages: int
    questions: int
    flips: float


@dataclass(frozen=True)
class Seen:
    """What one pair of audits shows: p of a loss in each test, and what `decide` asks of the averages."""

    p: np.ndarray
    is_better: bool
    is_cheap: bool

    @property
    def is_rejected(self) -> bool:
        """As `evidence.gather` finds `lost`."""
        return min(holm(self.p.tolist())) < LEVEL


def groups(random: np.random.Generator, questions: int) -> np.ndarray:
    """The group of each question, [Q]."""
    size = random.integers(2, 9, questions)
    return np.repeat(np.arange(questions), size)[:questions]


def changes(random: np.random.Generator, columns: int, group_Q: np.ndarray, up: float, down: float) -> np.ndarray:
    """Paired differences of a rate, -1, 0 or 1, [Q, columns]."""
    shape = (len(group_Q), columns)
    source, itself = random.random((2, *shape), np.float32)
    of_group = random.random((group_Q[-1] + 1, columns), np.float32)[group_Q]
    of_question = random.random((len(group_Q), 1), np.float32)
    drawn = np.where(source < GROUP_SHARE + QUESTION_SHARE, of_question, itself)
    drawn = np.where(source < GROUP_SHARE, of_group, drawn)
    return (drawn > 1 - up).astype(float) - (drawn < down)


def monolingual(
    random: np.random.Generator, design: Design, group_Q: np.ndarray, loss: float
) -> tuple[np.ndarray, np.ndarray]:
    """Differences of acc@1 and of ndcg@10, [Q, languages]."""
    moved = max(design.flips, loss)
    acc = changes(random, design.languages, group_Q, (moved - loss) / 2, (moved + loss) / 2)
    elsewhere = changes(random, design.languages, group_Q, design.flips / 2, design.flips / 2)
    ndcg = np.where(acc != 0, acc * random.uniform(0.37, 1, acc.shape), 0.13 * elsewhere)
    return acc, ndcg


def average(values_QL: np.ndarray, group_Q: np.ndarray) -> Means:
    """As `Comparison.means` over several pools of as many queries."""
    return clustered_means(values_QL.reshape(-1, 1), np.repeat(group_Q, values_QL.shape[1]), -1.0, 1.0)


def lost(values_QM: np.ndarray, group_Q: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """One-sided p of a loss beyond the margin, [M]."""
    return loss_p(clustered_means(values_QM, group_Q, -1.0, 1.0), 1, margin)


def is_cheap(values: tuple[np.ndarray, np.ndarray], group_Q: np.ndarray) -> bool:
    """Whether a loss beyond the margin is excluded of both metrics, on average."""
    return all(bool(excludes(average(one, group_Q).interval()[0], MARGIN)[0]) for one in values)


def once(random: np.random.Generator, design: Design, losses: tuple[float, ...]) -> tuple[list[Seen], ...]:
    """Checkpoints that did not change, that gained and lost so much everywhere, and that lost it in one language alone.

    The first twice: with a primary metric that may lose as much as the margin, and with one that may lose nothing.
    """
    group_Q = groups(random, design.questions)
    sides = 2 * (design.languages - 1)
    still = changes(random, sides, group_Q, design.flips / 2, design.flips / 2)
    better = changes(random, sides, group_Q, GAINED, FELL)
    still_p, strict_p, better_p = lost(still, group_Q), lost(still, group_Q, 0.0), lost(better, group_Q)
    mean = average(better, group_Q)
    gained = bool(mean.p(0.0)[0] < LEVEL and mean.mean_M[0] > 0)
    everywhere, somewhere = [], []
    kept_p = np.zeros(0)
    for loss in losses:
        values = monolingual(random, design, group_Q, loss)
        p_2L = np.stack([lost(one, group_Q) for one in values])
        kept_p = p_2L if loss == losses[0] else kept_p
        everywhere.append(Seen(np.r_[better_p, p_2L.ravel()], gained, is_cheap(values, group_Q)))
        of_one = np.c_[p_2L[:, :1], kept_p[:, 1:]]
        somewhere.append(Seen(np.r_[better_p, of_one.ravel()], gained, False))
    unchanged = [Seen(np.r_[of_primary, kept_p.ravel()], False, False) for of_primary in (still_p, strict_p)]
    return unchanged, everywhere, somewhere


def rates(design: Design, repetitions: int, seed: int, losses: tuple[float, ...] = LOSSES) -> dict[str, np.ndarray]:
    """Shares of the repetitions: `regressed` [2] without change; `promoted`, `rejected` and `alone` for each loss.

    `alone` is rejected, where one language alone loses. losses[0] is 0.
    """
    random = np.random.default_rng([seed, design.languages, design.questions, round(1000 * design.flips)])
    counts: dict[str, list[list[bool]]] = {name: [] for name in ("regressed", "promoted", "rejected", "alone")}
    for _ in range(repetitions):
        unchanged, everywhere, somewhere = once(random, design, losses)
        counts["regressed"].append([seen.is_rejected for seen in unchanged])
        rejected = [seen.is_rejected for seen in everywhere]
        counts["rejected"].append(rejected)
        passed = [seen.is_better and seen.is_cheap for seen in everywhere]
        counts["promoted"].append([good and not bad for good, bad in zip(passed, rejected, strict=True)])
        counts["alone"].append([seen.is_rejected for seen in somewhere])
    return {name: np.mean(found, axis=0) for name, found in counts.items()}


def _row(asked: tuple[Design, int]) -> list[str]:
    design, repetitions = asked
    n = min(repetitions, max(60, MOST_CELLS // (design.languages * design.questions)))
    found = rates(design, n, 0)
    pairs = (f"{_percent(p)} / {_percent(r)}" for p, r in zip(found["promoted"], found["rejected"], strict=True))
    still, alone = ([_percent(share) for share in shares] for shares in (found["regressed"], found["alone"][1:]))
    return [f"{design.languages}, {design.questions:,}, {design.flips:g}", *still, *pairs, *alone, f"{n:,}"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if 100 * share == round(100 * share) else f"{100 * share:.1f}"


def rows(repetitions: int) -> Iterator[list[str]]:
    """A row for each design, as they are done."""
    designs = [(Design(*one), repetitions) for one in product(LANGUAGES, QUESTIONS, FLIPS)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(_row, designs):
            print(*row, sep=" | ", flush=True)
            yield row


def main() -> None:
    # beside this script
    from tables import put, table

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repetitions", type=int, default=1000)
    asked = options.parse_args()
    head = ["languages, questions, flips", "no change", "no change, strict", *(f"loss {loss:g}" for loss in LOSSES)]
    head += [*(f"{loss:g} in one" for loss in LOSSES[1:]), "repetitions"]
    put("rates of the gate", table(head, rows(asked.repetitions)))


if __name__ == "__main__":
    main()
