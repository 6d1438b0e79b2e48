"""Ranking with real tasks: the ranks of a full sort of the stored vectors, to the last bit whoever counted them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import lancedb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from clir_core.audit.result import Embedded, TableRead
from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.correct.correction import Correction
from clir_core.correct.fit import fit_correction
from clir_core.errors import StoreError
from clir_core.jobs.cluster import n_cpus
from clir_core.jobs.rank import in_tasks
from clir_core.jobs.workers import encoders
from clir_core.model.checkpoint import Checkpoint
from clir_core.rank import batches, ranking
from clir_core.rank.plan import make_plan
from clir_core.rank.ranked import Ranked
from clir_core.rank.store import VectorTable, rows
from clir_core.runs import rank
from clir_core.runs.embed import embed_corpus
from clir_core.scenarios import SCENARIOS, ScenarioName
from clir_core.workspace.progress import Progress, unseen

LANGUAGES = ("en", "de", "zh")
rank_corpus = partial(rank.rank_corpus, count=in_tasks)


def ranked_in(
    directory: Path,
    corpus: Corpus,
    embedded: Embedded,
    scenarios: tuple[ScenarioName, ...] = SCENARIOS,
    progress: Progress = lambda done, total: None,
) -> Ranked:
    directory.mkdir(exist_ok=True)
    plan = make_plan(corpus, LANGUAGES, scenarios, 10, 0)
    return rank_corpus(plan, corpus, embedded, directory, progress)


@pytest.fixture(scope="module")
def result(ray_cluster: None, corpus: Corpus, embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of one ranking of everything."""
    directory = tmp_path_factory.mktemp("ranks")
    ranked_in(directory, corpus, embedded)
    return directory


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail instead of waiting for ever."""

    def fail(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def same_files(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in ("ranks.parquet", "topk.parquet"))


def vectors_by_id(found: TableRead) -> dict[str, np.ndarray]:
    table = lancedb.connect(found.uri).open_table(found.table)
    table.checkout(found.version)
    return {row["id"]: np.array(row["vector"], np.float64) for row in table.to_arrow().to_pylist()}


def pools() -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Scenario, query language, X and the pool's languages, of mono and multi."""
    for x in LANGUAGES:
        yield "mono", x, x, (x,)
    for x in LANGUAGES[1:]:
        yield "multi", x, x, ("en", x)
        yield "multi", "en", x, ("en", x)


def test_ranks_are_those_of_a_full_sort(result: Path, corpus: Corpus, embedded: Embedded) -> None:
    documents, queries = vectors_by_id(embedded.documents), vectors_by_id(embedded.queries)
    doc_lang = {row["doc_id"]: row["lang"] for row in corpus.documents.to_pylist()}
    doc_group = {row["doc_id"]: row["group_id"] for row in corpus.documents.to_pylist()}
    query_lang = {row["query_id"]: row["lang"] for row in corpus.queries.to_pylist()}
    ranks = pl.read_parquet(result / "ranks.parquet")
    checked = exact = 0
    for scenario, asked_in, x, langs in pools():
        ids = [doc for doc in documents if doc_lang[doc] in langs]
        pool_DH = np.stack([documents[doc] for doc in ids])
        found = {
            (row["query_id"], row["doc_id"]): row["rank"]
            for row in ranks.filter(scenario=scenario, query_lang=asked_in, lang=x).iter_rows(named=True)
        }
        golds = {
            (qrel["query_id"], doc)
            for qrel in corpus.qrels.to_pylist()
            for doc in ids
            if query_lang[qrel["query_id"]] == asked_in and doc_group[doc] == qrel["group_id"]
        }
        assert found.keys() == golds and len(golds) == 72 * len(langs)
        for (query, gold), given in found.items():
            scores_D = pool_DH @ queries[query]
            score = scores_D[ids.index(gold)]
            # equal scores count as higher; float32 cannot tell what lies within 1e-6
            best, worst = 1 + np.sum(scores_D > score + 1e-6), np.sum(scores_D >= score - 1e-6)
            assert best <= given <= worst
            checked += 1
            exact += best == worst
    assert exact > 0.95 * checked


def test_pools_hold_no_rank_beyond_their_size(result: Path) -> None:
    ranks = pl.read_parquet(result / "ranks.parquet")
    assert set(ranks["scenario"].str.split("(").list.first()) == set(SCENARIOS)
    assert ranks.filter((pl.col("rank") < 1) | (pl.col("rank") > pl.col("pool_size"))).is_empty()


@pytest.mark.parametrize("block", [72, 50, 7])
def test_the_size_of_a_block_changes_no_bit(
    block: int, result: Path, corpus: Corpus, embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "BLOCK_DOCUMENTS", block)
    seen: list[tuple[int, int]] = []
    ranked_in(tmp_path, corpus, embedded, progress=lambda *counts: seen.append(counts))
    n_blocks = 3 * -(-72 // block)
    assert seen == [(done, n_blocks) for done in range(1, n_blocks + 1)]
    assert same_files(tmp_path, result)


def test_the_size_of_a_batch_changes_no_bit(
    result: Path, corpus: Corpus, embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK_BYTES", 40_000)
    ranked_in(tmp_path / "one", corpus, embedded)
    monkeypatch.setattr(batches, "BATCH_BYTES", 100_000)
    seen: list[tuple[int, int]] = []
    ranked_in(tmp_path / "many", corpus, embedded, progress=lambda *counts: seen.append(counts))
    # every batch goes over its languages' documents again, and all are reported as one work
    assert len(seen) > 9 and seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert same_files(tmp_path / "one", tmp_path / "many")
    for name in ("ranks.parquet", "topk.parquet"):
        assert pl.read_parquet(tmp_path / "many" / name).equals(pl.read_parquet(result / name))


@pytest.mark.slow
def test_the_number_of_encoding_workers_changes_no_bit(
    result: Path, corpus: Corpus, checkpoint: Checkpoint, embedded: Embedded, spec: AuditSpec, tmp_path: Path
) -> None:
    # one more than there are processors: it could never start, and must not be waited for
    runtime = RuntimeSpec(workers=n_cpus() + 1, block_documents=50)
    elsewhere = spec.model_copy(update={"runtime": runtime, "workspace": tmp_path / "workspace"})
    with within(180):
        again = embed_corpus(corpus, checkpoint, elsewhere, unseen, encoders=encoders)
    assert again.documents.uri != embedded.documents.uri and again.encoded == embedded.encoded
    ranked_in(tmp_path / "ranks", corpus, again)
    assert same_files(tmp_path / "ranks", result)


def test_an_audit_ranks_the_version_that_it_embedded(
    result: Path, corpus: Corpus, embedded: Embedded, tmp_path: Path
) -> None:
    """Rows that another audit adds later are not seen, not even those that claim to be the same texts."""
    for found in (embedded.documents, embedded.queries):
        table = VectorTable(found.uri, found.table)
        kept = lancedb.connect(found.uri).open_table(found.table).to_arrow()
        texts = pl.DataFrame(pl.from_arrow(kept.drop_columns("vector"))).reverse()
        table.append(rows(texts, np.eye(32, dtype=np.float32)[np.arange(len(texts)) % 32]))
        assert VectorTable(found.uri, found.table).version > found.version
    ranked_in(tmp_path, corpus, embedded)
    assert same_files(tmp_path, result)


def test_a_query_that_no_pool_can_be_asked_is_listed(
    ray_cluster: None, corpus: Corpus, embedded: Embedded, tmp_path: Path
) -> None:
    stray = {"query_id": "fr/stray", "group_id": "stray", "lang": "fr", "text": "Pourquoi ?"}
    queries = pa.concat_tables([corpus.queries, pa.Table.from_pylist([stray], schema=corpus.queries.schema)])
    ranked = ranked_in(tmp_path, replace(corpus, queries=queries), embedded, ("mono",))
    assert [(one.what, one.count, one.examples) for one in ranked.skipped] == [("queries", 1, ("fr/stray",))]
    assert {pool.scenario for pool in ranked.pools} == {"mono"}
    assert pl.read_parquet(tmp_path / "ranks.parquet").height == 3 * 72


def test_ties_are_counted_over_all_pools(ray_cluster: None, corpus: Corpus, embedded: Embedded, tmp_path: Path) -> None:
    """Where all vectors are one and the same, every unrelated document ties with every gold."""
    uri = str(tmp_path / "lancedb")
    reads = []
    for found in (embedded.documents, embedded.queries):
        kept = lancedb.connect(found.uri).open_table(found.table)
        kept.checkout(found.version)
        texts = pl.DataFrame(pl.from_arrow(kept.to_arrow().drop_columns("vector")))
        table = VectorTable.create(uri, found.table, 32)
        table.append(rows(texts, np.full((len(texts), 32), 0.125, np.float32)))
        reads.append(found.model_copy(update={"uri": uri, "version": table.version}))
    same = embedded.model_copy(update={"documents": reads[0], "queries": reads[1]})
    ranked = ranked_in(tmp_path / "ranks", corpus, same, ("mono",))
    assert ranked.ties == ranked.near_ties == 3 * 72 * 71
    assert pl.read_parquet(tmp_path / "ranks" / "ranks.parquet")["rank"].unique().to_list() == [72]


def test_a_table_that_is_gone_is_the_users_error_not_rays(
    ray_cluster: None, corpus: Corpus, embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = embedded.documents.model_copy(update={"uri": str(tmp_path)})
    with pytest.raises(StoreError, match=f"{tmp_path}: cannot be read"):
        ranked_in(tmp_path, corpus, embedded.model_copy(update={"documents": gone}))


@pytest.fixture(scope="module")
def correction(ray_cluster: None, corpus: Corpus, embedded: Embedded) -> Correction:
    """LIR, fitted on the very documents."""
    table = rank.open_read(embedded.documents)
    return fit_correction(AuditSpec(correction="lir", correction_fit="demo"), corpus, table, None, unit=True)


def test_corrected_ranks_are_those_of_a_full_sort_of_corrected_vectors(
    corpus: Corpus, embedded: Embedded, correction: Correction, tmp_path: Path
) -> None:
    plan = make_plan(corpus, LANGUAGES, ("multi",), 10, 0)
    rank_corpus(plan, corpus, embedded, tmp_path, lambda done, total: None, correction)
    documents, queries = vectors_by_id(embedded.documents), vectors_by_id(embedded.queries)

    def without_language(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = {}
        for lang in LANGUAGES:
            direction = np.linalg.svd(np.stack([row for doc, row in documents.items() if doc.startswith(lang)]))[2][0]
            for name, row in vectors.items():
                if name.startswith(f"{lang}/"):
                    left = row - direction * (row @ direction)
                    found[name] = left / np.linalg.norm(left)
        return found

    docs, asked = without_language(documents), without_language(queries)
    ranks = pl.read_parquet(tmp_path / "ranks.parquet").filter(query_lang="zh", lang="zh")
    ids = [doc for doc in docs if doc.startswith(("en/", "zh/"))]
    pool_DH = np.stack([docs[doc] for doc in ids])
    for row in ranks.iter_rows(named=True):
        scores_D = pool_DH @ asked[row["query_id"]]
        gold = scores_D[ids.index(row["doc_id"])]
        assert 1 + np.sum(scores_D > gold + 1e-5) <= row["rank"] <= np.sum(scores_D >= gold - 1e-5)
    assert len(ranks) == 144


def test_the_size_of_a_block_changes_no_bit_of_corrected_ranks(
    corpus: Corpus, embedded: Embedded, correction: Correction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in (8192, 7):
        monkeypatch.setattr(ranking, "BLOCK_DOCUMENTS", block)
        (tmp_path / str(block)).mkdir()
        plan = make_plan(corpus, LANGUAGES, SCENARIOS, 10, 0)
        rank_corpus(plan, corpus, embedded, tmp_path / str(block), lambda done, total: None, correction)
    assert same_files(tmp_path / "8192", tmp_path / "7")
