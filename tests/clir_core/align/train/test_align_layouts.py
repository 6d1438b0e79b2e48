"""Every layout of a checkpoint: trained as it reads, saved as it was, loaded by anybody to what it was judged by.

The truth is sentence-transformers' own `encode_query` and `encode_document`, and the base's own files.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from layouts_case import LAYOUTS, WORDS, H, made
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer

from clir_core.align.data import training_triples
from clir_core.align.result import Evaluated
from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.align.train.held_out import HeldOut, hold_out
from clir_core.align.train.judged import check_loaded, read_judged
from clir_core.align.train.kept import finished, kept
from clir_core.align.train.log import read
from clir_core.align.train.loop import Trainer
from clir_core.align.train.worker import work
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.model.encoder import load_encoder

QUERIES, PASSAGES = (
    ["Wo?", "Where do bees live?"],
    ["Im Stock.", "Some live alone, in the ground."],
)
ADAPTED = ("bert", "qwen3, left", "qwen3, chat", "gemma, three more layers", "modernbert", "t5", "matryoshka")
SHORT = OptimiserSpec(batch=8, micro_batch=4, learning_rate=3e-3, query_tokens=16, passage_tokens=24)
SPEC = AlignSpec(triples=24, languages=("de",), loss="distil", optimiser=SHORT)
# a base of which nothing is moved, so that its own vectors are what is looked for
HEAD = SPEC.model_copy(update={"loss": SPEC.loss.preset("none")})
LORA = AlignSpec.model_validate(SPEC.model_dump() | {"adapter": {"rank": 2}, "loss": "infonce"})


@pytest.fixture(scope="module")
def triples() -> tuple[pl.DataFrame, pl.DataFrame]:
    found = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("de",), SPEC.triples, 0)))
    return hold_out(found, 0.2, 0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The layout of this name, made once."""
    bases: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in bases:
            bases[name] = made(name, tmp_path_factory.mktemp("layouts"))
        return bases[name]

    return of


def resolved(path: Path, cache: Path, most: int = 48) -> Checkpoint:
    """As an audit reads it that is asked for no more than so many tokens, fewer than the checkpoint's own."""
    return resolve(str(path), EncodingSpec(max_tokens=most), cache, "float32")


def aligned(
    spec: AlignSpec, path: Path, triples: tuple[pl.DataFrame, pl.DataFrame], directory: Path
) -> tuple[Checkpoint, Path]:
    """What a run writes for this base, as it is found again, and the run's directory."""
    work(spec, resolved(path, directory / "cache"), *triples, directory)
    found = (finished(directory) or (kept(directory), None))[0]
    assert found
    return resolved(found, directory / "cache"), directory


def plainly(path: Path, dim: int | None = None) -> dict[str, np.ndarray]:
    """Vectors of both kinds by sentence-transformers alone, with length 1."""
    model = SentenceTransformer(str(path), device="cpu")
    return {
        "query": model.encode_query(QUERIES, normalize_embeddings=True, truncate_dim=dim),
        "document": model.encode_document(PASSAGES, normalize_embeddings=True, truncate_dim=dim),
    }


def ours(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    encoder = load_encoder(checkpoint.model_copy(update={"normalize": True}))
    return {kind: encoder.encode(texts, kind) for kind, texts in (("query", QUERIES), ("document", PASSAGES))}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for kind, vectors in one.items():
        np.testing.assert_allclose(vectors, other[kind], atol=2e-6)


def settings(path: Path) -> dict[str, object]:
    config = json.loads((path / "config_sentence_transformers.json").read_text("utf-8"))
    return {name: config.get(name) for name in ("default_prompt_name", "similarity_fn_name", "truncate_dim")}


def lengths(path: Path) -> list[tuple[int | None, ...]]:
    model = SentenceTransformer(str(path), device="cpu")
    return [
        (part.max_seq_length, part.query_length, part.document_length)
        for part in model.modules()
        if isinstance(part, Transformer)
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_written_is_what_was_judged_and_keeps_what_its_base_had(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], name: str, tmp_path: Path
) -> None:
    path = base(name)
    made, run = aligned(SPEC, path, triples, tmp_path)
    check_loaded(made, read_judged(run, made.path.name))
    same(plainly(made.path), ours(made))
    assert settings(made.path) == settings(path) and lengths(made.path) == lengths(path)
    before, after = (SentenceTransformer(str(one), device="cpu") for one in (path, made.path))
    checkpoint = resolved(path, tmp_path / "cache")
    used = {"query": checkpoint.query_prompt, "document": checkpoint.document_prompt}
    assert after.prompts == {**before.prompts, **used}
    # the layers before the head are the base's, the head is before what only gives vectors length 1
    kinds = [type(part) for part in before]
    at = len(kinds) - (kinds[-1] is Normalize)
    assert [type(part) for part in after] == [*kinds[:at], Dense, *kinds[at:]]


@pytest.mark.parametrize("name", LAYOUTS)
def test_training_reads_what_the_encoder_reads(base: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    path = base(name)
    checkpoint = resolved(path, tmp_path, 512)
    table = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("de",), 8, 0)))
    spec = AlignSpec(triples=8, loss="infonce", optimiser=OptimiserSpec(batch=8))
    trainer = Trainer(checkpoint, spec, table, {})
    model = SentenceTransformer(str(path), device="cpu", truncate_dim=trainer.model.model.truncate_dim)
    if any(prompt and not model.prompts["document"] for prompt in (checkpoint.document_prompt,)):
        model.prompts["document"] = checkpoint.document_prompt  # `corpus`, which we read and encode_document does not
    cosine = {"normalize_embeddings": checkpoint.normalize}
    np.testing.assert_allclose(trainer.embed(QUERIES, "query"), model.encode_query(QUERIES, **cosine), atol=2e-6)
    np.testing.assert_allclose(
        trainer.embed(PASSAGES, "document"), model.encode_document(PASSAGES, **cosine), atol=2e-6
    )


@pytest.mark.parametrize("name", ["t5", "modernbert", "gemma, three more layers", "router"])
def test_the_embedding_matrix_is_frozen_whatever_it_is_called(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], name: str, tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"loss": SPEC.loss.preset("infonce")})
    trainer = Trainer(resolved(base(name), tmp_path), spec, triples[0], {})
    before = {weight: value.clone() for weight, value in trainer.model.model.state_dict().items()}
    trainer.run_step()
    moved = {
        weight for weight, value in trainer.model.model.state_dict().items() if not torch.equal(value, before[weight])
    }
    matrices = {weight for weight, value in before.items() if value.shape == (WORDS, H)}
    assert matrices and moved and not matrices & moved


def test_a_head_on_a_matryoshka_checkpoint_is_of_the_dimensions_that_are_ranked(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    path = base("matryoshka")
    made, _ = aligned(HEAD, path, triples, tmp_path)
    head_HH = load_file(made.path / "2_Dense" / "model.safetensors")["linear.weight"].numpy()
    assert np.array_equal(head_HH[12:], np.eye(H)[12:]) and not head_HH[:12, 12:].any()
    assert not np.allclose(head_HH[:12, :12], np.eye(12), atol=1e-3)
    for kind, vectors in plainly(path, H).items():
        first_ND = vectors[:, :12] @ head_HH[:12, :12].T
        expected = first_ND / np.linalg.norm(first_ND, axis=1, keepdims=True)
        np.testing.assert_allclose(plainly(made.path)[kind], expected, atol=1e-5)


def test_a_head_is_fitted_to_what_is_not_trained(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    adapter, _ = aligned(LORA.model_copy(update={"head": False}), base("bert"), triples, tmp_path / "lora")
    with pytest.raises(AlignError, match="is an adapter, and neither it nor its base is trained from here"):
        aligned(SPEC, Path(adapter.ref), triples, tmp_path / "more")
    made, run = aligned(HEAD, Path(adapter.ref), triples, tmp_path / "head")
    check_loaded(made, read_judged(run, Path(made.ref).name))
    assert made.base == base("bert").resolve()


@pytest.mark.parametrize("name", ADAPTED)
def test_an_adapter_is_saved_without_its_base_and_found_with_it(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], name: str, tmp_path: Path
) -> None:
    path = base(name)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    made, run = aligned(LORA, path, triples, tmp_path)
    saved = Path(made.ref)
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before
    assert json.loads((saved / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"] == str(path)
    assert not (saved / "model.safetensors").exists() and not (saved / "config.json").exists()
    weights = load_file(saved / "adapter_model.safetensors")
    assert weights and all(".lora_" in weight for weight in weights)
    assert any(value.any() for weight, value in weights.items() if "lora_B" in weight)
    check_loaded(made, read_judged(run, saved.name))
    same(plainly(saved), ours(made))
    assert made.base == path.resolve() and settings(saved) == settings(path) and lengths(saved) == lengths(path)


def test_merging_makes_an_adapter_smaller(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    trainer = Trainer(resolved(base("bert"), tmp_path), LORA, triples[0], {})
    trainer.run_step()
    name = "0.model.encoder.layer.1.attention.self.query"
    layer = trainer.model.model.get_submodule(name)
    a, b = (getattr(layer, part)["default"].weight.detach().clone() for part in ("lora_A", "lora_B"))
    assert b.any()
    short = PASSAGES[:1]  # as long as training reads
    # W + share of (alpha / rank) B A, by hand, in place of the adapter
    whole = SentenceTransformer(str(base("bert")), device="cpu")
    with torch.no_grad():
        for place, part in trainer.model.model.named_modules():
            if hasattr(part, "lora_A"):
                added = part.lora_B["default"].weight @ part.lora_A["default"].weight
                whole.get_submodule(place).weight += (1 - SHORT.merge) * 32 / 2 * added
    with trainer.merged():
        np.testing.assert_allclose(trainer.embed(short, "document"), whole.encode_document(short), atol=1e-5)
        assert torch.equal(layer.lora_A["default"].weight, a)
    assert torch.equal(layer.lora_B["default"].weight, b)


def test_a_training_of_an_adapter_that_was_cut_off_ends_the_same(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    def trainer() -> Trainer:
        return Trainer(resolved(base("bert"), tmp_path), LORA, triples[0], {})

    undisturbed = trainer()
    for _ in range(undisturbed.steps):
        undisturbed.run_step()
    cut_off = trainer()
    cut_off.run_step()
    cut_off.save(tmp_path / "states")
    state = next((tmp_path / "states").iterdir())
    assert all(".lora_" in name for name in load_file(state / "state.safetensors") if name.startswith("model."))
    resumed = trainer()
    resumed.restore(state)
    for _ in range(undisturbed.steps - 1):
        resumed.run_step()
    assert undisturbed.steps == 2
    for name, weight in undisturbed.model.weights().items():
        assert torch.equal(weight, resumed.model.weights()[name])


def test_an_adapter_needs_one_transformer_at_the_front(base: Callable[[str], Path], tmp_path: Path) -> None:
    table = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("de",), 8, 0)))
    with pytest.raises(AlignError, match="its first part is Router, and an adapter's files name one transformer"):
        Trainer(resolved(base("router"), tmp_path), LORA, table, {})
    missing = AlignSpec.model_validate(LORA.model_dump() | {"adapter": {"layers": ["no_such_layer"]}})
    with pytest.raises(AlignError, match=r"no adapter can be added .*no_such_layer"):
        Trainer(resolved(base("bert"), tmp_path), missing, table, {})


def spoiled_weights(path: Path) -> None:
    file = path / "model.safetensors"
    save_file(
        {name: value + 0.01 * value.abs().max() for name, value in load_file(file).items()}, file, {"format": "pt"}
    )


def shorter(path: Path) -> None:
    file = path / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"model_max_length": 128}), "utf-8")


def other_prompt(path: Path) -> None:
    file = path / "config_sentence_transformers.json"
    config = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(config | {"prompts": {"query": "", "document": ""}}), "utf-8")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoiled_weights, "gives other vectors than the run was judged by: .* of its length apart for the query"),
        (other_prompt, "gives other vectors than the run was judged by"),
        (shorter, r"reads \[\(128, None, None\)\] tokens, and its base \[\(512, None, None\)\]"),
    ],
)
def test_a_checkpoint_that_gives_other_vectors_is_not_kept(
    base: Callable[[str], Path],
    triples: tuple[pl.DataFrame, pl.DataFrame],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    told: str,
) -> None:
    made, run = aligned(HEAD, base("bert"), triples, tmp_path)
    judged = read_judged(run, made.path.name)
    check_loaded(made, judged)
    spoil(made.path)
    with pytest.raises(AlignError, match=told):
        check_loaded(resolved(made.path, tmp_path / "cache"), judged)


def test_a_base_is_measured_though_no_step_is_made(
    base: Callable[[str], Path], triples: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    path = base("router")
    aligned(HEAD, path, triples, tmp_path)
    model = SentenceTransformer(str(path), device="cpu")
    for kind, most in (("query", SHORT.query_tokens), ("document", SHORT.passage_tokens)):
        model[0].sub_modules[kind][0].max_seq_length = most

    def embed(texts: list[str], kind: str) -> torch.Tensor:
        by_kind = model.encode_query if kind == "query" else model.encode_document
        return torch.from_numpy(by_kind(list(texts)))

    (found,) = read(tmp_path, Evaluated)
    figures = HeldOut(triples[1]).measure(embed)  # type: ignore[arg-type]
    assert (found.max_at_r_norm, found.mono_acc) == (pytest.approx(figures.max_at_r_norm), figures.mono_acc)
