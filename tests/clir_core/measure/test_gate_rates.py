"""How often the gate errs and succeeds, in a few cells of tests/studies/gate.py; all of them stand in the docs."""

from math import sqrt

import numpy as np
import polars as pl
import pytest

from clir_core.measure.compare import compare
from clir_core.measure.gate import decide, outcome
from clir_core.measure.gate_spec import GateSpec
from tests.studies.gate import LEVEL, Design, changes, groups, is_cheap, lost, monolingual, rates

REPETITIONS = 120


def at_most(share: float) -> float:
    """What chance makes of it in so many repetitions, but for one time in 700."""
    return share + 3 * sqrt(share * (1 - share) / REPETITIONS)


@pytest.mark.parametrize("design", [Design(5, 432, 0.04), Design(12, 432, 0.08), Design(12, 72, 0.04)])
def test_a_checkpoint_that_lost_nothing_is_rejected_in_one_run_of_twenty_at_most(design: Design) -> None:
    found = rates(design, REPETITIONS, 7, (0.0, 0.01))
    # what is allowed, 0.010, is no loss either; nor is it excluded
    assert (found["rejected"] <= at_most(LEVEL)).all()
    assert (found["regressed"] <= at_most(LEVEL)).all()
    assert found["promoted"][1] <= at_most(LEVEL / 2)


def test_a_large_loss_is_found_and_a_small_cost_passes() -> None:
    found = rates(Design(5, 1190, 0.02), REPETITIONS // 2, 8, (0.0, 0.05))
    assert found["promoted"][0] > 0.6 and found["promoted"][1] == 0
    assert found["rejected"][1] > 0.9 and found["alone"][1] > 0.5


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.08])
def test_the_study_decides_as_the_gate_does(loss: float) -> None:
    """The same differences as two audits' tables."""
    random, design = np.random.default_rng(3), Design(3, 500, 0.02)
    languages, seen = ("en", "de", "zh"), set()
    for _ in range(4):
        group_Q = groups(random, design.questions)
        acc, ndcg = monolingual(random, design, group_Q, loss)
        better = changes(random, 4, group_Q, 0.3, 0.02)
        pools = {("mono", x, x): {"acc@1": acc[:, i], "ndcg@10": ndcg[:, i]} for i, x in enumerate(languages)}
        sides = [(query, x) for x in languages[1:] for query in (x, "en")]
        pools |= {("multi", *side): {"complete@10": better[:, i]} for i, side in enumerate(sides)}
        comparison = compare(*audits(pools, group_Q), dict.fromkeys(("acc@1", "ndcg@10", "complete@10"), "rate"))
        decision = decide(comparison, GateSpec())
        p = np.concatenate([lost(values, group_Q) for values in (acc, ndcg, better)])
        rejected = min(p) * len(p) < LEVEL
        passed = is_cheap((acc, ndcg), group_Q)
        assert decision.status == ("rejected" if rejected else "promoted" if passed else "candidate")
        assert (outcome(comparison, GateSpec()) == "regressed") == rejected
        seen.add(decision.status)
    assert ("rejected" in seen) == (loss == 0.08)


def audits(pools: dict[tuple[str, str, str], dict[str, np.ndarray]], group_Q: np.ndarray) -> list[pl.DataFrame]:
    """Before, where all is 0.5, and after."""
    n = len(group_Q)
    tables = [
        pl.DataFrame(
            {name: [value] * n for name, value in zip(("scenario", "query_lang", "lang"), pool, strict=True)}
            | {"query_id": [f"q{i:04}" for i in range(n)], "cluster": group_Q, "pool_size": [50] * n}
            | values
        ).cast({"cluster": pl.Int32, "pool_size": pl.Int32})
        for pool, values in pools.items()
    ]
    changed = pl.concat(tables, how="diagonal")
    metrics = pl.col("acc@1", "ndcg@10", "complete@10")
    return [changed.with_columns(metrics * 0 + 0.5), changed.with_columns(metrics + 0.5)]
