"""Checkpoints written by hand, file by file, in the layouts that people save."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

ST = "sentence_transformers.models"
Files = Mapping[str, bytes]


def weights(value: float = 1.0) -> bytes:
    """A safetensors file of two tensors, as the library itself writes it."""
    return save({"a": np.full((4, 3), value, np.float32), "b": np.arange(5, dtype=np.int64)})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


PLAIN: Files = {
    "config.json": as_json({"model_type": "bert"}),
    "tokenizer.json": as_json({"version": "1.0"}),
    "model.safetensors": weights(),
}
PARTS: Files = {
    "1_Pooling/config.json": as_json({"pooling_mode": "mean"}),
    "2_Dense/config.json": as_json({"in_features": 2}),
    "2_Dense/model.safetensors": weights(2.0),
}
LAYERS: Files = {
    **PLAIN,
    **PARTS,
    "modules.json": as_json(
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{ST}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{ST}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Dense", "type": f"{ST}.Dense"},
            {"idx": 3, "name": "3", "path": "3_Normalize", "type": f"{ST}.Normalize"},
        ]
    ),
}
# an old layout: the transformer, too, lies in a folder of its own
FOLDERS: Files = {
    **{f"0_Transformer/{name}": data for name, data in PLAIN.items()},
    "1_Pooling/config.json": PARTS["1_Pooling/config.json"],
    "modules.json": as_json(
        [
            {"idx": 0, "name": "0", "path": "0_Transformer", "type": f"{ST}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{ST}.Pooling"},
        ]
    ),
}
SHARDS: Files = {
    "config.json": PLAIN["config.json"],
    "tokenizer.json": PLAIN["tokenizer.json"],
    "model-00001-of-00002.safetensors": weights(1.0),
    "model-00002-of-00002.safetensors": weights(2.0),
    "model.safetensors.index.json": as_json(
        {"weight_map": {"x": "model-00001-of-00002.safetensors", "y": "model-00002-of-00002.safetensors"}}
    ),
}
# queries and documents take different ways
ROUTER: Files = {
    "modules.json": as_json([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}]),
    "router_config.json": as_json(
        {
            "types": {
                "query_0": "sentence_transformers.models.StaticEmbedding",
                "document_0": "sentence_transformers.models.StaticEmbedding",
            },
            "structure": {"query": ["query_0"], "document": ["document_0"]},
            "parameters": {"default_route": "document"},
        }
    ),
    "query_0/model.safetensors": weights(1.0),
    "query_0/tokenizer.json": as_json({"version": "1.0"}),
    "document_0/model.safetensors": weights(2.0),
    "document_0/tokenizer.json": as_json({"version": "1.0"}),
}
ADAPTER: Files = {
    "adapter_config.json": as_json({"base_model_name_or_path": "base", "r": 4}),
    "adapter_model.safetensors": weights(3.0),
}
# LoRA, as sentence-transformers saves it: the base's weights lie elsewhere
ADAPTED: Files = {
    **{name: data for name, data in LAYERS.items() if name not in ("config.json", "model.safetensors")},
    **ADAPTER,
}


def write(directory: Path, files: Files, age: float = 1000.0) -> Path:
    """Write them, as if `age` seconds ago."""
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    made_ago(directory, age)
    return directory


def made_ago(directory: Path, age: float) -> None:
    """Give all at and below a directory one time of change, folders last."""
    then = time.time() - age
    for path in (*directory.rglob("*"), directory):
        os.utime(path, (then, then))
