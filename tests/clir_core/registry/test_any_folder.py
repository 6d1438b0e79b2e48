"""Whatever a folder or a watch list holds: an answer, or an error of this project's own, and never a library's."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkpoint_files import ADAPTED, ADAPTER, FOLDERS, LAYERS, PLAIN, ROUTER, SHARDS, Files, write
from hypothesis import given
from hypothesis import strategies as st

from clir_core.errors import ClirError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.registry.discovery import discover
from clir_core.registry.watch import WatchList, read_watch_list

LAYOUTS = (PLAIN, LAYERS, FOLDERS, SHARDS, ROUTER, ADAPTER, ADAPTED)
CODE = ("README.md", "artifact.metadata", "wordembedding_config.json", "config_sentence_transformers.json")
# what keys of these files are called, so that values land where something reads them
KEYS = st.sampled_from(
    (
        "path", "type", "types", "architectures", "model_type", "prompts", "default_prompt_name", "similarity_fn_name",
        "auto_map", "weight_map", "base_model_name_or_path", "revision", "transformers_weights", "structure", "query",
        "document", "query_prefix", "document_prefix", "query_token_id", "tokenizer_class", "_name_or_path",
        "is_causal", "pooling_mode", "max_seq_length", "parameters", "idx", "name", "peft_type",
    )
) | st.text(max_size=3)  # fmt: skip
WORDS = st.sampled_from(
    (
        "", ".", "..", "../x", "/", "1_Pooling", "sentence_transformers.models.Transformer", "query_0", "cosine", "dot",
        "sentence_transformers.models.Router", "sentence_transformers.models.Dense", "BertModel", "HF_ColBERT", "\x00",
        "XForMaskedLM", "model.safetensors", "base", "\ud800",
        "sentence_transformers.sparse_encoder.models.SpladePooling", "CrossEncoder", "SparseEncoder", "ColBERT",
        "model2vec",
    )
) | st.text(max_size=5)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
VALUES = st.recursive(
    LEAVES, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=4), max_leaves=8
)


def changed(files: Files, draw: st.DataObject) -> dict[str, bytes]:
    """The files, some of them gone, cut off, garbage, or JSON of another make."""
    found = {**files, "LICENSE": b""}
    for name in draw.draw(st.lists(st.sampled_from((*files, *CODE)), min_size=1, max_size=3, unique=True)):
        how = draw.draw(st.sampled_from(("value", "merged", "merged", "gone", "cut", "garbage", "yaml")))
        known = found.pop(name, b"{}")
        if how in ("value", "merged"):
            value = draw.draw(VALUES if how == "value" else st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
            before = json.loads(known) if known.startswith(b"{") else {}
            found[name] = json.dumps({**before, **value} if how == "merged" else value).encode()
        elif how == "yaml":
            found[name] = f"---\n{draw.draw(st.text(max_size=20))}\n---\n".encode("utf-8", "replace")
        elif how != "gone":
            found[name] = known[: draw.draw(st.integers(0, len(known)))] if how == "cut" else draw.draw(st.binary())
    return found


@given(st.data())
def test_a_folder_is_a_checkpoint_or_an_error_of_our_own(draw: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        write(Path(place) / "in" / "base", PLAIN)
        files = changed(draw.draw(st.sampled_from(LAYOUTS)), draw)
        path = write(Path(place) / "in" / "m", files)
        watch = WatchList.model_validate(
            {"version": 1, "families": [{"name": "a", "sources": [{"kind": "directory", "path": f"{place}/in"}]}]}
        )
        found = discover(watch, Path(place))
        assert "base" in [one.label for one in found.seen]
        found.model_dump_json()
        with suppress(ClirError):
            checkpoint = resolve(str(path), EncodingSpec(), Path(place) / "cache", "float32")
            assert checkpoint == type(checkpoint).model_validate_json(checkpoint.model_dump_json())


WATCH = {
    "version": 1,
    "audit": {"corpus": "demo", "languages": ["de"]},
    "gate": {"metric": "complete@10"},
    "families": [
        {
            "name": "a",
            "baseline": "hf:o/n",
            "sources": [
                {"kind": "directory", "path": "in", "settle": 60, "marker": "DONE"},
                {"kind": "hub", "repo": "o/n", "revisions": "tags"},
                {"kind": "aligned"},
                {"kind": "reference", "ref": "vectors:/x"},
            ],
        }
    ],
}


def paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, one in inside for place in paths(one, (*above, key)))]


@given(st.sampled_from(paths(WATCH)[1:]), VALUES | st.floats() | st.dates() | st.binary(max_size=3))
def test_a_watch_list_is_one_or_names_what_is_wrong(place: tuple[Any, ...], value: object) -> None:
    watch = json.loads(json.dumps(WATCH))
    *above, last = place
    inside = watch
    for key in above:
        inside = inside[key]
    inside[last] = value
    check_watch_list(yaml.safe_dump(watch, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(
    st.binary() | st.text().map(str.encode) | st.text(alphabet="[]{}:-&*!|> \n\t'\"ab1", max_size=40).map(str.encode)
)
def test_so_is_any_file(data: bytes) -> None:
    check_watch_list(data)


@pytest.mark.parametrize("data", [b"[" * 9_000, b"a: &a [*a]", b"&a [*a]", b"? [a]\n: 1", b"1" * 5000, b"!!python/x 1"])
def test_so_are_these(data: bytes) -> None:
    check_watch_list(data)


def check_watch_list(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "watch.yaml"
        file.write_bytes(data)
        with suppress(ClirError):
            assert json.loads(read_watch_list(file).model_dump_json())["version"] == 1
