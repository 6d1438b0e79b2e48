"""What an alignment run is asked: AlignSpec and its parts. A loss is weights of terms: any sum is a spec."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, from_json
from pydantic_settings import NoDecode

from clir_core.audit.spec import RuntimeSpec
from clir_core.corpus.lang import Lang
from clir_core.corpus.pivot import ENGLISH
from clir_core.corpus.reading import ReadingSpec
from clir_core.measure.gate_spec import GateSpec, Share
from clir_core.model import served, vectors_ref
from clir_core.model.checkpoint import BUNDLED, EncodingSpec
from clir_core.model.served import ModelRef
from clir_core.spec import WORKSPACE, Place, Spec, sha256_of

LORA = "lora"
PresetName = Literal["none", "paper", "infonce", "passage", "jsd", "clear", "distil", "best"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _from_text(value: Any, known: Mapping[str, Mapping[str, Any]], problem: str) -> Any:
    """A spec's fields: as they are, as JSON from a command line, or those that a known name stands for."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return from_json(value)
    if value not in known:
        raise ValueError(problem)
    return dict(known[value])


class LossSpec(Spec):
    """A weighted sum of losses; weight 0 leaves a term out, and without any term no weight of the base is moved.

    A preset's name stands for its weights.
    """

    temperature: Positive = Field(0.05, description="Scores are divided by it; CLEAR's scale 20 is 0.05")
    normalize: bool = Field(True, description="JSD compares embeddings of length 1; otherwise as pooling gives them")
    info_nce: Weight = Field(0.0, title="InfoNCE", description="InfoNCE from p_x to q_en: the paper's contrastive term")
    jsd: Weight = Field(
        0.0, title="JSD", description="Root of the Jensen-Shannon divergence of p_en and p_x: the paper's other term"
    )
    passage_info_nce: Weight = Field(
        0.0, title="Passage InfoNCE", description="InfoNCE between p_x and p_en, both ways"
    )
    query_info_nce: Weight = Field(
        0.0, title="Query InfoNCE", description="InfoNCE in every direction: queries to passages within and across"
    )
    clear_forward: Weight = Field(0.0, title="CLEAR forward", description="CLEAR (arXiv 2604.05821), forward term")
    clear_backward: Weight = Field(0.0, title="CLEAR backward", description="CLEAR, backward term")
    clear_kl: Weight = Field(
        0.0, title="CLEAR divergence", description="CLEAR, divergence of the two languages' score distributions"
    )
    distill_passages: Weight = Field(0.0, description="Distance of p_en and p_x to the frozen base's p_en")
    distill_queries: Weight = Field(0.0, description="Distance of q_en and q_x to the frozen base's q_en")
    distill_scores: Weight = Field(0.0, description="Divergence from the frozen base's own scores within each language")

    @staticmethod
    def preset(name: PresetName) -> "LossSpec":
        """One of PRESETS."""
        return LossSpec.model_validate(name)

    def weights(self) -> dict[str, float]:
        """The terms that count, and how much."""
        settings = {"temperature", "normalize"}
        return {term: weight for term, weight in self.model_dump(exclude=settings).items() if weight > 0}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return _from_text(
            value, PRESETS, f"loss {value!r} is no preset; write {', '.join(PRESETS)}, or weights of terms"
        )


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "paper": {"jsd": 1.0, "info_nce": 1.0, "normalize": False},
    "infonce": {"info_nce": 1.0},
    "passage": {"passage_info_nce": 1.0},
    "jsd": {"jsd": 1.0, "normalize": False},
    "clear": {"clear_forward": 0.4, "clear_backward": 0.4, "clear_kl": 0.2, "temperature": 0.05},
    "distil": {"distill_passages": 1.0, "distill_queries": 1.0},
    "best": {"distill_passages": 10.0, "distill_queries": 10.0, "distill_scores": 1.0, "info_nce": 0.3},
}
assert set(PRESETS) == set(get_args(PresetName))


class OrPreset:
    """Tells forms that a preset's name does as well as weights."""

    @staticmethod
    def __get_pydantic_json_schema__(core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        preset = {"type": "string", "enum": list(PRESETS), "title": "Preset"}
        return {"anyOf": [{**handler(core_schema), "title": "Weights"}, preset]}


class AdapterSpec(Spec):
    """Small matrices beside the base's linear layers (LoRA), which are trained in place of its weights."""

    rank: int = Field(16, ge=1, description="Of what is added to a layer's weights")
    alpha: int = Field(32, ge=1, description="What is added is scaled by alpha / rank")
    dropout: Share = Field(0.0, description="Share of a layer's inputs that its adapter does not see in a step")
    layers: tuple[str, ...] = Field(
        (), description="Ends of the names of the layers that get one, such as q_proj; empty means every linear layer"
    )
    rate_factor: Positive = Field(
        10.0, description="Times the learning rate: an adapter begins at zero and has few weights to move"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        # the name alone is for the defaults
        return _from_text(
            value, {LORA: {}}, f"adapter {value!r} is none that can be trained; write {LORA}, or its settings"
        )


class OrLora:
    """Tells forms that the name does as well as settings."""

    @staticmethod
    def __get_pydantic_json_schema__(core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*handler(core_schema)["anyOf"], {"type": "string", "enum": [LORA], "title": "Defaults"}]}


def _has_weights(base: str) -> str:
    if base.startswith((vectors_ref.SCHEME, *served.SCHEMES)):
        raise ValueError(f"{base}: has no weights of its own, so there is nothing to train; give a checkpoint")
    return base


class OptimiserSpec(Spec):
    """How the weights are moved."""

    batch: int = Field(32, ge=2, description="Triples a step, over all workers: every other one is a negative")
    micro_batch: int = Field(0, ge=0, description="Triples in memory at once (gradient caching); 0 means the batch")
    epochs: int = Field(1, ge=1, description="Times that every triple is seen")
    learning_rate: Positive = Field(1e-5, description="At the end of the warm-up")
    embedding_rate_factor: Weight = Field(
        0.0, description="Times the learning rate, for the embedding matrix; 0 freezes"
    )
    warmup: Share = Field(0.1, description="Share of the steps in which the rate rises; it falls to 0 in the rest")
    weight_decay: Weight = Field(0.01, description="AdamW's, on matrices")
    clip: Positive = Field(1.0, description="Longest gradient; a longer one is scaled down")
    query_tokens: int = Field(64, ge=8, description="Queries are cut here in training")
    passage_tokens: int = Field(160, ge=8, description="Passages are cut here in training")
    merge: Share = Field(0.7, description="Share of the base's weights in the saved checkpoint; 1 would be the base")

    @model_validator(mode="after")
    def _batch_is_divided(self) -> "OptimiserSpec":
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} does not divide batch {self.batch}; take one that does, or 0 for none"
            )
        return self


class AlignSpec(ReadingSpec):
    """Which checkpoint to align, with what, on what, and when it is good enough. Its identity names the result."""

    base: Annotated[ModelRef, AfterValidator(_has_weights)] = Field(
        BUNDLED, description=f"hf:org/name@revision, a directory, or {BUNDLED}"
    )
    train: str = Field("demo#train", description="A corpus or its split, such as xquad:DIR#train, or triples:FILE")
    evaluation: str = Field("demo#test", description="The corpus or split that both audits are made on")
    languages: tuple[Lang, ...] = Field((), description="Languages to train beside English; empty means all")
    triples: int = Field(1120, ge=2, description="Most triples to train on, as many of every language")
    loss: Annotated[LossSpec, NoDecode, OrPreset] = Field(
        LossSpec(**PRESETS["best"]),
        description=f"A preset, as in --loss paper ({', '.join(PRESETS)}), or weights of terms: those not given are 0. "
        "Without any, the head alone is fitted",
    )
    head: bool = Field(True, description="After the last step, fit a linear layer that takes the language out")
    head_texts: tuple[str, ...] = Field(
        (),
        description="Corpora whose bare passages and queries the head is fitted to, in all of their languages, without "
        "labels or pairs; empty means the translations that are trained on",
    )
    adapter: Annotated[AdapterSpec | None, NoDecode, OrLora] = Field(
        None,
        description="lora, or its settings: an adapter is trained and saved, and the base stays where and as it is. "
        "None trains the base's own weights",
    )
    optimiser: OptimiserSpec = OptimiserSpec()
    gate: GateSpec = GateSpec()
    allow_contamination: tuple[str, ...] = Field(
        (), description="Groups of the evaluation corpus that may be in the training set; * allows all"
    )
    seed: int = Field(0, ge=0, description="Of sampling, order, dropout and the audits")
    held_out: Share = Field(
        0.1, description="Share of the training passages kept apart to choose the best checkpoint by; 0 keeps the last"
    )
    workers: int = Field(1, ge=1, description="Training processes; each takes an equal part of every batch")
    encoding: EncodingSpec = EncodingSpec()
    runtime: RuntimeSpec = RuntimeSpec()
    workspace: Place = Field(WORKSPACE, description="Where vectors, finished steps and checkpoints are kept")
    out: Place | None = Field(None, description="Where the result goes; None means alignments/ in the workspace")

    @property
    def epochs(self) -> int:
        """Of fine-tuning: none without a loss."""
        return self.optimiser.epochs if self.loss.weights() else 0

    @property
    def rate(self) -> float:
        """The learning rate at its peak, of what is trained but the embedding matrix."""
        return self.optimiser.learning_rate * (self.adapter.rate_factor if self.adapter else 1.0)

    def identity(self) -> str:
        """Hex sha256 over all that can change a weight or a figure: not over where it runs."""
        said = self.model_dump(mode="json", exclude={"runtime", "workspace", "out", "pivot"})
        if not self.head_texts:
            del said["head_texts"]  # as before there were any
        return sha256_of(said)

    @field_validator("pivot")
    @classmethod
    def _is_english(cls, pivot: str) -> str:
        if pivot != ENGLISH:
            raise ValueError(
                f"{pivot!r} cannot be trained against: every triple holds a text in English; leave pivot out, and hold "
                "other languages against this one in audits"
            )
        return pivot

    @model_validator(mode="after")
    def _does_something(self) -> "AlignSpec":
        if not self.head and not self.loss.weights():
            terms = ", ".join(name for name in LossSpec.model_fields if name not in ("temperature", "normalize"))
            raise ValueError(f"there is nothing to learn without a head and a loss; give one of {terms} more than 0")
        return self

    @model_validator(mode="after")
    def _texts_are_for_a_head(self) -> "AlignSpec":
        if self.head_texts and not self.head:
            raise ValueError("head_texts are what a head is fitted to, and there is none; leave them out, or head in")
        return self

    @model_validator(mode="after")
    def _adapter_is_trained(self) -> "AlignSpec":
        if self.adapter and not self.loss.weights():
            raise ValueError("without a loss no adapter is trained; give a loss, or leave the adapter out")
        if self.adapter and self.optimiser.embedding_rate_factor:
            raise ValueError("an adapter leaves the embedding matrix as it is; leave out embedding_rate_factor")
        return self

    @model_validator(mode="after")
    def _batch_fits(self) -> "AlignSpec":
        batch = self.optimiser.batch
        if batch % self.workers:
            raise ValueError(f"{self.workers} workers cannot share batches of {batch}; make it a multiple of them")
        if self.triples < batch:
            raise ValueError(f"{self.triples} triples are fewer than a batch of {batch}; raise one or lower the other")
        return self
