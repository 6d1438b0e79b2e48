"""What lies in a checkpoint's directory: its modules, and the files that decide what a vector is.

Only safetensors are ever loaded, and a checkpoint's own Python code only where the spec allows that very commit.
"""

import json
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from clir_core.errors import ModelError

MODULES, CONFIG, SENTENCE_CONFIG = "modules.json", "config.json", "config_sentence_transformers.json"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED_ADAPTER = "adapter_model.bin"
ROUTER_CONFIG = "router_config.json"
LONGEST_JSON = 100_000_000  # bytes
COLBERT = "artifact.metadata"  # JSON, of Stanford's code
STEP_FOLDER = re.compile(r"checkpoint-\d+")  # what a trainer saves on its way: none of the checkpoint above it
_TRANSFORMER = "sentence_transformers.models.Transformer"
_INDEX = ".safetensors.index.json"
_NAMED = "transformers_weights"  # in a configuration: the file to load in place of the usual one
_LIBRARY = "sentence_transformers."
# its classes that read a module's folder, older names too: a path into the library may end at anything else, too
_KINDS = frozenset(
    (
        "Asym", "BoW", "CLIPModel", "CNN", "CSRSparsity", "Dense", "Dropout", "HierarchicalTokenPooling", "IDF", "LSTM",
        "LayerNorm", "LogitScore", "MLMTransformer", "MultiVectorMask", "Normalize", "Pooling", "Router",
        "SparseAutoEncoder", "SparseStaticEmbedding", "SpladePooling", "StaticEmbedding", "Transformer",
        "WeightedLayerPooling", "WordEmbeddings", "WordWeights",
    )
)  # fmt: skip
_TRANSFORMERS = ("CLIPModel", "MLMTransformer", "Transformer")  # of these, read by transformers itself
_WORD_TOKENIZERS = ("PhraseTokenizer", "TransformersTokenizerWrapper", "WhitespaceTokenizer")
# sentence-transformers reads PyLate's layers by classes of its own
_KNOWN_ELSEWHERE = ("pylate.models.Dense.Dense",)
# what a library reads beside weights, by the words in its name: tokenizers, templates, configurations
_READ = re.compile(
    r"config|modules|tokenizer|special_tokens|added_tokens|vocab|merges|dict|chat_template|idf|\.index\."
)
_WORDS = re.compile(
    r"tokenizer\.json|.*vocab.*|merges\.txt|dict\.txt|.*\.(model|tiktoken|codes|spm)|tekken\.json|.*\.bpe"
)
_UNREAD = re.compile(r"generation_config\.json|.*\.onnx.*|openvino_.*")
_DECIDING = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".codes")
# weights of a kind that is never loaded, by the ends of their names
_OTHERS = {
    "ONNX": (".onnx",),
    "OpenVINO": ("openvino_model.bin", "openvino_model.xml"),
    "GGUF": (".gguf",),
    "TensorFlow": (".h5", ".ckpt.index"),
    "Flax": (".msgpack",),
}


class Module(NamedTuple):
    """One part of a checkpoint: the class that reads it, and its folder as seen from the checkpoint's."""

    type: str
    folder: str

    @property
    def kind(self) -> str:
        """The class without its module: Transformer, Pooling, Dense."""
        return self.type.rpartition(".")[2]


def modules_of(ref: str, path: Path) -> tuple[Module, ...]:
    """The modules of modules.json, and those inside of a Router; without that file, one transformer.

    ModelError where one leads out of the checkpoint.
    """
    listed = read_json(path / MODULES, list)
    if not (path / MODULES).exists():
        return (Module(_TRANSFORMER, ""),)
    if not all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in listed):
        raise ModelError(f"{ref}: {MODULES} does not list modules with a type and a path; save the checkpoint again")
    modules = [Module(one["type"], str(one.get("path") or "")) for one in listed]
    outside = [one.folder for one in modules if _leads_out(one.folder)]
    if outside:
        raise ModelError(
            f"{ref}: {MODULES} names {outside[0]!r}, which lies outside of the checkpoint; put that module into a "
            "folder of its own inside"
        )
    return tuple(inner for module in modules for inner in _with_routes(path, module))


def check_safe(ref: str, path: Path, modules: Sequence[Module], remote_code: bool) -> None:
    """ModelError where weights that would be loaded are pickled or missing, or the checkpoint's own code would run."""
    for folder in dict.fromkeys(("", *(module.folder for module in modules))):
        for file in (path / folder).glob("*"):
            if file.exists() and not file.is_dir():
                check_ordinary(file)
    for module in modules:
        unsafe = [file.name for file in files_in(path / module.folder) if _would_load(file, module.kind)]
        if unsafe:
            names = ", ".join(str(PurePosixPath(module.folder) / name) for name in unsafe[:3])
            raise ModelError(
                f"{ref}: weights are pickled ({names}) and pickles can run code; load it once where you trust it and "
                "save it with SentenceTransformer(...).save_pretrained(DIR), which writes safetensors"
            )
    own = _own_code(path, modules)
    if own and not remote_code:
        raise ModelError(
            f"{ref}: needs Python code of its own ({own[0]}), which does not run unless you read it and list the "
            "reference, with its pinned commit, in allow_remote_code"
        )
    weights = [_weights(path / module.folder) for module in modules]
    if not any(weights):
        raise ModelError(f"{ref}: {path} has no weights (*.safetensors){_instead(path)}")
    for module in modules:
        if module.kind == "Transformer" and not remote_code and not _has_tokenizer(path / module.folder):
            raise ModelError(
                f"{ref}: {path / module.folder} has no tokenizer (tokenizer.json, vocab.txt, *.model, ...): every word "
                "would be an unknown one; save the whole checkpoint"
            )
    if not any((path / name).exists() for name in (CONFIG, MODULES, ADAPTER_CONFIG)):
        raise ModelError(f"{ref}: {path} has weights but neither {CONFIG} nor {MODULES}; save the whole checkpoint")


def deciding_files(path: Path, modules: Sequence[Module], remote_code: bool = False) -> dict[str, Path]:
    """The files that decide what a vector is, by their place in the checkpoint, in order.

    Those that are read: of the checkpoint's folder and of its modules', wherever links lead; no trainer's states, logs,
    read-mes, results and exports.
    """
    found = {}
    for folder in sorted({"", *(module.folder for module in modules)}):
        is_part = folder not in ("", ".")
        for file in files_in(path / folder):
            if _decides(file, is_part, remote_code):
                found[str(PurePosixPath(folder) / file.name)] = file
    return found


def files_in(folder: Path) -> list[Path]:
    """The files that lie in a folder, also through links, in order; not what lies below, nor hidden ones."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def read_json(path: Path, kind: type = dict) -> Any:
    """The object or list in a file; empty where there is no file. ModelError where it holds something else."""
    if not path.exists():
        return kind()
    check_ordinary(path)
    if (size := path.stat().st_size) > LONGEST_JSON:
        raise ModelError(f"{path}: has {size:,} bytes, which no configuration has; fetch or save the checkpoint again")
    try:
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}); fetch or save the checkpoint again") from error
    if not isinstance(value, kind):
        raise ModelError(f"{path}: holds no JSON {kind.__name__}; fetch or save the checkpoint again")
    return value


def check_ordinary(path: Path) -> None:
    """ModelError where it is a pipe, a socket, a device, or a folder: whoever reads it may wait for ever."""
    if not path.is_file():
        raise ModelError(f"{path}: is no ordinary file; put the file itself there, or save the checkpoint again")


def _with_routes(path: Path, module: Module) -> Iterator[Module]:
    yield module
    if module.kind != "Router":
        return
    config = read_json(path / module.folder / ROUTER_CONFIG) or read_json(path / module.folder / CONFIG)
    types = config.get("types")
    for folder, name in (types if isinstance(types, dict) else {}).items():
        inside = str(PurePosixPath(module.folder) / folder)
        if _leads_out(inside):
            raise ModelError(f"{path}: its router names {folder!r}, which lies outside of the checkpoint")
        yield Module(str(name), inside)


def _leads_out(folder: str) -> bool:
    return folder.startswith(("/", "\\")) or ":" in folder or ".." in re.split(r"[/\\]", folder)


def _decides(file: Path, is_part: bool, remote_code: bool) -> bool:
    if file.suffix == ".safetensors":
        return file.name in _weights(file.parent)
    if file.suffix == ".py":
        return remote_code
    if file.name == COLBERT:
        return True
    if file.suffix not in _DECIDING or _UNREAD.fullmatch(file.name):
        return False
    # a tokenizer's model needs no telling name; a module's folder holds nothing but the module
    return is_part or file.suffix in (".model", ".tiktoken", ".codes") or bool(_READ.search(file.name))


def _has_tokenizer(folder: Path) -> bool:
    """Whether words lie there, in any of the forms that libraries save: settings alone have none."""
    return any(_WORDS.fullmatch(file.name) for file in files_in(folder))


def _weights(folder: Path) -> set[str]:
    """Names of the safetensors that are loaded from a folder.

    The one that the configuration names, else the usual name, else the indexed shards, else all. ModelError where
    something else than a safetensors file there would be loaded.
    """
    there = {file.name for file in files_in(folder) if file.suffix == ".safetensors"}
    if ADAPTER_WEIGHTS in there and (folder / ADAPTER_CONFIG).exists():
        return {ADAPTER_WEIGHTS}
    if named := read_json(folder / CONFIG).get(_NAMED):
        if str(named).endswith(_INDEX):
            _checked(folder / CONFIG, [named], _INDEX)
            return _shards(folder / str(named))
        return _checked(folder / CONFIG, [named])
    if "model.safetensors" in there:
        return {"model.safetensors"}
    indices = [file for file in files_in(folder) if file.name.endswith(_INDEX)]
    shards = {name for index in indices for name in _shards(index)}
    return shards & there or there


def _shards(index: Path) -> set[str]:
    found = read_json(index).get("weight_map")
    return _checked(index, found.values() if isinstance(found, dict) else [found] if found else [])


def _checked(file: Path, names: Iterable[object], ending: str = ".safetensors") -> set[str]:
    """The names of weights in a file, where they are names of safetensors beside it: others, too, would be loaded."""
    for name in names:
        if not isinstance(name, str) or not name.endswith(ending) or "/" in name or "\\" in name:
            raise ModelError(
                f"{file}: names weights {name!r}, which are no safetensors beside it; save the whole checkpoint again"
            )
    return {str(name) for name in names}


def _would_load(file: Path, kind: str) -> bool:
    """Whether a module of this kind would read a pickle, as no safetensors that it reads lie beside it."""
    if kind not in _TRANSFORMERS:
        return file.name == "pytorch_model.bin" and not (file.parent / "model.safetensors").is_file()
    if not re.fullmatch(r".*model.*\.bin", file.name) or file.name.startswith("openvino"):
        return False
    if file.name == PICKLED_ADAPTER:
        return not (file.parent / ADAPTER_WEIGHTS).exists()
    return not any(file.parent.glob("*model*.safetensors*"))


def _instead(path: Path) -> str:
    """What is there in place of weights that can be loaded, and what to do."""
    names = [file.name for file in path.rglob("*") if file.is_file()]
    kinds = [kind for kind, ends in _OTHERS.items() if any(name.endswith(ends) for name in names)]
    if kinds:
        return f", only {' and '.join(kinds)}; give the checkpoint that this was exported from"
    below = sorted(folder.name for folder in path.iterdir() if STEP_FOLDER.fullmatch(folder.name))
    if below:
        return f", but folders of steps; give one of them, such as {path / below[-1]}"
    return "; is this the checkpoint's own directory?"


def _own_code(path: Path, modules: Sequence[Module]) -> list[str]:
    """Where a checkpoint asks for code of its own."""
    found = []
    for module in modules:
        for name in (CONFIG, "tokenizer_config.json"):
            if read_json(path / module.folder / name).get("auto_map"):
                found.append(f"auto_map in {PurePosixPath(module.folder) / name}")
        words = read_json(path / module.folder / "wordembedding_config.json").get("tokenizer_class")
        if words and not _is_known(str(words), _WORD_TOKENIZERS):
            found.append(f"{words} in {PurePosixPath(module.folder) / 'wordembedding_config.json'}")
    others = [module.type for module in modules if not _is_known(module.type, _KINDS)]
    return found + [f"{name} in {MODULES}" for name in others if name not in _KNOWN_ELSEWHERE]


def _is_known(type_: str, names: Container[str]) -> bool:
    return type_.startswith(_LIBRARY) and type_.rpartition(".")[2] in names
