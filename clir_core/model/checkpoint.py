"""Checkpoints: from a reference to a directory that is safe to load, with its prompts and what identifies it.

Only safetensors are ever loaded, and a checkpoint's own Python code only where the spec allows that very commit.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from clir_core.errors import ModelError, first_line
from clir_core.model.baseline import baseline_fields, is_baseline
from clir_core.model.hashes import hashes_of
from clir_core.spec import Spec, sha256_of
from clir_core.workspace.storage import explained

PATIENCE = 60.0  # seconds for a hub to answer

BUNDLED = "bundled:multilingual-e5-small-q4"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# folders of exports that are never loaded; OpenVINO's weights are named *.bin, too
OTHER_BACKENDS = ("onnx", "openvino")
DECIDING = (".safetensors", ".json", ".txt", ".model", ".jinja", ".py")
STEP_FOLDER = re.compile(r"checkpoint-\d+")  # what a trainer saves on its way: none of the checkpoint above it
# families whose checkpoints often come without prompts; from their model cards. The first match in the name wins
FAMILY_PROMPTS: tuple[tuple[str, str, str], ...] = (
    (
        r"(^|[^a-z])e5([^0-9a-z].*)?instruct",
        "Instruct: Given a question, retrieve passages that answer it\nQuery: ",
        "",
    ),
    (r"(^|[^a-z])e5([^0-9a-z]|$)", "query: ", "passage: "),
    (r"bge-m3", "", ""),
    (r"bge-.*-en", "Represent this sentence for searching relevant passages: ", ""),
    (r"bge-.*-zh", "为这个句子生成表示以用于检索相关文章：", ""),
    (r"gte-qwen", "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ", ""),
    (r"gte-", "", ""),
    (
        r"jina-embeddings-v3",
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
    ),
)


class EncodingSpec(Spec):
    """How a checkpoint's texts are prepared."""

    query_prompt: str | None = Field(None, description="Put before every query; None means the checkpoint's own")
    document_prompt: str | None = Field(None, description="Put before every document; None means the checkpoint's own")
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
    query_prompt: str
    document_prompt: str
    max_tokens: int
    truncate_dim: int | None
    dtype: str
    normalize: bool = Field(description="Vectors are ranked by cosine, so they are stored with length 1")
    remote_code: bool
    digest: str = Field(
        description="Hex sha256 over the content that decides vectors: weights, tokenizer, pooling, configuration"
    )
    vectors: str = Field(
        description="Identity of its vectors: content, prompts, longest text, dimension, dtype, normalisation"
    )
    notes: tuple[str, ...] = Field((), description="What was guessed, or is suspicious, about how it is read")

    def prompt(self, kind: str) -> str:
        """The prompt of `query` or `document`."""
        return self.query_prompt if kind == "query" else self.document_prompt


def resolve(ref: str, spec: EncodingSpec, cache: Path, dtype: str) -> Checkpoint:
    """Find, fetch or unpack the checkpoint, check that it is safe to load, and hash what decides its vectors.

    What is unpacked, and what hashes were found, is kept in `cache`. Errors: ModelError where there is no such
    checkpoint or it is not safe; StoreError where its files cannot be read.
    """
    if is_baseline(ref):
        return Checkpoint(**baseline_fields(ref, cache))
    remote_code = ref in spec.allow_remote_code
    if remote_code and not re.fullmatch(r"hf:[^@]+@[0-9a-f]{40}", ref):
        raise ModelError(
            f"{ref}: its code may only run at a pinned commit; write hf:org/name@ and the commit's 40 digits"
        )
    path = _locate(ref, cache, remote_code)
    _check_weights(ref, path)
    _check_code(ref, path, remote_code)
    config = _read_json(path / "config_sentence_transformers.json")
    similarity = config.get("similarity_fn_name") or "cosine"
    if similarity not in ("cosine", "dot"):
        raise ModelError(f"{ref}: ranks by {similarity!r}; an audit knows cosine and dot products")
    query_prompt, document_prompt = _prompts(ref, spec, config)
    settings: dict[str, Any] = {
        "query_prompt": query_prompt,
        "document_prompt": document_prompt,
        "max_tokens": spec.max_tokens,
        "truncate_dim": spec.truncate_dim,
        "dtype": dtype,
        "normalize": similarity == "cosine",
        "remote_code": remote_code,
    }
    with explained(path):
        hashes = _file_hashes(path, cache)
    return Checkpoint(
        name=_name(ref),
        ref=ref,
        path=path,
        digest=sha256_of(hashes),
        vectors=sha256_of({"files": hashes, **settings}),
        **settings,
    )


def check_unchanged(checkpoint: Checkpoint, cache: Path) -> None:
    """ModelError where the files are gone, or their content is another. `cache` is the one of `resolve`."""
    try:
        now = _digest_now(checkpoint, cache)
    except OSError:
        now = ""  # it goes while it is read
    if now != checkpoint.digest:
        what = f"changed (digest {checkpoint.digest[:12]} to {now[:12]})" if now else "vanished"
        raise ModelError(
            f"{checkpoint.ref}: {what} while it was being read; nothing is reported of it. Write checkpoints beside "
            "their place and rename them, then run again"
        )


def _digest_now(checkpoint: Checkpoint, cache: Path) -> str:
    """Of the content as it lies there; empty where it is gone."""
    if checkpoint.kind == "bm25":
        return checkpoint.digest
    if checkpoint.kind == "run":
        there = checkpoint.path.is_file()
        return str(baseline_fields(checkpoint.ref, cache)["digest"]) if there else ""
    return sha256_of(_file_hashes(checkpoint.path, cache)) if checkpoint.path.is_dir() else ""


def _locate(ref: str, cache: Path, remote_code: bool) -> Path:
    if ref.startswith("bundled:"):
        if ref != BUNDLED:
            raise ModelError(f"{ref}: no such bundled model; there is {BUNDLED}")
        from clir_core.model.bundled import unpack

        return unpack(cache)
    if ref.startswith("hf:"):
        return _download(ref, remote_code)
    path = Path(ref).expanduser().resolve()
    if not path.is_dir():
        raise ModelError(f"{ref}: no such directory; a model is hf:org/name@revision, a directory, or {BUNDLED}")
    return path


def _download(ref: str, remote_code: bool) -> Path:
    from huggingface_hub import snapshot_download

    name, _, revision = ref.removeprefix("hf:").partition("@")
    patterns = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", *(["*.py"] if remote_code else [])]
    commit, answers = _commit(name, revision or None)
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=patterns, local_files_only=not answers))
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


def _check_weights(ref: str, path: Path) -> None:
    """Every part that has weights has them as safetensors."""
    pickles = sorted(file for pattern in PICKLES for file in path.rglob(pattern) if file.name != "training_args.bin")
    unsafe = [file for file in pickles if _would_load(file) and file.relative_to(path).parts[0] not in OTHER_BACKENDS]
    if unsafe:
        names = ", ".join(str(file.relative_to(path)) for file in unsafe[:3])
        raise ModelError(
            f"{ref}: weights are pickled ({names}) and pickles can run code; load it once where you trust it and save "
            "it with SentenceTransformer(...).save_pretrained(DIR), which writes safetensors"
        )
    if not list(path.rglob("*.safetensors")):
        raise ModelError(f"{ref}: {path} has no weights (*.safetensors); is this the checkpoint's own directory?")
    if not (path / "config.json").exists() and not (path / "modules.json").exists():
        raise ModelError(
            f"{ref}: {path} has weights but neither config.json nor modules.json; save the whole checkpoint"
        )


def _would_load(pickle: Path) -> bool:
    # sentence-transformers takes pytorch_model.bin where model.safetensors is missing, whatever else lies beside it
    safe = "model.safetensors*" if pickle.name == "pytorch_model.bin" else "*.safetensors"
    return not list(pickle.parent.glob(safe))


def _check_code(ref: str, path: Path, remote_code: bool) -> None:
    modules = _read_json(path / "modules.json", list) or [{"path": ""}]
    configs = [path / str(module.get("path", "")) / "config.json" for module in modules]
    own = [f"auto_map in {file.relative_to(path)}" for file in configs if _read_json(file).get("auto_map")]
    types = [str(module.get("type", "sentence_transformers.")) for module in modules]
    own += [f"{name} in modules.json" for name in types if not name.startswith("sentence_transformers.")]
    if own and not remote_code:
        raise ModelError(
            f"{ref}: needs Python code of its own ({own[0]}), which does not run unless you read it and list the "
            "reference, with its pinned commit, in allow_remote_code"
        )


def _prompts(ref: str, spec: EncodingSpec, config: dict[str, Any]) -> tuple[str, str]:
    """Prompts of queries and documents: the spec's, else the checkpoint's, else the family's, else none."""
    own = {key: value for key, value in (config.get("prompts") or {}).items() if value}
    # the digits that a training's name ends with may happen to look like a family
    name = re.sub(r"-aligned-[0-9a-f]{8}$", "", _name(ref).lower())
    family = next(((query, document) for form, query, document in FAMILY_PROMPTS if re.search(form, name)), ("", ""))
    query = own.get("query", "") if own else family[0]
    document = (own.get("document") or own.get("passage") or "") if own else family[1]
    return (
        query if spec.query_prompt is None else spec.query_prompt,
        document if spec.document_prompt is None else spec.document_prompt,
    )


def _name(ref: str) -> str:
    """A short name for people and files: org/name of a hub's model, the last part of a directory."""
    if ref.startswith(("hf:", "bundled:")):
        return ref.partition(":")[2].partition("@")[0]
    return Path(ref).expanduser().resolve().name


def _read_json(path: Path, kind: type = dict) -> Any:
    """The object or list in a file; empty where there is no file."""
    if not path.exists():
        return kind()
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); fetch or save the checkpoint again") from error
    if not isinstance(found, kind):
        raise ModelError(f"{path}: holds no JSON {kind.__name__}; fetch or save the checkpoint again")
    return found


def _file_hashes(path: Path, cache: Path) -> dict[str, str]:
    """sha256 of every file that decides what a vector is, by its place in the checkpoint's directory."""
    files = {str(file.relative_to(path)): file for file in _deciding_files(path)}
    return dict(zip(files, hashes_of(files.values(), cache), strict=True))


def _deciding_files(path: Path) -> Iterator[Path]:
    """The files that decide what a vector is, in order: no read-mes, hidden files and trainer's steps."""
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        aside = any(part.startswith(".") or STEP_FOLDER.fullmatch(part) for part in parts)
        if not aside and file.suffix in DECIDING and file.is_file():
            yield file
