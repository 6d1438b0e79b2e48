"""What stops an alignment run before anything is computed, and what its audits ask."""

import pytest

from clir_core.align.audits import audit_spec
from clir_core.align.data import TRIPLES
from clir_core.align.spec import AlignSpec, LossSpec, OptimiserSpec
from clir_core.align.train.checks import check_triples
from clir_core.errors import AlignError
from clir_core.measure.gate_spec import GateSpec


def triples(count: int, lang: str = "de", q_x: str | None = "frage"):
    """So many triples, each of a passage of its own."""
    rows = [
        {"triple_id": f"{lang}{i}", "group_id": f"g{i}", "query_group_id": f"q{i}", "lang": lang}
        | {"q_en": f"q {i}", "p_en": f"p {i}", "p_x": f"x {i}", "q_x": q_x and f"{q_x} {i}", "negatives": []}
        for i in range(count)
    ]
    return TRIPLES.empty_table().from_pylist(rows, TRIPLES)


def spec(loss: str = "infonce", held_out: float = 0.0) -> AlignSpec:
    return AlignSpec(loss=LossSpec.preset(loss), optimiser=OptimiserSpec(batch=8), held_out=held_out)  # type: ignore[arg-type]


def test_too_few_triples_for_a_batch() -> None:
    check_triples(triples(8), spec())
    with pytest.raises(AlignError, match="7 triples are fewer than a batch of 8"):
        check_triples(triples(7), spec())


def test_too_few_beside_those_held_out() -> None:
    check_triples(triples(16), spec(held_out=0.5))
    with pytest.raises(AlignError, match="5 of 10 triples are left beside those held out, fewer than a batch of 8"):
        check_triples(triples(10), spec(held_out=0.5))


def test_a_side_that_the_loss_needs_is_asked_of_every_language() -> None:
    import pyarrow as pa

    mixed = pa.concat_tables([triples(8), triples(8, "zh", None)])
    check_triples(mixed, spec("infonce"))
    check_triples(triples(8), spec("clear"))
    with pytest.raises(AlignError, match=r"demo#train: no triple in zh has a q_x, which the loss \(clear_forward"):
        check_triples(mixed, spec("clear"))


def test_the_audits_ask_for_all_languages_and_the_gates_cutoff() -> None:
    asked = audit_spec(AlignSpec(languages=("de",), seed=3, gate=GateSpec(metric="recall@5")), "m")
    assert (asked.model, asked.corpus, asked.languages, asked.seed) == ("m", "demo#test", (), 3)
    assert asked.cutoffs == (5, 10)
    assert {"mono", "multi"} <= set(asked.scenarios)
    for metric in ("complete@10", "acc@1", "max_at_r_norm"):
        assert audit_spec(AlignSpec(gate=GateSpec(metric=metric)), "m").cutoffs == (10,)
