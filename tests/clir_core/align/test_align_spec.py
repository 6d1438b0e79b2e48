"""What an alignment run is asked: what its defaults are, what is refused, and what names its result."""

import json

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, CliApp, CliSubCommand, SettingsConfigDict

from clir_core.align import spec as spec_module
from clir_core.align.spec import PRESETS, AdapterSpec, AlignSpec, LossSpec, OptimiserSpec
from clir_core.measure.gate_spec import GateSpec


class Cli(BaseSettings):
    """As flows/cli.py builds it."""

    model_config = SettingsConfigDict(cli_kebab_case=True, cli_avoid_json=True)
    align: CliSubCommand[AlignSpec]


def given(*arguments: str) -> AlignSpec:
    return CliApp.run(Cli, cli_args=["align", *arguments], cli_exit_on_error=False).align


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_name_stands_for_its_weights(name: str) -> None:
    by_name, by_weights = AlignSpec(loss=name), AlignSpec(loss=LossSpec(**PRESETS[name]))
    assert by_name == by_weights and by_name.identity() == by_weights.identity()
    assert LossSpec.preset(name) == by_name.loss
    assert bool(by_name.loss.weights()) == (name != "none")


def test_presets_are_the_published_ones() -> None:
    assert LossSpec.preset("clear").weights() == {"clear_forward": 0.4, "clear_backward": 0.4, "clear_kl": 0.2}
    assert 1 / LossSpec.preset("clear").temperature == pytest.approx(20)
    assert LossSpec.preset("paper").weights() == {"info_nce": 1, "jsd": 1}
    assert AlignSpec().loss == LossSpec.preset("best")


def test_every_field_explains_itself() -> None:
    for name in ("LossSpec", "AdapterSpec", "OptimiserSpec", "GateSpec", "AlignSpec"):
        model: type[BaseModel] = getattr(spec_module, name)
        for field_name, field in model.model_fields.items():
            is_part = isinstance(field.default, BaseModel) and field_name != "loss"
            assert field.description or is_part, f"{name}.{field_name}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AlignSpec(head=False, loss={"jsd": 0}),
            "nothing to learn without a head and a loss; give one of info_nce, jsd",
        ),
        (lambda: LossSpec(info_nce=-1), "info_nce"),
        (lambda: LossSpec(info_nce=float("nan")), "info_nce"),
        (lambda: LossSpec(info_nce=float("inf")), "info_nce"),
        (lambda: LossSpec(info_nce=1, temperature=0), "temperature"),
        (lambda: AlignSpec(adapter="dora"), "adapter 'dora' is none that can be trained; write lora, or its settings"),
        (lambda: AlignSpec(adapter="lora", loss="none"), "without a loss no adapter is trained"),
        (
            lambda: AlignSpec(adapter="lora", optimiser={"embedding_rate_factor": 1}),
            "an adapter leaves the embedding matrix as it is",
        ),
        (lambda: AlignSpec(loss="bset"), "loss 'bset' is no preset; write none, paper, infonce"),
        (lambda: AlignSpec(loss="{"), "loss"),
        (lambda: OptimiserSpec(batch=1), "batch"),
        (lambda: OptimiserSpec(batch=32, micro_batch=12), "micro_batch 12 does not divide batch 32"),
        (lambda: OptimiserSpec(warmup=1.5), "warmup"),
        (lambda: OptimiserSpec(merge=-0.1), "merge"),
        (lambda: OptimiserSpec(learning_rate=0), "learning_rate"),
        (lambda: GateSpec(margin=2), "margin"),
        (lambda: GateSpec(scenario="multy"), "scenario"),
        (lambda: AlignSpec(workers=3), "3 workers cannot share batches of 32"),
        (lambda: AlignSpec(triples=20), "20 triples are fewer than a batch of 32"),
        (lambda: AlignSpec(batch=32), "batch"),
        (lambda: AlignSpec(base="vectors:/x"), "vectors:/x: has no weights of its own, so there is nothing to train"),
        (lambda: AlignSpec(base="http://h/v1#m"), "http://h/v1#m: has no weights of its own"),
        (lambda: AlignSpec(base="http://me:hush@h/v1#m"), "http://h: a login stands in the address"),
    ],
)
def test_what_cannot_be_run_is_refused(make, message: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){message}"):
        make()


@pytest.mark.parametrize("micro_batch", [0, 1, 8, 32])
def test_a_micro_batch_divides_the_batch(micro_batch: int) -> None:
    assert OptimiserSpec(batch=32, micro_batch=micro_batch).micro_batch == micro_batch


def test_the_identity_follows_what_can_change_a_figure() -> None:
    base = AlignSpec()
    same = [AlignSpec(out="x"), AlignSpec(workspace="w"), AlignSpec(runtime={"ray_address": "auto"})]
    assert {spec.identity() for spec in same} == {base.identity()}
    other = [
        AlignSpec(seed=1),
        AlignSpec(workers=2),
        AlignSpec(loss="paper"),
        AlignSpec(optimiser={"merge": 0.25}),
        AlignSpec(head=False),
        AlignSpec(gate={"margin": 0.02}),
        AlignSpec(allow_contamination=("*",)),
        AlignSpec(train="demo#fit"),
    ]
    assert len({spec.identity() for spec in [base, *other]}) == 1 + len(other)


def test_json_gives_the_same_spec_back() -> None:
    spec = AlignSpec(loss="clear", languages=("de", "zh"), workers=2, out="x")
    assert AlignSpec.model_validate_json(spec.model_dump_json()) == spec


def test_an_adapter_moves_faster_than_weights_would() -> None:
    assert AlignSpec().rate == 1e-5 and AlignSpec(adapter="lora").rate == pytest.approx(1e-4)
    assert AlignSpec().identity() != AlignSpec(adapter="lora").identity()


def test_a_command_line_gives_weights_or_a_preset() -> None:
    assert given().loss == LossSpec.preset("best")
    assert given("--loss", "paper").loss == LossSpec.preset("paper")
    assert given("--loss.info-nce", "2", "--loss.jsd", "1").loss.weights() == {"info_nce": 2, "jsd": 1}
    assert given("--loss", json.dumps({"jsd": 3})).loss.weights() == {"jsd": 3}
    assert given().adapter is None and given("--adapter", "lora").adapter == AdapterSpec()
    assert given("--adapter.rank", "8", "--adapter.layers", "q,v").adapter == AdapterSpec(rank=8, layers=("q", "v"))
    assert given("--adapter", json.dumps({"dropout": 0.1})).adapter == AdapterSpec(dropout=0.1)
    assert given("--optimiser.batch", "8", "--languages", "de,zh").languages == ("de", "zh")
