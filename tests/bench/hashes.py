"""What it costs to tell known checkpoints again: the nightly resolves all of them, an audit its own three times.

Makes checkpoints of random bytes in a temporary folder, lets their files settle, and resolves all of them twice.
    python tests/bench/hashes.py [--checkpoints 20] [--megabytes 100]
"""

import argparse
import hashlib
import json
import os
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from clir_core.model.checkpoint import EncodingSpec, resolve

SETTLES = 2.5  # seconds until a change of a file would show
MEGABYTE = 1_000_000


class Read:
    """Counts the bytes that are hashed."""

    def __init__(self) -> None:
        self.bytes = 0
        self._digest = hashlib.file_digest

    def __call__(self, stream: Any, name: str) -> Any:
        self.bytes += os.fstat(stream.fileno()).st_size
        return self._digest(stream, name)


def make(directory: Path, size: int) -> str:
    """A checkpoint whose weights are one tensor of so many bytes. Returns its reference."""
    directory.mkdir()
    for name, text in (("config.json", '{"model_type": "bert"}'), ("tokenizer.json", '{"version": "1.0"}')):
        (directory / name).write_text(text, "utf-8")
    header = json.dumps({"weight": {"dtype": "I8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with (directory / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        for start in range(0, size, MEGABYTE):
            stream.write(os.urandom(min(MEGABYTE, size - start)))
    return str(directory)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--checkpoints", type=int, default=20)
    options.add_argument("--megabytes", type=int, default=100)
    asked = options.parse_args()
    hashlib.file_digest = read = Read()  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        refs = [make(Path(folder) / f"model-{i}", asked.megabytes * MEGABYTE) for i in range(asked.checkpoints)]
        time.sleep(SETTLES)
        for name in ("first", "second"):
            read.bytes, wall, cpu = 0, time.perf_counter(), time.process_time()
            for ref in refs:
                resolve(ref, EncodingSpec(), Path(folder) / "models", "float32")
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{name}: {read.bytes / MEGABYTE:,.1f} MB read, {wall:.2f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
