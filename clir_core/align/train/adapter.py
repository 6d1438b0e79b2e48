"""A LoRA adapter on a base: trained beside it, saved without it."""

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer

from clir_core.align.spec import AdapterSpec
from clir_core.errors import AlignError, first_line
from clir_core.model.adapter import base_transformer
from clir_core.model.checkpoint import Checkpoint


def add_adapter(model: SentenceTransformer, spec: AdapterSpec, checkpoint: Checkpoint) -> None:
    """Freeze the model's weights and add an adapter to its transformer, which does nothing yet.

    AlignError where it has none that an adapter can be saved for, or an adapter already.
    """
    from peft import LoraConfig, TaskType

    transformer = model[0]
    if not isinstance(transformer, Transformer):
        raise AlignError(
            f"{checkpoint.ref}: its first part is {type(transformer).__name__}, and an adapter's files name one "
            "transformer as their base; train without an adapter"
        )
    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION,
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=list(spec.layers) or "all-linear",
    )
    model.requires_grad_(False)
    try:
        model.add_adapter(config)
    except ValueError as error:
        raise AlignError(f"{checkpoint.ref}: no adapter can be added ({first_line(error)})") from error
    # where it lies: a name on a hub would be read at its newest commit, whichever was trained on
    config.base_model_name_or_path = str(base_transformer(checkpoint.ref, checkpoint.path))


def has_adapter(model: SentenceTransformer) -> bool:
    """Whether it was loaded from an adapter's files, or got one."""
    return bool(getattr(model.transformers_model, "peft_config", None))


def is_scale(name: str) -> bool:
    """Whether a weight of this name can be scaled in place of what its adapter adds: that is a product, B A."""
    return ".lora_B." in name
