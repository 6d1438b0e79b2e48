"""How a checkpoint is read, in words that a result and its report show."""

from typing import Any

from pydantic import Field

from clir_core.model.checkpoint import Checkpoint
from clir_core.spec import Spec


class Reading(Spec):
    """How texts became vectors: as the loaded model does it, not as it was asked to."""

    kind: str = Field("dense", description="dense, vectors, served, sparse, multi_vector, bm25 or run")
    query_prompt: str = ""
    document_prompt: str = ""
    prompts_from: str = Field("none", description="Who says so: the request, the checkpoint, its base model, a guess")
    pooling: str = Field("", description="How the vectors of tokens become one; empty where there is no such layer")
    pooling_from: str = Field("", description="The request, the checkpoint, or a guess")
    query_tokens: int | None = Field(None, description="Longest query that is read whole; null where there is no limit")
    document_tokens: int | None = Field(None, description="Longest document that is read whole")
    own_tokens: dict[str, int] = Field(
        {}, description="Longest query or document that it would read by itself, where it was asked to read less"
    )
    dimension: int | None = None
    dtype: str = ""
    normalized: bool = True
    adapter_of: str = Field("", description="The base, where the checkpoint is an adapter")
    notes: tuple[str, ...] = Field((), description="What was guessed, or is suspicious")


def reading_of(checkpoint: Checkpoint, **measured: Any) -> Reading:
    """What a checkpoint says by itself, and fields of a Reading that only what was loaded or answered could tell."""
    said = {
        "kind": checkpoint.kind,
        "query_prompt": checkpoint.query_prompt,
        "document_prompt": checkpoint.document_prompt,
        "prompts_from": checkpoint.prompts_from,
        "dtype": checkpoint.dtype,
        "normalized": checkpoint.normalize,
        "notes": checkpoint.notes,
    }
    return Reading(**{**said, **measured})
