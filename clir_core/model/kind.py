"""What kind of retriever a checkpoint is, as its configuration says: one vector a text, many, weighted terms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from clir_core.errors import ModelError
from clir_core.model.files import COLBERT, CONFIG, MODULES, SENTENCE_CONFIG, Module, read_json

CheckpointKind = Literal["dense", "sparse", "multi_vector"]
Pooling = Literal["mean", "cls", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens"]

# endings of architectures in config.json that give no vector a text, and what they are
_NO_RETRIEVERS = {
    "ForSequenceClassification": "a classifier or a cross-encoder (reranker), which scores pairs of texts",
    "ForTokenClassification": "a token classifier",
    "ForQuestionAnswering": "a reader, which marks answers",
    "ForMultipleChoice": "a classifier of choices",
}
# the same for models of language, which may be trained on to be a retriever, or not
_LANGUAGE_MODELS = ("ForMaskedLM", "ForPreTraining", "ForConditionalGeneration", "LMHeadModel")


def kind_of(
    ref: str, path: Path, modules: Sequence[Module], pooling: str | None, base: Path | None = None
) -> CheckpointKind:
    """The kind; `pooling` is what the spec asks for, and `base` an adapter's, which has the model's configuration.

    ModelError where nothing says that this is a retriever.
    """
    config = read_json(path / SENTENCE_CONFIG)
    said, types = str(config.get("model_type") or ""), [module.type for module in modules]
    if said == "CrossEncoder" or any(".cross_encoder." in name for name in types):
        raise ModelError(f"{ref}: {_NO_RETRIEVERS['ForSequenceClassification']}; an audit ranks texts by vectors")
    if said == "SparseEncoder" or any(".sparse_encoder." in name for name in types):
        return "sparse"
    if said in ("MultiVectorEncoder", "ColBERT") or any("pylate." in name or ".multi_vec" in name for name in types):
        return "multi_vector"
    if (path / MODULES).exists():
        return "dense"
    architecture = architecture_of(base or path)
    if architecture == "HF_ColBERT" or (path / COLBERT).exists():
        return "multi_vector"
    if read_json(path / CONFIG).get("model_type") == "model2vec":
        raise ModelError(
            f"{ref}: a model2vec table without {MODULES}; save it with "
            "SentenceTransformer(modules=[StaticEmbedding.from_model2vec(DIR)]).save_pretrained(OTHER)"
        )
    for ending, what in _NO_RETRIEVERS.items():
        if architecture.endswith(ending):
            raise ModelError(f"{ref}: {what} ({architecture} in {CONFIG}); an audit ranks texts by vectors")
    if pooling is None and architecture.endswith(_LANGUAGE_MODELS):
        raise ModelError(
            f"{ref}: a language model ({architecture} in {CONFIG}, and no {MODULES} that says how its tokens become "
            "vectors): a base that was never trained to retrieve, or a sparse model (SPLADE). If it was trained to "
            "retrieve, set encoding.pooling to what it was trained with: mean, cls or lasttoken"
        )
    return "dense"


def guessed_pooling(path: Path) -> Pooling:
    """What sentence-transformers assumes of a directory without modules.json."""
    config = read_json(path / CONFIG)
    return "lasttoken" if architecture_of(path).endswith("ForCausalLM") and config.get("is_causal", True) else "mean"


def architecture_of(path: Path) -> str:
    """The first architecture in config.json; empty where it names none."""
    named: Any = read_json(path / CONFIG).get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""
