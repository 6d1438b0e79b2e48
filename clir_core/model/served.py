"""Served embedders as models: `http://HOST/v1#MODEL`, anything that answers OpenAI's `/v1/embeddings`. Light.

A server's weights cannot be hashed, so it is known by what it answers: the vectors of a few fixed texts, its canary.
The first ones are kept in the workspace, and later ones are held against them within the server's own noise.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import AfterValidator, TypeAdapter, ValidationError

from clir_core.errors import ModelError, StoreError
from clir_core.model.canary import apart
from clir_core.spec import sha256_of
from clir_core.workspace.atomic import write_text
from clir_core.workspace.layout import LOCK
from clir_core.workspace.locks import locked
from clir_core.workspace.storage import explained

if TYPE_CHECKING:
    import numpy as np

    from clir_core.model.embeddings_api import EmbeddingsClient

SCHEMES = ("http://", "https://")
FINEST = 1e-5  # differences (1 - cosine) below which two canaries are always the same
NOISIEST = 5e-4  # a server whose answers to one text differ more than this gives no vectors to audit
_FACTOR = 4  # a later canary may differ by so many times the noise that the server showed at first


def _without_secret(ref: str) -> str:
    if secret := secret_in(ref):
        raise ValueError(secret)
    return ref


# a user's reference of a model, in specs, which are stored and shown
ModelRef = Annotated[str, AfterValidator(_without_secret)]


class ServedRef(NamedTuple):
    """A reference, taken apart; `normalize` unless it asks for dot products."""

    endpoint: str
    model: str
    normalize: bool

    def __str__(self) -> str:
        return f"{self.endpoint}{'' if self.normalize else '?similarity=dot'}#{self.model}"


class Answer(NamedTuple):
    """What a server answered to the fixed texts when it was first seen in this workspace, and how much it varied."""

    digest: str
    vectors: list[list[float]]
    noise: float

    @property
    def tolerance(self) -> float:
        """How much a later answer of the same model may differ, as 1 - cosine."""
        return max(FINEST, _FACTOR * self.noise)

    def from_now(self, now_CH: "np.ndarray") -> float:
        """How far an answer of now is from it, as 1 - cosine."""
        import numpy as np

        return apart(np.asarray(self.vectors, np.float32), now_CH)


_ANSWER = TypeAdapter(Answer)


def parse(ref: str) -> ServedRef:
    """ModelError for what is no address, names no model, or holds a secret, which is not repeated."""
    if secret := secret_in(ref):
        raise ModelError(secret)
    url = urlsplit(ref)
    asked = dict(parse_qsl(url.query, keep_blank_values=True))
    similarity = asked.pop("similarity", "cosine")
    if not url.hostname or not url.fragment or asked or similarity not in ("cosine", "dot"):
        raise ModelError(
            f"{ref}: a served model is written http://HOST:PORT/v1#MODEL, its name as the server knows it; "
            "http://HOST/v1?similarity=dot#MODEL ranks by dot products"
        )
    endpoint = urlunsplit((url.scheme, url.netloc, url.path.rstrip("/").removesuffix("/embeddings"), "", ""))
    return ServedRef(endpoint, url.fragment, similarity == "cosine")


def secret_in(ref: str) -> str:
    """Why a reference must not be written down, without repeating it; empty where it may be."""
    url = urlsplit(ref.removeprefix("vectors:") if "://" in ref else "")
    keys = [key for key, _ in parse_qsl(url.query, keep_blank_values=True)]
    suspicious = [key for key in keys if any(word in key.lower() for word in ("key", "token", "secret", "password"))]
    if url.username or url.password or suspicious:
        what = f"a value of {suspicious[0]!r}" if suspicious else "a login"
        where = f"{url.scheme}://{url.hostname or '...'}"
        return (
            f"{where}: {what} stands in the address; put it into the environment, a server's key as CLIR_EMBEDDINGS_KEY"
        )
    return ""


def settings(
    ref: str,
    query_prompt: str | None,
    document_prompt: str | None,
    dimensions: int | None,
    texts: Sequence[str],
    cache: Path,
) -> dict[str, Any]:
    """The fields of its Checkpoint: the server is asked for these texts. ModelError where it does not answer well."""
    found = parse(ref)
    canary = _canary(found, dimensions, texts, cache)
    prompts = {"query_prompt": query_prompt or "", "document_prompt": document_prompt or ""}
    chosen = {**prompts, "truncate_dim": dimensions, "normalize": found.normalize}
    notes = ["how many tokens the server reads, and what it puts before a text, is not known"]
    if not any(prompts.values()):
        notes.append(
            "no prompt is put before queries and documents; encoding.query_prompt and encoding.document_prompt set them"
        )
    if canary.noise > FINEST:
        notes.append(f"the server's answers to one text differ by up to {canary.noise:.1e} (1 - cosine)")
    return {
        "kind": "served",
        "name": found.model,
        "ref": str(found),
        "prompts_from": "the request" if any(prompts.values()) else "none",
        "pooling_from": "",
        "path": _folder(found, dimensions, texts, cache),
        "max_tokens": 0,
        "dtype": "float32",
        "remote_code": False,
        "digest": canary.digest,
        "vectors": sha256_of({"canary": canary.digest, **chosen}),
        "notes": tuple(notes),
        **chosen,
    }


def is_unchanged(ref: str, digest: str, dimensions: int | None, texts: Sequence[str], cache: Path) -> bool:
    """Whether the server still is what `settings` gave this digest. ModelError where it does not answer well."""
    found = parse(ref)
    kept = [one for one in _kept(_folder(found, dimensions, texts, cache)) if one.digest == digest]
    with _client(found, dimensions) as client:
        now_CH = client.embed(texts)
    return any(one.from_now(now_CH) <= one.tolerance for one in kept)


def _canary(ref: ServedRef, dimensions: int | None, texts: Sequence[str], cache: Path) -> Answer:
    """The kept one that the server's answer fits best, else a new one, which is kept."""
    folder = _folder(ref, dimensions, texts, cache)
    # two runs that see a server first would know it under two digests
    with locked(folder / LOCK), _client(ref, dimensions) as client:
        now_CH = client.embed(texts)
        nearest = min(_kept(folder), default=None, key=lambda one: one.from_now(now_CH))
        if nearest and nearest.from_now(now_CH) <= nearest.tolerance:
            return nearest
        # alone and together: what a server's batches change is its noise
        noise = max(
            apart(together_CH, client.embed([text])) for text, together_CH in zip(texts, now_CH[:, None], strict=True)
        )
        if noise > NOISIEST:
            raise ModelError(
                f"{ref}: answers the same texts with vectors that differ by {noise:.1e} (1 - cosine) from call to "
                "call, so no audit of it could be repeated; do several models answer at this address?"
            )
        # of every bit: rounded ones would flip at their borders, and what is near is found among those that are kept
        name = sha256_of([ref.endpoint, ref.model, ref.normalize, now_CH.tolist()])
        new = Answer(name, now_CH.tolist(), noise)
        write_text(folder / f"{name}.json", json.dumps(new._asdict()))
        return new


def _client(ref: ServedRef, dimensions: int | None) -> "EmbeddingsClient":
    from clir_core.model.embeddings_api import EmbeddingsClient  # seconds to import

    return EmbeddingsClient(ref.endpoint, ref.model, dimensions, ref.normalize)


def _folder(ref: ServedRef, dimensions: int | None, texts: Sequence[str], cache: Path) -> Path:
    return cache / "served" / sha256_of([*ref, dimensions, *texts])[:16]


def _kept(folder: Path) -> list[Answer]:
    with explained(folder):
        return [_answer(file) for file in sorted(folder.glob("*.json"))]


def _answer(file: Path) -> Answer:
    data = file.read_bytes()
    try:
        return _ANSWER.validate_json(data)
    except ValidationError as error:
        raise StoreError(
            f"{file}: is damaged; put a copy of it in its place, or remove it: the server is then known anew"
        ) from error
