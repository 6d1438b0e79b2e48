"""Whether the weights that were loaded are those that the model needs: a library draws what is missing at random."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from os.path import commonprefix
from typing import Any, NamedTuple

from transformers import modeling_utils
from transformers.integrations import peft as peft_integration

from clir_core.errors import ModelError

_SHOWN = 4
# heads of other tasks, and buffers that are computed: no embedding uses them. As parts of a weight's name
_HEADS = re.compile(
    r"(^|\.)(cls|lm_head|classifier|pre_classifier|score|qa_outputs|pooler|predictions|sop_classifier|decoder|head|"
    r"lm_predictions|mask_predictions|vocab_transform|vocab_layer_norm|vocab_projector|discriminator_predictions|"
    r"generator_predictions|generator_lm_head|position_ids|inv_freq|logit_scale)(\.|$)"
)
_UNUSED = re.compile(r"(^|\.)pooler\.")
_CAUSES: tuple[tuple[str, str], ...] = (
    ("_orig_mod.", "torch.compile puts it there: save the model that was compiled, model._orig_mod"),
    ("module.", "DataParallel and DistributedDataParallel put it there: save model.module"),
    (
        "base_model.model.",
        "PEFT puts it there: save the adapter with its adapter_config.json, or merge_and_unload first",
    ),
    ("model.", "a wrapper of the trainer's puts it there: save the model inside of it"),
)


class Loaded(NamedTuple):
    """What a library says of the weights of one model: names that were missing, and that nothing read."""

    model: str
    missing: frozenset[str]
    unexpected: frozenset[str]
    other_shapes: frozenset[str]
    known: frozenset[str]


@contextmanager
def reports() -> Iterator[list[Loaded]]:
    """Within it, models are loaded; the list tells of each what became of its weights.

    transformers tells it in a log alone: there is no other way to ask, as sentence-transformers makes the call.
    """
    found: list[Loaded] = []
    real = modeling_utils.log_state_dict_report

    def record(model: Any, *args: Any, **kwargs: Any) -> None:
        info = kwargs["loading_info"]
        shapes = (
            f"{name}: {list(file)} in the file, {list(wanted)} in the model"
            for name, file, wanted in info.mismatched_keys
        )
        found.append(
            Loaded(
                model=type(model).__name__,
                missing=frozenset(info.missing_keys),
                unexpected=frozenset(info.unexpected_keys),
                other_shapes=frozenset(shapes),
                known=frozenset(name for name, _ in model.named_parameters()),
            )
        )
        real(model, *args, **kwargs)

    # one in each module that calls it
    modeling_utils.log_state_dict_report = record
    peft_integration.log_state_dict_report = record
    try:
        yield found
    finally:
        modeling_utils.log_state_dict_report = real
        peft_integration.log_state_dict_report = real


def check_weights(ref: str, loaded: Sequence[Loaded], read_elsewhere: Collection[str] = ()) -> None:
    """ModelError where a weight that an embedding uses was missing, or a weight of the file was read by nothing."""
    for one in loaded:
        missing = sorted(name for name in one.missing - {*read_elsewhere} if not _UNUSED.search(name))
        unread = sorted(name for name in one.unexpected - {*read_elsewhere} if not _is_head(name, one))
        wrong = (
            (missing, "are missing"),
            (unread, "fit nothing"),
            (sorted(one.other_shapes), "have another shape"),
        )
        what = [f"{len(names)} {say} ({_listed(names)})" for names, say in wrong if names]
        if what:
            cause = _cause(missing, unread, sorted(one.other_shapes))
            raise ModelError(f"{ref}: its weights do not fit its {one.model}: {', and '.join(what)}; {cause}")


def _is_head(name: str, one: Loaded) -> bool:
    """Whether a weight that nothing read belongs to another task, not to a layer that the configuration leaves out."""
    shapes = {_of_any_layer(known) for known in one.known}
    return bool(_HEADS.search(name)) and not any(_of_any_layer(name).endswith(shape) for shape in shapes)


def _of_any_layer(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", name)


def _cause(missing: Sequence[str], unread: Sequence[str], shapes: Sequence[str]) -> str:
    prefix = _prefix(missing, unread)
    for known, cause in _CAUSES:
        if prefix.startswith(known) or (not prefix and unread and all(name.startswith(known) for name in unread)):
            return f"every name that fits nothing begins with {known!r}: {cause}"
    if any("lora_magnitude_vector" in name for name in unread):
        return (
            "a DoRA adapter, which transformers loads in part: merge it into its base (merge_and_unload) and save that"
        )
    if prefix:
        return (
            f"every name that fits nothing begins with {prefix!r}: strip that, or save the model inside of that wrapper"
        )
    if any("lora_" in name or "base_layer" in name for name in unread):
        return "an adapter's weights lie in a model's file: save the adapter as one, or merge it first"
    if any(".lora_" in name for name in (*missing, *shapes)):
        return "the adapter's file is incomplete, or adapter_config.json is of another adapter: save both from one"
    if not unread and missing:
        return "the file is incomplete, or config.json is of a larger model: save the whole model again"
    if not missing:
        return "config.json is of another model, or the file holds a layer of the trainer's own: save both from one"
    return "config.json and weights are of different models: save both from one"


def _prefix(missing: Sequence[str], unread: Sequence[str]) -> str:
    """What the names in the file have before those that are missing, if that is all that is wrong."""
    begins = commonprefix(list(unread))  # noqa: RUF071  they are names, no paths
    begins = begins[: begins.rfind(".") + 1]
    wanted = set(missing)
    while begins:
        if any(name.removeprefix(begins) in wanted for name in unread):
            return begins
        begins = begins[: begins[:-1].rfind(".") + 1]
    return ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
