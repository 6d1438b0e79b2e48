"""Stored vectors as a checkpoint: its digest follows what is stored, and nothing else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clir_core.errors import ModelError
from clir_core.model.checkpoint import EncodingSpec, check_unchanged, resolve
from clir_core.workspace.lance import connect

AS_IT_IS = EncodingSpec()


def rows(seed: int = 0, n: int = 4) -> pa.Table:
    flat = pa.array(np.random.default_rng(seed).normal(size=n * 8).astype("f4"))
    ids = [f"d{i}" for i in range(n)]
    vectors = pa.FixedSizeListArray.from_arrays(flat, 8)
    return pa.table({"kind": ["document", "query"] * (n // 2), "id": ids, "vector": vectors})


def digest(ref: str, cache: Path) -> str:
    return resolve(ref, AS_IT_IS, cache, "bfloat16").digest


def test_a_directory_of_parquet_is_a_checkpoint(tmp_path: Path) -> None:
    place = tmp_path / "run7"
    place.mkdir()
    pq.write_table(rows(), place / "vectors.parquet")
    made = resolve(f"vectors:{place}", EncodingSpec(query_prompt="query: "), tmp_path, "bfloat16")
    assert (made.kind, made.name, made.ref, made.dtype) == ("vectors", "run7", f"vectors:{place}", "float32")
    assert made.normalize and made.prompt("query") == ""
    assert made.notes[0] == "prompts change nothing: these vectors were made before"
    dot = resolve(f"vectors:{place}?similarity=dot", AS_IT_IS, tmp_path, "float32")
    assert not dot.normalize and dot.digest != made.digest
    short = resolve(f"vectors:{place}", EncodingSpec(truncate_dim=8), tmp_path, "float32")
    assert short.digest == made.digest and short.vectors != made.vectors
    check_unchanged(made, tmp_path)
    moved = place.rename(tmp_path / "elsewhere")
    assert digest(f"vectors:{moved}", tmp_path) == made.digest
    with pytest.raises(ModelError, match="vanished while it was being read"):
        check_unchanged(made, tmp_path)


def test_another_vector_is_another_checkpoint(tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "vectors.parquet")
    made = resolve(f"vectors:{tmp_path}", AS_IT_IS, tmp_path / "cache", "float32")
    (tmp_path / "notes.txt").write_text("nothing that decides a vector")
    check_unchanged(made, tmp_path / "cache")
    pq.write_table(rows(seed=1), tmp_path / "vectors.parquet")
    with pytest.raises(ModelError, match=r"changed \(digest [0-9a-f]{12} to [0-9a-f]{12}\) while it was being read"):
        check_unchanged(made, tmp_path / "cache")


def test_a_lance_tables_digest_is_of_its_rows_in_whatever_version(tmp_path: Path) -> None:
    database, cache = connect(str(tmp_path / "db")), tmp_path / "cache"
    ref = f"vectors:{tmp_path}/db?table=t"
    table = database.create_table("t", rows())
    first = digest(ref, cache)
    table.add(rows(seed=2, n=2))
    second = digest(ref, cache)
    table.optimize()
    assert digest(ref, cache) == second != first
    table.delete("true")
    table.add(pa.concat_tables([rows(seed=2, n=2), rows()]))
    assert digest(ref, cache) == second, "the same rows in another order"
    # dropped and made again: a version has the number of an earlier one
    database.drop_table("t")
    database.create_table("t", rows(seed=3))
    assert digest(ref, cache) not in (first, second)
    database.drop_table("t")
    database.create_table("t", rows())
    assert digest(ref, cache) == first
    database.drop_table("t")
    with pytest.raises(ModelError, match=r"db has no table t; it has none"):
        digest(ref, cache)
