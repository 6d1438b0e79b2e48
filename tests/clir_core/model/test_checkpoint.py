"""References, what makes a checkpoint safe to load, whose prompts count, and what identifies it.

Checkpoints here are written by hand, in the layout that the hub serves; test_encoder loads real ones.
"""

import hashlib
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from clir_core.errors import ClirError, ModelError, StoreError
from clir_core.model import checkpoint as models
from clir_core.model.bundled import unpack
from clir_core.model.checkpoint import BUNDLED, Checkpoint, EncodingSpec, check_unchanged, resolve

NO_CACHE = Path("/dev/null")  # where no directory can be made
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ST = "sentence_transformers.models"
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": f"{ST}.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{ST}.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": f"{ST}.Dense"},
]
Make = Callable[..., Path]


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def save_weights(path: Path, value: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.full(4, value, np.float32)}, path)


def save_pickle(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"weight": 1.0}))


def save(directory: Path, **st_config: object) -> Path:
    """A checkpoint of three modules; st_config goes into config_sentence_transformers.json."""
    write(directory / "config.json", {"model_type": "bert"})
    write(directory / "modules.json", MODULES)
    write(directory / "tokenizer.json", {"version": "1.0"})
    write(directory / "1_Pooling" / "config.json", {"pooling_mode": "mean"})
    write(directory / "2_Dense" / "config.json", {"in_features": 2, "out_features": 2})
    save_weights(directory / "model.safetensors")
    save_weights(directory / "2_Dense" / "model.safetensors")
    if st_config:
        write(directory / "config_sentence_transformers.json", st_config)
    return directory


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name="model", **st_config: save(tmp_path / name, **st_config)


def load(ref: Path | str, dtype: str = "float32", **spec: object) -> Checkpoint:
    return resolve(str(ref), EncodingSpec(**spec), NO_CACHE, dtype)


def identity(checkpoint: Checkpoint) -> tuple[str, str]:
    return checkpoint.digest, checkpoint.vectors


def refused(ref: Path | str, *parts: str, **spec: object) -> None:
    """The reference is refused by name, with a message that holds every part."""
    with pytest.raises(ModelError) as caught:
        load(ref, **spec)
    for part in (str(ref), *parts):
        assert part in str(caught.value)


# references


def test_a_directory_is_a_checkpoint_by_its_last_name(make: Make, tmp_path: Path) -> None:
    path = make("my-model")
    found = load(f"{tmp_path}/x/../my-model/")
    assert (found.name, found.path) == ("my-model", path)
    assert (found.max_tokens, found.truncate_dim, found.dtype, found.remote_code) == (512, None, "float32", False)


def test_a_directory_below_the_home_directory_may_be_written_with_a_tilde(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("my-model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("~/my-model").path == tmp_path / "my-model"


def test_a_missing_directory_is_refused_with_the_forms_that_a_reference_has(tmp_path: Path) -> None:
    refused(tmp_path / "gone", "no such directory", "hf:org/name@revision", BUNDLED)
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "no such directory")


def test_another_bundled_model_is_refused_with_the_one_that_there_is() -> None:
    refused("bundled:multilingual-e5-large", BUNDLED)


def test_the_bundled_model_is_an_ordinary_checkpoint(bundled_checkpoint: Path) -> None:
    found = resolve(BUNDLED, EncodingSpec(), bundled_checkpoint.parent, "float32")
    assert (found.name, found.path) == ("multilingual-e5-small-q4", bundled_checkpoint)
    assert (found.query_prompt, found.document_prompt) == ("query: ", "passage: ")
    assert identity(found) == identity(load(bundled_checkpoint))
    # it outlives an upgrade of the libraries that unpack it
    configs = "".join(file.read_text() for file in bundled_checkpoint.rglob("*config*.json"))
    assert "version" not in configs


def test_unpacking_where_another_run_was_faster_takes_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_conversion(source: Path, scratch: Path) -> None:
        save(scratch)
        save(tmp_path / "multilingual-e5-small-q4", prompts={"query": "the other run's"})

    monkeypatch.setattr("clir_core.model.packed.convert", slow_conversion)
    assert load(unpack(tmp_path)).query_prompt == "the other run's"
    assert [path.name for path in tmp_path.iterdir()] == ["multilingual-e5-small-q4"]


def test_unpacking_where_no_directory_can_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=f"{tmp_path}/file/models/.*: cannot be read or written"):
        unpack(tmp_path / "file" / "models")


# a hub's checkpoint, in the cache that the hub's client keeps


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The snapshot of org/e5-demo's main branch, at COMMIT, in a hub cache; no other is there."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--org--e5-demo"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return save(repository / "snapshots" / COMMIT)


def test_a_hub_reference_is_found_by_branch_or_commit(hub: Path) -> None:
    for ref in ("hf:org/e5-demo", "hf:org/e5-demo@main", f"hf:org/e5-demo@{COMMIT}"):
        found = load(ref)
        assert (found.name, found.path, found.ref) == ("org/e5-demo", hub, ref)
        assert found.query_prompt == "query: "
    assert identity(load("hf:org/e5-demo")) == identity(load(f"hf:org/e5-demo@{COMMIT}"))


@pytest.mark.parametrize("ref", ["hf:org/unknown", "hf:org/e5-demo@v2", "hf:not/a/name", "hf:"])
def test_what_the_hub_does_not_give_is_refused_with_what_to_check(ref: str, hub: Path) -> None:
    refused(ref, "cannot be fetched", "revision", "network", "local directory")


def test_a_hub_that_does_not_answer_keeps_nobody_waiting(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(models, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert load("hf:org/e5-demo@main").path == hub
        refused("hf:org/unknown", "cannot be fetched", "network")


def test_files_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save(tmp_path / "model")

    def denied(*_: object) -> str:
        raise PermissionError(13, "Permission denied", "tokenizer.json")

    # the tests may run as root, whom nobody keeps from reading
    monkeypatch.setattr(hashlib, "file_digest", denied)
    with pytest.raises(ClirError, match=r"model: cannot be read or written .*tokenizer\.json"):
        load(str(model))


def test_a_checkpoints_own_code_runs_only_where_that_very_commit_is_allowed(hub: Path) -> None:
    write(hub / "config.json", {"model_type": "own", "auto_map": {"AutoModel": "own.Model"}})
    pinned, branch = f"hf:org/e5-demo@{COMMIT}", "hf:org/e5-demo@main"
    refused(pinned, "auto_map in config.json", "allow_remote_code")
    refused(pinned, "allow_remote_code", allow_remote_code=(branch,))
    refused(branch, "pinned commit", "40 digits", allow_remote_code=(branch,))
    refused(f"hf:org/e5-demo@{COMMIT[:12]}", "40 digits", allow_remote_code=(f"hf:org/e5-demo@{COMMIT[:12]}",))
    assert load(pinned, allow_remote_code=(pinned,)).remote_code


def test_a_directorys_own_code_never_runs(make: Make) -> None:
    path = make()
    write(path / "config.json", {"auto_map": {"AutoModel": "own.Model"}})
    refused(path, "auto_map in config.json")
    refused(path, "pinned commit", "40 digits", allow_remote_code=(str(path),))


def test_own_code_in_a_module_is_refused_too(make: Make) -> None:
    path = make("folder")
    write(path / "modules.json", [{"path": "0_Transformer", "type": f"{ST}.Transformer"}])
    write(path / "0_Transformer" / "config.json", {"auto_map": {"AutoModel": "own.Model"}})
    refused(path, "auto_map in 0_Transformer/config.json")
    path = make("class")
    write(path / "modules.json", [{"path": "", "type": "own_transformer.Transformer"}])
    refused(path, "own_transformer.Transformer in modules.json", "allow_remote_code")


# weights


def test_pickled_weights_are_refused_wherever_they_lie(make: Make) -> None:
    path = make("root")
    (path / "model.safetensors").unlink()
    save_pickle(path / "pytorch_model.bin")
    refused(path, "pickled (pytorch_model.bin)", "save_pretrained")
    path = make("folder")
    (path / "2_Dense" / "model.safetensors").unlink()
    save_pickle(path / "2_Dense" / "pytorch_model.bin")
    refused(path, "pickled (2_Dense/pytorch_model.bin)", "save_pretrained")
    # sentence-transformers looks for model.safetensors by name
    save_weights(path / "2_Dense" / "decoy.safetensors")
    refused(path, "pickled (2_Dense/pytorch_model.bin)")


def test_pickles_that_nothing_loads_are_no_obstacle(make: Make) -> None:
    path = make()
    before = load(path)
    names = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "2_Dense/pytorch_model.bin")
    for name in (*names, "openvino/openvino_model.bin"):
        save_pickle(path / name)
    assert load(path) == before


def test_weights_in_parts_are_weights(make: Make) -> None:
    path = make()
    (path / "model.safetensors").rename(path / "model-00001-of-00001.safetensors")
    write(path / "model.safetensors.index.json", {"weight_map": {"weight": "model-00001-of-00001.safetensors"}})
    save_pickle(path / "pytorch_model.bin")
    assert load(path).name == "model"


def test_a_directory_without_weights_or_without_config_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no weights", "*.safetensors")
    path = make()
    (path / "config.json").unlink()
    (path / "modules.json").unlink()
    refused(path, "neither config.json nor modules.json")


@pytest.mark.parametrize("name", ["config.json", "modules.json", "config_sentence_transformers.json"])
@pytest.mark.parametrize("text", ['{"cut off', '"a string"', "\udcff"])
def test_json_that_cannot_be_read_is_named(name: str, text: str, make: Make) -> None:
    path = make()
    (path / name).write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ModelError, match=f"{path / name}: .*again"):
        load(path)


def test_only_cosine_and_dot_products_can_be_audited(make: Make) -> None:
    refused(make("a", similarity_fn_name="euclidean"), "euclidean")
    refused(make("b", similarity_fn_name="manhattan"), "manhattan")
    assert not load(make("c", similarity_fn_name="dot")).normalize
    assert load(make("d", similarity_fn_name="cosine")).normalize
    assert load(make("e", similarity_fn_name=None)).normalize
    assert load(make("f")).normalize


# prompts: of the model cards

BGE_EN = "Represent this sentence for searching relevant passages: "
CARDS = {
    "e5-small": ("query: ", "passage: "),
    "e5-base-v2": ("query: ", "passage: "),
    "multilingual-e5-large": ("query: ", "passage: "),
    "my_e5_tuned": ("query: ", "passage: "),
    "mye5x": ("", ""),
    "e5x-small": ("", ""),
    "e55": ("", ""),
    "base5-instruct": ("", ""),
    "bge-base-en-v1.5": (BGE_EN, ""),
    "bge-large-en": (BGE_EN, ""),
    "bge-m3": ("", ""),
    "gte-multilingual-base": ("", ""),
    "paraphrase-multilingual-MiniLM-L12-v2": ("", ""),
    "jina-embeddings-v3": (
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_checkpoint_that_says_nothing_of_prompts_gets_its_familys(name: str, make: Make) -> None:
    found = load(make(name))
    assert (found.query_prompt, found.document_prompt) == CARDS[name]
    assert (found.prompt("query"), found.prompt("document")) == CARDS[name]


@pytest.mark.parametrize("name", ["multilingual-e5-large-instruct", "E5-mistral-7b-Instruct"])
def test_instructed_e5_asks_with_a_task_and_reads_plain_documents(name: str, make: Make) -> None:
    found = load(make(name))
    assert found.query_prompt.startswith("Instruct: ") and found.query_prompt.endswith("\nQuery: ")
    assert found.document_prompt == ""


def test_a_family_is_recognised_by_a_hubs_name_too(hub: Path) -> None:
    assert load("hf:org/e5-demo").document_prompt == "passage: "


def test_the_checkpoints_own_prompts_come_before_its_familys(make: Make) -> None:
    found = load(make("e5-small", prompts={"query": "ask: ", "document": "doc: "}))
    assert (found.query_prompt, found.document_prompt) == ("ask: ", "doc: ")
    found = load(make("e5-base", prompts={"query": "ask: ", "passage": "read: "}))
    assert (found.query_prompt, found.document_prompt) == ("ask: ", "read: ")
    # one that prompts its queries only means its documents to be plain
    found = load(make("e5-large", prompts={"query": "ask: ", "document": ""}))
    assert (found.query_prompt, found.document_prompt) == ("ask: ", "")


def test_the_specs_prompts_come_before_all_others_even_empty_ones(make: Make) -> None:
    path = make("e5-small", prompts={"query": "ask: ", "document": "doc: "})
    found = load(path, query_prompt="", document_prompt="text: ")
    assert (found.query_prompt, found.document_prompt) == ("", "text: ")
    found = load(path, query_prompt="q: ")
    assert (found.query_prompt, found.document_prompt) == ("q: ", "doc: ")


# identity: of the content, and of the vectors


def weights_changed(path: Path) -> None:
    save_weights(path / "model.safetensors", 1.0000001)


def module_weights_changed(path: Path) -> None:
    save_weights(path / "2_Dense" / "model.safetensors", 2.0)


def pooling_changed(path: Path) -> None:
    write(path / "1_Pooling" / "config.json", {"pooling_mode": "cls"})


def tokenizer_changed(path: Path) -> None:
    write(path / "tokenizer.json", {"version": "1.0", "normalizer": {"type": "Lowercase"}})


def vocabulary_added(path: Path) -> None:
    (path / "vocab.txt").write_text("[PAD]\n")


def prompts_changed(path: Path) -> None:
    write(path / "config_sentence_transformers.json", {"prompts": {"query": "q: "}})


@pytest.mark.parametrize(
    "change",
    [weights_changed, module_weights_changed, pooling_changed, tokenizer_changed, vocabulary_added, prompts_changed],
)
def test_both_identities_change_with_a_file_that_decides_vectors(change: Callable[[Path], None], make: Make) -> None:
    path = make()
    before = load(path)
    change(path)
    after = load(path)
    assert before.digest != after.digest and before.vectors != after.vectors
    assert identity(after) == identity(load(path))


@pytest.mark.parametrize(
    "spec",
    [
        {"query_prompt": "q: "},
        {"document_prompt": "d: "},
        {"max_tokens": 256},
        {"truncate_dim": 64},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_a_setting_makes_other_vectors_of_the_same_content(spec: dict, make: Make) -> None:
    path = make()
    before, after = load(path), load(path, **spec)
    assert before.vectors != after.vectors and before.digest == after.digest


def test_the_digest_is_that_of_the_files_wherever_they_lie_and_whatever_the_folder_is_called(make: Make) -> None:
    path, renamed = load(make("model")), load(make("e5-small"))
    assert path.query_prompt != renamed.query_prompt and path.vectors != renamed.vectors
    files = {str(file.relative_to(path.path)): file for file in sorted(path.path.rglob("*")) if file.is_file()}
    content = {
        name: json.dumps(json.loads(file.read_bytes()), sort_keys=True).encode()
        if file.suffix == ".json"
        else file.read_bytes()
        for name, file in files.items()
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    assert path.digest == renamed.digest == hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def test_identity_stays_with_what_decides_nothing(make: Make, tmp_path: Path) -> None:
    path = make()
    before = identity(load(path))
    (path / "README.md").write_text("# A model")
    (path / ".gitattributes").write_text("*.safetensors filter=lfs")
    (path / ".cache").mkdir()
    (path / ".cache" / "state.json").write_text("{}")
    assert identity(load(path)) == before
    # what a trainer saved on its way, and takes away again
    save(path / "checkpoint-500")
    assert identity(load(path)) == before
    (path / "model.safetensors").touch()
    assert identity(load(path)) == before
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(path, tmp_path / "elsewhere" / "other-name")
    assert identity(load(moved)) == before
    # as the hub's cache has it: links to files of other names
    (tmp_path / "linked").mkdir()
    for file in moved.rglob("*"):
        if file.is_file():
            (tmp_path / "linked" / file.relative_to(moved)).parent.mkdir(exist_ok=True)
            (tmp_path / "linked" / file.relative_to(moved)).symlink_to(file)
    assert identity(load(tmp_path / "linked")) == before


def test_a_prompt_that_the_spec_repeats_changes_nothing(make: Make) -> None:
    path = make("e5-small")
    assert load(path).vectors == load(path, query_prompt="query: ").vectors


# a checkpoint that changes while it is read


def test_a_checkpoint_that_stayed_as_it_was_is_unchanged(make: Make) -> None:
    path = make()
    settings = {"query_prompt": "q: ", "max_tokens": 64, "truncate_dim": 8}
    for found in (load(path), load(path, dtype="bfloat16", **settings), load(make("dot", similarity_fn_name="dot"))):
        check_unchanged(found, NO_CACHE)
    (path / "README.md").write_text("# A model")
    (path / ".cache").mkdir()
    (path / "model.safetensors").touch()
    check_unchanged(load(path), NO_CACHE)


def file_gone(path: Path) -> None:
    (path / "2_Dense" / "model.safetensors").unlink()


def other_weights_of_the_same_size_and_time(path: Path) -> None:
    file = path / "model.safetensors"
    before = file.stat()
    save_weights(file, 3.0)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size


def all_files_gone(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize(
    "change",
    [
        weights_changed,
        other_weights_of_the_same_size_and_time,
        prompts_changed,
        vocabulary_added,
        file_gone,
        all_files_gone,
    ],
)
def test_a_checkpoint_whose_files_changed_is_named_with_both_digests(
    change: Callable[[Path], None], make: Make
) -> None:
    path = make()
    found = load(path)
    change(path)
    with pytest.raises(ModelError, match=f"^{path}: changed .*rename") as caught:
        check_unchanged(found, NO_CACHE)
    assert found.digest[:12] in str(caught.value)


def test_a_checkpoint_that_is_gone_has_vanished(make: Make, tmp_path: Path) -> None:
    path = make()
    found = load(path)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=f"^{path}: vanished while it was being read"):
        check_unchanged(found, NO_CACHE)
    path.write_text("a file now")
    with pytest.raises(ModelError, match="vanished"):
        check_unchanged(found, NO_CACHE)


def test_a_file_that_goes_while_it_is_looked_for_is_no_crash(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make()
    found = load(path)

    def gone(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "open", gone)
    with pytest.raises(ModelError, match="vanished"):
        check_unchanged(found, NO_CACHE)


# what imports it is a specification or a command that starts


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, clir_core.model.checkpoint, clir_core.workspace.storage; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "lancedb", "ray", "prefect", "matplotlib", "numba", "polars", "pyarrow", "numpy"}
    assert "clir_core.model.checkpoint" in told.split() and not heavy & set(told.split())
