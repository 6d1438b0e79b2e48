"""Checkpoints: from a reference to a directory that is safe to load, with its prompts and what identifies it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from clir_core.errors import ClirError, ModelError, first_line
from clir_core.model import canary, served, stored, vectors_ref
from clir_core.model.adapter import adapter_folder, base_of, base_transformer, put_together
from clir_core.model.baseline import baseline_fields, is_baseline
from clir_core.model.files import COLBERT, MODULES, SENTENCE_CONFIG, check_safe, deciding_files, modules_of, read_json
from clir_core.model.hashes import hashes_of
from clir_core.model.kind import Pooling, guessed_pooling, kind_of
from clir_core.model.prompts import prompts_of
from clir_core.spec import Spec, as_text, sha256_of
from clir_core.workspace.storage import explained, path_of

PATIENCE = 60.0  # seconds for a hub to answer

BUNDLED = "bundled:multilingual-e5-small-q4"
_FETCHED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.codes", "README.md", COLBERT)
# exports that are never loaded
_NOT_FETCHED = ("onnx/*", "openvino/*")
# kinds that come from a file, or from nothing
_NO_DIRECTORY = ("vectors", "bm25", "run")
_SNAPSHOT = re.compile(r"models--([^/]+)--([^/]+)/snapshots/[^/]+$")


class EncodingSpec(Spec):
    """How a checkpoint's texts are prepared."""

    query_prompt: str | None = Field(None, description="Put before every query; None means the checkpoint's own")
    document_prompt: str | None = Field(None, description="Put before every document; None means the checkpoint's own")
    pooling: Pooling | None = Field(
        None, description="How the vectors of tokens become one; None means the checkpoint's own"
    )
    max_tokens: int = Field(512, ge=8, description="Longer texts are cut here, or earlier where the checkpoint says so")
    truncate_dim: int | None = Field(
        None, ge=8, description="Keep only the first dimensions (Matryoshka checkpoints); None keeps all"
    )
    allow_remote_code: tuple[str, ...] = Field(
        (), description="References whose own Python code may run, each hf:org/name@ and the 40 digits of a commit"
    )


# how texts and scores come about: one vector a text, of this machine, of a file or of a server; many, or weighted
# terms, of this machine; no vectors at all
Kind = Literal["dense", "vectors", "served", "sparse", "multi_vector", "bm25", "run"]


class Checkpoint(Spec):
    """A checkpoint that is ready to load."""

    kind: Kind = "dense"
    name: str
    ref: str
    path: Path
    base: Path | None = Field(None, description="Where an adapter's base lies")
    query_prompt: str
    document_prompt: str
    prompts_from: str = Field("none", description="Who says so: the request, the checkpoint, its base model, a guess")
    pooling: Pooling | None = Field(None, description="None means as the checkpoint's own files say")
    pooling_from: str = Field("the checkpoint", description="The request, the checkpoint, or a guess")
    max_tokens: int
    truncate_dim: int | None
    dtype: str
    normalize: bool = Field(description="Vectors are ranked by cosine, so they are stored with length 1")
    remote_code: bool
    digest: str = Field(
        description="Hex sha256 over the content that decides vectors: weights, tokenizer, pooling, configuration"
    )
    vectors: str = Field(
        description="Identity of its vectors: content, prompts, pooling, longest text, dimension, dtype, normalisation"
    )
    notes: tuple[str, ...] = Field((), description="What was guessed, or is suspicious, about how it is read")

    def prompt(self, kind: str) -> str:
        """The prompt of `query` or `document`."""
        return self.query_prompt if kind == "query" else self.document_prompt


def resolve(ref: str, spec: EncodingSpec, cache: Path, dtype: str) -> Checkpoint:
    """Find, fetch or unpack the checkpoint, check that it is safe to load, and hash what decides its vectors.

    What is unpacked, and what hashes were found, is kept in `cache`. Errors: ModelError where there is no such
    checkpoint, it is no retriever, or it is not safe; StoreError where its files cannot be read.
    """
    if is_baseline(ref):
        return Checkpoint(**baseline_fields(ref, cache))
    if ref.startswith(vectors_ref.SCHEME):
        prompted = bool(spec.query_prompt or spec.document_prompt)
        return Checkpoint(**stored.settings(ref, spec.truncate_dim, prompted, cache))
    if ref.startswith(served.SCHEMES):
        prompts = (spec.query_prompt, spec.document_prompt)
        return Checkpoint(**served.settings(ref, *prompts, spec.truncate_dim, canary.TEXTS, cache))
    remote_code = ref in spec.allow_remote_code
    if remote_code and not re.fullmatch(r"hf:[^@]+@[0-9a-f]{40}", ref):
        raise ModelError(
            f"{ref}: its code may only run at a pinned commit; write hf:org/name@ and the commit's 40 digits"
        )
    with explained(Path(ref)):
        path, base = _with_base(ref, _locate(ref, cache, remote_code), cache)
        return _described(ref, path, base, spec, cache, dtype, remote_code)


def check_unchanged(checkpoint: Checkpoint, cache: Path) -> None:
    """ModelError where the files are gone, or their content is another. `cache` is the one of `resolve`."""
    if checkpoint.kind == "served":
        how = (checkpoint.truncate_dim, canary.TEXTS, cache)
        if not served.is_unchanged(checkpoint.ref, checkpoint.digest, *how):
            raise ModelError(
                f"{checkpoint.ref}: the server answers the same texts otherwise than before, so its model changed "
                "while it was being read; nothing is reported of it. Run again"
            )
        return
    try:
        now = _digest(checkpoint, cache)
    except (OSError, ClirError):
        now = ""  # it goes while it is read
    if now != checkpoint.digest:
        is_there = now and (checkpoint.kind in _NO_DIRECTORY or checkpoint.path.is_dir())
        what = f"changed (digest {checkpoint.digest[:12]} to {now[:12]})" if is_there else "vanished"
        raise ModelError(
            f"{checkpoint.ref}: {what} while it was being read; nothing is reported of it. Write checkpoints beside "
            "their place and rename them, then run again"
        )


def name_of(ref: str) -> str:
    """A short name for people and files: org/name of a hub's model, also in a hub's cache, else the directory's."""
    if ref.startswith(("hf:", "bundled:")):
        return ref.partition(":")[2].partition("@")[0]
    path = path_of(ref).resolve()
    cached = _SNAPSHOT.search(str(path))
    return f"{cached[1]}/{cached[2]}" if cached else path.name


def _with_base(ref: str, path: Path, cache: Path) -> tuple[Path, Path | None]:
    """The directory that loads, and of an adapter the folder of its base's transformer."""
    folder = adapter_folder(ref, path)
    if folder is None:
        return path, None
    base = base_of(ref, folder, lambda other: _download(other, remote_code=False))
    transformer = base_transformer(ref, base)
    check_safe(ref, base, modules_of(ref, base), remote_code=False)
    return put_together(ref, path, folder, base, cache.resolve()), transformer


def _described(
    ref: str, path: Path, base: Path | None, spec: EncodingSpec, cache: Path, dtype: str, remote_code: bool
) -> Checkpoint:
    """What is known of a checkpoint in this directory without loading it."""
    modules = modules_of(ref, path)
    check_safe(ref, path, modules, remote_code)
    kind = kind_of(ref, path, modules, spec.pooling, base)
    prompts = prompts_of(path, name_of(ref), spec.query_prompt, spec.document_prompt)
    pooling, pooling_from, told = _pooling(path, base, spec, kind)
    similarity = read_json(path / SENTENCE_CONFIG).get("similarity_fn_name") or "cosine"
    if kind == "dense" and similarity not in ("cosine", "dot"):
        raise ModelError(f"{ref}: ranks by {similarity!r}; an audit knows cosine and dot products")
    settings: dict[str, Any] = {
        "query_prompt": prompts.query,
        "document_prompt": prompts.document,
        "pooling": pooling,
        "max_tokens": spec.max_tokens,
        "truncate_dim": spec.truncate_dim,
        "dtype": dtype,
        "normalize": similarity == "cosine",
        "remote_code": remote_code,
    }
    hashes = _hashes(ref, path, base, remote_code, cache)
    return Checkpoint(
        kind=kind,
        name=name_of(ref),
        ref=ref,
        path=path,
        base=base,
        digest=sha256_of(hashes),
        vectors=sha256_of({"files": hashes, **settings}),
        prompts_from=prompts.origin,
        pooling_from=pooling_from,
        notes=(*prompts.notes, *told),
        **settings,
    )


def _pooling(
    path: Path, base: Path | None, spec: EncodingSpec, kind: str
) -> tuple[Pooling | None, str, tuple[str, ...]]:
    """The pooling where the checkpoint's files do not decide it, who says so, and what is doubtful about it."""
    if kind != "dense":
        return None, "", ()
    if spec.pooling:
        return spec.pooling, "the request", ()
    if (path / MODULES).exists():
        return None, "the checkpoint", ()
    guess = guessed_pooling(base or path)
    told = f"its pooling is not said ({MODULES} is missing) and was guessed: {guess}; set encoding.pooling to be sure"
    return guess, "a guess", (told,)


def _digest(checkpoint: Checkpoint, cache: Path) -> str:
    """Of what is there now."""
    if is_baseline(checkpoint.ref):
        return str(baseline_fields(checkpoint.ref, cache)["digest"])
    if checkpoint.kind == "vectors":
        return stored.digest(checkpoint.ref, cache)
    return sha256_of(_hashes(checkpoint.ref, checkpoint.path, checkpoint.base, checkpoint.remote_code, cache))


def _locate(ref: str, cache: Path, remote_code: bool) -> Path:
    if ref.startswith("bundled:"):
        if ref != BUNDLED:
            raise ModelError(f"{ref}: no such bundled model; there is {BUNDLED}")
        from clir_core.model.bundled import unpack

        return unpack(cache)
    if ref.startswith("hf:"):
        return _download(ref, remote_code)
    path = path_of(ref).resolve()
    if not path.is_dir():
        raise ModelError(f"{ref}: no such directory; a model is hf:org/name@revision, a directory, or {BUNDLED}")
    if as_text(str(path)) != str(path):
        raise ModelError(f"{ref}: lies in {path}, a name that is not UTF-8, so nothing can refer to it; rename it")
    return path


def _download(ref: str, remote_code: bool) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = ref.removeprefix("hf:").partition("@")
    patterns = [*_FETCHED, *(["*.py"] if remote_code else [])]
    commit, answers = _commit(name, revision or None)
    try:
        return Path(
            snapshot_download(
                name,
                revision=commit,
                allow_patterns=patterns,
                ignore_patterns=list(_NOT_FETCHED),
                local_files_only=not answers,
            )
        )
    except Exception as error:
        raise ModelError(
            f"{ref}: cannot be fetched ({type(error).__name__}: {first_line(error)}); check the name, the revision "
            "and the network, log in with `hf auth login` if it is gated, or give a local directory"
        ) from error


def _commit(name: str, revision: str | None) -> tuple[str | None, bool]:
    """What a revision names now, and whether the hub answers at all: `snapshot_download` would wait for ever."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return HfApi().model_info(name, revision=revision, timeout=PATIENCE).sha, True
    except HfHubHTTPError:
        return revision, True  # the download is refused as well, and says it better
    except Exception:
        return revision, False  # what was fetched before will do


def _hashes(ref: str, path: Path, base: Path | None, remote_code: bool, cache: Path) -> Mapping[str, str]:
    """sha256 of every file that decides what a vector is, by its place; an adapter's base is a part of it."""
    files = deciding_files(path, modules_of(ref, path), remote_code)
    if base:
        files |= {f"base/{name}": file for name, file in deciding_files(base, modules_of(ref, base)).items()}
    return dict(zip(files, hashes_of(files.values(), cache), strict=True))
