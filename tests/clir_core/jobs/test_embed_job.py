"""Embedding with real actors: every text is stored once, nothing is encoded twice, errors arrive as they were."""

import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import lancedb
import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

from clir_core.audit.result import Embedded, TableRead
from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import ModelError
from clir_core.jobs.embed import EncoderPool
from clir_core.jobs.workers import encoders
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.rank.store import VectorTable, rows
from clir_core.runs import embed
from clir_core.runs.embed import embed_missing, missing_blocks, place_of
from clir_core.sources import read_corpus
from clir_core.workspace.progress import Progress

BLOCK = 20
embed_corpus = partial(embed.embed_corpus, encoders=encoders)


class InterruptedRunError(Exception):
    """A run that is cut off."""


def ignore(done: int, total: int) -> None:
    """Progress of no interest."""


def stop_after(blocks: int) -> Progress:
    calls = iter(range(blocks))

    def progress(done: int, total: int) -> None:
        if next(calls, None) is None:
            raise InterruptedRunError

    return progress


def new_table(directory: Path) -> VectorTable:
    return VectorTable.create(str(directory / "lancedb"), "t", 32)


def reopened(table: VectorTable) -> VectorTable:
    return VectorTable(table.uri, table.name)


def stored(table: VectorTable, texts: pl.DataFrame) -> np.ndarray:
    """The vectors of these texts, in their order."""
    table = reopened(table)
    return table.vectors(table.find(texts)["row_id"].to_numpy())


def n_missing(table: VectorTable, texts: pl.DataFrame) -> int:
    return reopened(table).find(texts)["row_id"].null_count()


def read(found: TableRead) -> pl.DataFrame:
    """All rows of a table at a version, by LanceDB alone."""
    table = lancedb.connect(found.uri).open_table(found.table)
    table.checkout(found.version)
    return pl.DataFrame(pl.from_arrow(table.to_arrow()))


def change_text(texts: pl.DataFrame, at: int, text: str) -> pl.DataFrame:
    """The texts with another one in one place, and another hash with it."""
    here = pl.int_range(pl.len()) == at
    return texts.with_columns(
        text=pl.when(here).then(pl.lit(text)).otherwise("text"),
        text_hash=pl.when(here).then(pl.lit(f"hash of {text}")).otherwise("text_hash"),
    )


@pytest.fixture(scope="module")
def texts(corpus: Corpus) -> pl.DataFrame:
    return document_texts(corpus)


@pytest.fixture(scope="module")
def flawed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny model, but whatever holds a ~ becomes NaN."""
    path = Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("models") / "flawed"))
    weights = load_file(path / "model.safetensors")
    number = AutoTokenizer.from_pretrained(path).convert_tokens_to_ids("~")
    weights["embeddings.word_embeddings.weight"][number] = torch.nan
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    return resolve(str(path), EncodingSpec(), Path("/dev/null"), "float32")


class TestOnePool:
    """What needs actors, but none of its own."""

    @pytest.fixture(scope="class")
    def pool(self, ray_cluster: None, flawed: Checkpoint) -> Iterator[EncoderPool]:
        with EncoderPool(flawed, RuntimeSpec(workers=1)) as pool:
            assert pool.reading().dimension == 32
            yield pool

    @pytest.fixture(scope="class")
    def whole(self, pool: EncoderPool, texts: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> VectorTable:
        """The table of a run that nothing disturbed."""
        table = new_table(tmp_path_factory.mktemp("whole"))
        assert embed_missing(pool, table, texts, "document", BLOCK, ignore) == len(texts)
        return table

    def test_every_text_is_stored_once_with_its_own_vector(
        self, whole: VectorTable, texts: pl.DataFrame, tiny_model: Path
    ) -> None:
        kept = pl.DataFrame(pl.from_arrow(lancedb.connect(whole.uri).open_table("t").to_arrow()))
        assert kept.drop("vector", "is_cut").sort("id").equals(texts.drop("text").sort("id"))
        sample = texts.sample(40, seed=0)
        model = SentenceTransformer(str(tiny_model), device="cpu", local_files_only=True)
        expected = model.encode(sample["text"].to_list(), prompt="passage: ", show_progress_bar=False)
        np.testing.assert_allclose(stored(whole, sample), expected, atol=1e-5)

    def test_what_is_there_is_not_encoded_again(
        self, pool: EncoderPool, whole: VectorTable, texts: pl.DataFrame
    ) -> None:
        table = reopened(whole)
        assert embed_missing(pool, table, texts, "document", BLOCK, stop_after(0)) == 0
        assert embed_missing(pool, table, texts.reverse().head(30), "document", 7, stop_after(0)) == 0
        assert reopened(whole).version == table.version

    def test_a_changed_text_is_encoded_alone_and_the_old_one_kept(
        self, pool: EncoderPool, whole: VectorTable, texts: pl.DataFrame
    ) -> None:
        before, new = stored(whole, texts), change_text(texts, 17, "Another text altogether.")
        assert embed_missing(pool, reopened(whole), new, "document", BLOCK, ignore) == 1
        after = stored(whole, new)
        assert np.flatnonzero((after != before).any(axis=1)).tolist() == [17]
        np.testing.assert_array_equal(stored(whole, texts), before)

    def test_an_interrupted_run_goes_on_and_ends_with_the_same_bits(
        self,
        pool: EncoderPool,
        whole: VectorTable,
        texts: pl.DataFrame,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(embed, "SHARD_ROWS", BLOCK)
        table = new_table(tmp_path)
        with pytest.raises(InterruptedRunError):
            embed_missing(pool, table, texts, "document", BLOCK, stop_after(3))
        left = n_missing(table, texts)
        assert left == len(texts) - 3 * BLOCK
        seen: list[tuple[int, int]] = []
        again = embed_missing(pool, reopened(table), texts, "document", BLOCK, lambda *counts: seen.append(counts))
        assert again == left
        assert seen[-1] == (left, left) and seen == sorted(seen) and len({total for _, total in seen}) == 1
        np.testing.assert_array_equal(stored(table, texts), stored(whole, texts))
        assert len(lancedb.connect(table.uri).open_table("t")) == len(texts)

    def test_a_model_that_fails_says_so_and_what_it_did_before_is_kept(
        self,
        pool: EncoderPool,
        flawed: Checkpoint,
        texts: pl.DataFrame,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(embed, "SHARD_ROWS", 1)
        table, bad = new_table(tmp_path), change_text(texts, 5, "~")  # the shortest, so the last
        with pytest.raises(ModelError, match=f"{flawed.ref}: 1 of .* NaN or infinity, the first for '~'"):
            embed_missing(pool, table, bad, "document", BLOCK, ignore)
        assert 0 < n_missing(table, bad) < len(bad) / 2
        # and the actor is as good as before
        left = n_missing(table, texts)
        assert embed_missing(pool, reopened(table), texts, "document", BLOCK, ignore) == left

    def test_what_two_splits_share_is_encoded_once(
        self, pool: EncoderPool, whole: VectorTable, texts: pl.DataFrame, tmp_path: Path
    ) -> None:
        """Documents are whole in `test` and a part in `train`, queries are apart: in either order, none is lost."""
        table, parts = new_table(tmp_path), (texts[:90], texts[30:])
        assert [embed_missing(pool, reopened(table), part, "document", BLOCK, ignore) for part in parts] == [
            90,
            len(texts) - 90,
        ]
        assert len(lancedb.connect(table.uri).open_table("t")) == len(texts)
        # other texts beside it in its batch may change a vector's last bit
        np.testing.assert_allclose(stored(table, texts), stored(whole, texts), atol=1e-6)

    @pytest.mark.slow
    def test_an_actor_that_is_lost_is_started_again(
        self, pool: EncoderPool, whole: VectorTable, texts: pl.DataFrame, tmp_path: Path
    ) -> None:
        import ray

        victim = ray.get(pool._actors[0].__ray_call__.remote(lambda self: os.getpid()))
        table = new_table(tmp_path)
        killed = iter([lambda: os.kill(victim, signal.SIGKILL)])
        embed_missing(pool, table, texts, "document", 5, lambda done, total: next(killed, int)())
        assert next(killed, None) is None
        np.testing.assert_allclose(stored(table, texts), stored(whole, texts), atol=1e-6)


def test_a_run_that_goes_on_meets_the_blocks_of_the_first(texts: pl.DataFrame, tmp_path: Path) -> None:
    """A block is padded to its longest text: others in it could change a vector's last bit."""
    table = new_table(tmp_path)
    blocks = missing_blocks(table, texts, BLOCK)
    assert sorted(pl.concat(blocks)["id"]) == sorted(texts["id"])
    assert [len(block) for block in blocks[:-1]] == [BLOCK] * (len(blocks) - 1)
    lengths = [len(text.encode()) for block in blocks for text in block["text"]]
    assert lengths == sorted(lengths, reverse=True)
    for done in (4, 0):
        table.append(rows(blocks[done], np.ones((BLOCK, 32), np.float32)))
    left = missing_blocks(table, texts.sample(fraction=1, shuffle=True, seed=3), BLOCK)
    assert [block.rows() for block in left] == [block.rows() for i, block in enumerate(blocks) if i not in (0, 4)]


def test_a_corpus_is_stored_with_the_prompts_of_both_kinds(
    corpus: Corpus, embedded: Embedded, spec: AuditSpec, tiny_model: Path
) -> None:
    assert (embedded.encoded, embedded.reused) == (len(corpus.documents) + len(corpus.queries), 0)
    model = SentenceTransformer(str(tiny_model), device="cpu", local_files_only=True)
    for found, asked, prompt in (
        (embedded.documents, document_texts(corpus), "passage: "),
        (embedded.queries, query_texts(corpus), "query: "),
    ):
        assert Path(found.uri) == spec.workspace / "lancedb"
        kept = asked.join(read(found), on=["id", "group_id", "lang", "text_hash"], how="full", maintain_order="left")
        assert len(kept) == len(asked) and kept["vector"].null_count() == 0
        expected = model.encode(asked["text"].to_list(), prompt=prompt, show_progress_bar=False)
        np.testing.assert_allclose(kept["vector"].to_numpy(), expected, atol=1e-5)


def test_the_version_that_an_audit_reads_is_tagged(embedded: Embedded) -> None:
    for found in (embedded.documents, embedded.queries):
        tags = lancedb.connect(found.uri).open_table(found.table).tags.list()
        assert tags[found.tag]["version"] == found.version


def test_a_second_audit_of_the_same_encodes_nothing(
    corpus: Corpus, checkpoint: Checkpoint, embedded: Embedded, spec: AuditSpec
) -> None:
    def no_progress(kind: str) -> Progress:
        raise AssertionError(f"{kind} texts are encoded again")

    again = embed_corpus(corpus, checkpoint, spec, no_progress)
    assert (again.encoded, again.reused) == (0, embedded.encoded)
    assert (again.documents, again.queries) == (embedded.documents, embedded.queries)
    # nor one of fewer languages and other scenarios, which has a tag of its own
    other = spec.model_copy(update={"languages": ("de",), "scenarios": ("mono",)})
    part = embed_corpus(corpus.restrict(("en", "de")), checkpoint, other, no_progress)
    assert part.encoded == 0 and part.reused < embedded.encoded
    assert part.documents.table == embedded.documents.table and part.documents.tag != embedded.documents.tag


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_split_reads_the_vectors_of_the_whole_corpus(
    split: str, checkpoint: Checkpoint, embedded: Embedded, spec: AuditSpec
) -> None:
    part = read_corpus(f"demo#{split}", ("de", "zh"))
    found = embed_corpus(part, checkpoint, spec.model_copy(update={"corpus": f"demo#{split}"}), lambda kind: ignore)
    assert (found.documents.table, found.queries.table) == (embedded.documents.table, embedded.queries.table)
    assert found.encoded == 0 and found.documents.tag != embedded.documents.tag


def test_a_folder_is_one_place_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "data#1").mkdir(parents=True)
    (tmp_path / "link").symlink_to("home")
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    written = ("data#1", "./data#1/", "~/data#1", "../link/data#1", f"{tmp_path}/home/data#1", "data#1#test")
    assert {place_of(f"xquad:{place}") for place in written} == {f"xquad:{tmp_path}/home/data#1"}
    assert place_of("beir:data#1") == f"beir:{tmp_path}/home/data#1"
    assert [place_of(name) for name in ("demo", "demo#fit", "hub:google/xquad")] == ["demo", "demo", "hub:google/xquad"]


def test_rows_that_were_deleted_are_encoded_anew_and_the_tag_moves_to_them(
    corpus: Corpus, checkpoint: Checkpoint, embedded: Embedded, spec: AuditSpec, tmp_path: Path
) -> None:
    elsewhere = spec.model_copy(update={"workspace": shutil.copytree(spec.workspace, tmp_path / "copy")})
    queries = lancedb.connect(f"{tmp_path}/copy/lancedb").open_table(embedded.queries.table)
    queries.delete("lang = 'de'")
    again = embed_corpus(corpus, checkpoint, elsewhere, lambda kind: ignore)
    assert again.encoded == len(corpus.queries) / 3
    # the documents' table did not change, and its tag stays
    assert again.documents.version == embedded.documents.version
    assert again.queries.tag == embedded.queries.tag and again.queries.version > embedded.queries.version
    assert queries.tags.get_version(again.queries.tag) == again.queries.version
    assert set(read(again.queries)["id"]) == set(query_texts(corpus)["id"])


def test_a_checkpoint_that_does_not_load_is_the_users_error_not_rays(
    ray_cluster: None, corpus: Corpus, tiny_model: Path, spec: AuditSpec, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    (path / "model.safetensors").write_bytes(b"cut off")
    checkpoint = resolve(str(path), EncodingSpec(), Path("/dev/null"), "float32")
    elsewhere = spec.model_copy(update={"workspace": tmp_path / "workspace"})
    with pytest.raises(ModelError, match=f"{path}: cannot be loaded"):
        embed_corpus(corpus, checkpoint, elsewhere, lambda kind: ignore)
    assert not list(tmp_path.glob("workspace/lancedb/[!.]*"))
