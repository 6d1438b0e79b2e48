"""Vectors that a run was judged by, and whether its checkpoint gives them: loaded here, and by anybody else."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from pydantic import Field
from sentence_transformers import SentenceTransformer

from clir_core.align.train.parts import cut, lengths, used_dim
from clir_core.errors import AlignError, first_line
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.encoder import load_encoder
from clir_core.spec import Spec
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.steps import read_kept

# of a vector's length: sums in another order change 1e-6 of it, 16 bits or another text 1e-3 and more
TOLERANCE = 5e-4
_TEXTS = 3  # of each column
_LONGEST = 1024  # tokens: beyond, a text costs more than it shows
_CHARACTERS = 8  # as many as no token has on average

# vectors [texts, D] of `query` or `document` texts, as they are ranked
Encode = Callable[[Sequence[str], str], np.ndarray]


class Judged(Spec):
    """A handful of texts of each kind, one of them longer than is read, and their vectors."""

    texts: dict[str, tuple[str, ...]]
    vectors: dict[str, tuple[tuple[float, ...], ...]]
    lengths: tuple[tuple[int | None, ...], ...] = Field(description="As the base's own transformers read, in tokens")

    @staticmethod
    def of(texts: Mapping[str, Sequence[str]], encode: Encode, own: Sequence[tuple[int | None, ...]]) -> "Judged":
        """The texts as `encode` has them now."""
        return Judged(
            texts={kind: tuple(of_kind) for kind, of_kind in texts.items()},
            vectors={kind: tuple(map(tuple, encode(of_kind, kind).tolist())) for kind, of_kind in texts.items()},
            lengths=tuple(own),
        )

    def check(self, who: str, encode: Encode) -> None:
        """AlignError where `encode`, which is `who`'s, gives other vectors."""
        for kind, texts in self.texts.items():
            expected, found = np.array(self.vectors[kind], np.float32), encode(texts, kind)
            if expected.shape != found.shape:
                raise AlignError(
                    f"{who} gives vectors of {found.shape[1]} dimensions, and the run was judged by {expected.shape[1]}"
                )
            apart = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1).clip(1e-9)
            worst = int(np.argmax(apart))
            if not apart[worst] <= TOLERANCE:
                raise AlignError(
                    f"{who} gives other vectors than the run was judged by: {apart[worst]:.1e} of its length apart for "
                    f"the {kind} {texts[worst][:60]!r}. It is a fault of clir, or of a part that is not "
                    "saved as it computes"
                )


def at_hand(triples: pl.DataFrame, max_tokens: int) -> dict[str, list[str]]:
    """A few of the triples' texts of each kind, and one that goes on beyond `max_tokens`."""
    some = {side: triples[side].drop_nulls().unique(maintain_order=True)[:_TEXTS].to_list() for side in _SIDES}
    passages = " ".join([*some["p_en"], *some["p_x"]])
    size = _CHARACTERS * min(max_tokens, _LONGEST)
    long = (f"{passages} " * (size // len(passages) + 1))[:size]
    return {"query": [*some["q_en"], *some["q_x"]], "document": [*some["p_en"], *some["p_x"], long]}


_SIDES = ("q_en", "q_x", "p_en", "p_x")


def write_judged(directory: Path, name: str, judged: Judged) -> None:
    """Keep it for the checkpoint of a run that has this name."""
    write_text(_file(directory, name), judged.model_dump_json())


def read_judged(directory: Path, name: str) -> Judged:
    """What was kept for it."""
    return read_kept(_file(directory, name), Judged)


def check_loaded(checkpoint: Checkpoint, judged: Judged) -> None:
    """AlignError where a checkpoint, loaded here or by sentence-transformers alone, gives other vectors in float32.

    Or where it reads less of a text, or more, than its base. Its reference is a directory.
    """
    exact = checkpoint.model_copy(update={"dtype": "float32"})
    judged.check(checkpoint.ref, load_encoder(exact).encode)
    who = f"{checkpoint.ref}, loaded by sentence-transformers alone,"
    model = _plain(exact)
    if lengths(model) != [tuple(one) for one in judged.lengths]:
        raise AlignError(f"{who} reads {lengths(model)} tokens, and its base {list(judged.lengths)}")
    dim = used_dim(model, exact)

    def encode(texts: Sequence[str], kind: str) -> np.ndarray:
        by_kind = model.encode_query if kind == "query" else model.encode_document
        found = by_kind(list(texts), normalize_embeddings=exact.normalize, truncate_dim=dim, show_progress_bar=False)
        return np.asarray(found, np.float32)

    # alone it reads all that its tokenizer allows; an audit may have been asked to read less
    with cut(model, dict.fromkeys(judged.texts, exact.max_tokens)):
        judged.check(who, encode)


def _plain(checkpoint: Checkpoint) -> SentenceTransformer:
    try:
        return SentenceTransformer(
            checkpoint.ref,  # an adapter's path is a folder that was put together
            device="cpu",
            trust_remote_code=checkpoint.remote_code,
            local_files_only=True,
            model_kwargs={"dtype": torch.float32},
        )
    except Exception as error:
        raise AlignError(
            f"{checkpoint.ref}: sentence-transformers alone cannot load it ({type(error).__name__}: "
            f"{first_line(error)})"
        ) from error


def _file(directory: Path, name: str) -> Path:
    return directory / layout.JUDGED / f"{name}.json"
