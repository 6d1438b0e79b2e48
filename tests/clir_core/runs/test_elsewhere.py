"""Audits of stored vectors and of a served model, end to end: the same figures as those of the checkpoint itself."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from embeddings_server import Server

from clir_core import read_corpus
from clir_core.audit.result import TableRead
from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import ModelError, VectorsError
from clir_core.jobs.workers import RayWorkers
from clir_core.model.checkpoint import EncodingSpec
from clir_core.registry.nightly import NightlySpec
from clir_core.registry.registry import Registry
from clir_core.runs.audit import Finished, audit, embed_only, resolved
from clir_core.runs.elsewhere import BATCH_CHARACTERS, BATCH_TEXTS, REQUESTS, batches
from clir_core.runs.here import Here
from clir_core.runs.nightly import find_due, read_night
from clir_core.runs.runner import Runner
from clir_core.workspace.lance import connect

KEY = "sk-not-to-be-written-down"
PROMPTS = EncodingSpec(query_prompt="query: ", document_prompt="passage: ")  # as the tiny model's own


@pytest.fixture(scope="module")
def corpus(demo_part: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"parquet:{demo_part(tmp_path_factory.mktemp('corpora') / 'part', ('de',), 20)}"


@pytest.fixture(scope="module")
def local(tiny_model: Path, corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The audit of the checkpoint itself."""
    spec = AuditSpec(model=str(tiny_model), corpus=corpus, workspace=tmp_path_factory.mktemp("local"))
    return audit(spec, Here(), Runner())


@pytest.fixture
def spec(corpus: str, tmp_path: Path) -> AuditSpec:
    return AuditSpec(corpus=corpus, workspace=tmp_path / "workspace")


@pytest.fixture
def vectors(local: Finished, tmp_path: Path) -> Path:
    """The checkpoint's vectors, exported as anybody would, ids and all."""
    found = local.result.provenance
    parts = []
    for kind, read in (("document", found.documents_table), ("query", found.queries_table)):
        assert read
        parts.append(stored(read).select(kind=pl.lit(kind), id="id", vector="vector"))
    directory = tmp_path / "exported"
    directory.mkdir()
    pl.concat(parts).sample(fraction=1, shuffle=True, seed=0).write_parquet(directory / "vectors.parquet")
    return directory


def stored(read: TableRead) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(connect(read.uri).open_table(read.table).search().to_arrow()))


def figures(done: Finished) -> list[tuple[Any, ...]]:
    return [(row.scenario, row.query_lang, row.lang, row.metric, row.share, row.value) for row in done.result.metrics]


def asked(spec: AuditSpec, model: str, **more: Any) -> AuditSpec:
    return spec.model_copy(update={"model": model, **more})


def served(spec: AuditSpec, server: Server, **more: Any) -> AuditSpec:
    return asked(spec, f"{server.url}#tiny", **({"encoding": PROMPTS} | more))


class TestStored:
    def test_figures_are_those_of_the_checkpoint(self, vectors: Path, local: Finished, spec: AuditSpec) -> None:
        done = audit(asked(spec, f"vectors:{vectors}"), Here(), Runner())
        assert figures(done) == figures(local)
        assert done.entry.found.ref == f"vectors:{vectors}" and done.entry.is_there()
        reading = done.result.provenance.reading
        assert reading and (reading.kind, reading.dimension) == ("vectors", 32)
        assert "which texts were cut, and with which prompts they were encoded, is not known" in reading.notes
        assert done.result.provenance.canary is None
        assert {file.parent.parent.name for file in done.out.rglob("model_meta.json")} == {"vectors__exported"}

    def test_a_lance_table_and_a_correction(self, vectors: Path, local: Finished, spec: AuditSpec) -> None:
        table = pq.read_table(vectors / "vectors.parquet").rename_columns(["what", "key", "e5"])
        connect(str(vectors.parent / "db")).create_table("mine", table)
        ref = f"vectors:{vectors.parent}/db?table=mine&id=key&vector=e5&kind=what"
        centred = {"correction": "centring", "correction_fit": spec.corpus}
        done = audit(asked(spec, ref, **centred), Here(), Runner())
        right = audit(local.result.spec.model_copy(update=centred), Here(), Runner())
        assert figures(done) == figures(right)

    def test_what_is_missing_is_told_before_anything_is_written(
        self, vectors: Path, spec: AuditSpec, corpus: str
    ) -> None:
        table = pq.read_table(vectors / "vectors.parquet")
        lost = read_corpus(corpus).queries["query_id"].to_pylist()[:2]
        pq.write_table(table.filter(pc.invert(pc.is_in(table["id"], pa.array(lost)))), vectors / "vectors.parquet")
        with pytest.raises(VectorsError, match=f"no vector for 2 of [0-9]+ queries: {', '.join(lost)}"):
            audit(asked(spec, f"vectors:{vectors}"), Here(), Runner())
        assert not list((spec.workspace / "lancedb").glob("*.lance"))

    def test_what_is_left_over_is_counted_and_said(
        self, vectors: Path, spec: AuditSpec, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = pl.read_parquet(vectors / "vectors.parquet")
        more = rows.filter(pl.col("kind") == "document").with_columns(id=pl.col("id") + "x")
        pl.concat([rows, more]).write_parquet(vectors / "vectors.parquet")
        embedded = embed_only(asked(spec, f"vectors:{vectors}"), Here(), Runner())
        assert embedded.notes == (f"{len(more)} vectors are of no document of this corpus",)
        assert embedded.encoded == len(rows)

    def test_a_correction_of_other_texts_with_the_same_ids_is_refused(
        self, vectors: Path, spec: AuditSpec, corpus: str, tmp_path: Path
    ) -> None:
        from corpus_case import write_corpus

        part = read_corpus(corpus)
        at = part.documents.column_names.index("text")
        texts = pc.binary_join_element_wise(part.documents["text"], "!", " ")
        other = write_corpus(replace(part, documents=part.documents.set_column(at, "text", texts)), tmp_path / "other")
        centred = {"correction": "centring", "correction_fit": f"parquet:{other}"}
        with pytest.raises(VectorsError, match=r"have another text in other than in part, and one vector cannot be of"):
            audit(asked(spec, f"vectors:{vectors}", **centred), Here(), Runner())

    def test_a_night_audits_each_new_state(self, vectors: Path, spec: AuditSpec, tmp_path: Path) -> None:
        file = tmp_path / "watch.yaml"
        source = {"kind": "reference", "ref": f"vectors:{vectors}"}
        families = [{"name": "mine", "sources": [source]}]
        file.write_text(json.dumps({"version": 1, "audit": {"corpus": spec.corpus}, "families": families}))
        night = NightlySpec(watch=file, workspace=spec.workspace)
        watch, corpus = read_night(night)
        asked_of_all = watch.audit.asked(corpus.fingerprint())

        def due() -> list[AuditSpec]:
            return [one.audit for one in find_due(night, watch, asked_of_all)[1]]

        (first,) = due()
        assert first.model == f"vectors:{vectors}"
        audit(first, Here(), Runner())
        assert due() == []
        rows = pl.read_parquet(vectors / "vectors.parquet")
        rows.with_columns(pl.col("vector").reverse()).write_parquet(vectors / "vectors.parquet")
        assert len(due()) == 1
        entries = Registry(spec.workspace).entries()
        assert [(one.name, one.found.family) for one in entries] == [("exported", "mine")] * 2

    def test_a_cluster_is_not_asked(self, vectors: Path, spec: AuditSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(_: object) -> None:
            raise AssertionError("a lookup needs no cluster")

        monkeypatch.setattr(RayWorkers, "_start", start)
        for runtime in ({}, {"ray_jobs": "http://127.0.0.1:1"}):
            lookup = asked(spec, f"vectors:{vectors}", runtime=RuntimeSpec(**runtime))
            workers = RayWorkers(lookup.runtime, print, ExitStack())
            corpus = read_corpus(spec.corpus)
            embedded = workers.embed(lookup, corpus, resolved(lookup, "float32"), None, lambda _: lambda *_: None)
            assert embedded.encoded + embedded.reused == len(corpus.documents) + len(corpus.queries)


class TestServed:
    def test_figures_are_those_of_the_checkpoint_and_the_key_stands_nowhere(
        self,
        embeddings_server: Server,
        local: Finished,
        spec: AuditSpec,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setenv("CLIR_EMBEDDINGS_KEY", KEY)
        caplog.set_level("DEBUG")
        done = audit(served(spec, embeddings_server), Here(), Runner())
        told = embeddings_server.told()
        assert told["keys"] == [f"Bearer {KEY}"] and 2 <= told["most_at_once"] <= 4
        files = [file for file in spec.workspace.rglob("*") if file.is_file()]
        assert files and not [file for file in files if KEY.encode() in file.read_bytes()]
        assert KEY not in caplog.text and " tokens in " in caplog.text
        # batches differ, so last bits do: no rank of this corpus hangs on them
        assert [row[:-1] for row in figures(done)] == [row[:-1] for row in figures(local)]
        for (*_, one), (*_, other) in zip(figures(done), figures(local), strict=True):
            assert one == pytest.approx(other, abs=1e-6)
        again = audit(served(spec, embeddings_server), Here(), Runner())
        assert again.news is None and embeddings_server.told()["sizes"][len(told["sizes"]) :] == [5, 5]

    def test_a_model_that_changes_meanwhile_is_caught(
        self, embeddings_server: Server, spec: AuditSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from clir_core.runs import elsewhere

        def embed_and_change(*args: Any) -> Any:
            embedded = real(*args)
            embeddings_server.behave(shift=0.05)
            return embedded

        real = elsewhere.embed
        monkeypatch.setattr(elsewhere, "embed", embed_and_change)
        with pytest.raises(ModelError, match="so its model changed while it was being read; nothing is reported of it"):
            audit(served(spec, embeddings_server), Here(), Runner())
        assert not (spec.workspace / "audits").exists()

    def test_after_a_failure_nothing_is_asked_twice(self, embeddings_server: Server, spec: AuditSpec) -> None:
        texts = texts_of(read_corpus(spec.corpus))
        longest = sorted(map(len, texts))[-3]
        embeddings_server.behave(longest=longest)
        with pytest.raises(ModelError, match=rf"input must have less than {longest} characters.*of the text 'passage"):
            audit(served(spec, embeddings_server), Here(), Runner())
        # what was answered counts, though its batch was the first and others failed
        paid = {*embeddings_server.told()["texts"]} & {*texts}
        assert paid
        embeddings_server.behave()
        audit(served(spec, embeddings_server), Here(), Runner())
        assert not paid & {*embeddings_server.told()["texts"]}

    def test_a_killed_run_goes_on_where_it_was(
        self, embeddings_server: Server, spec: AuditSpec, tmp_path: Path
    ) -> None:
        texts = texts_of(read_corpus(spec.corpus))
        embeddings_server.behave(stalls_after=len(texts) // 4)
        asked_for = served(spec, embeddings_server)
        (tmp_path / "spec.json").write_text(asked_for.model_dump_json())
        program = (
            "import sys; from pathlib import Path\n"
            "from clir_core.audit.spec import AuditSpec\n"
            "from clir_core.runs import audit, elsewhere, embed, here, runner\n"
            "embed.SHARD_ROWS, elsewhere.BATCH_TEXTS = 1, 5\n"
            "spec = AuditSpec.model_validate_json(Path(sys.argv[1]).read_text())\n"
            "audit.embed_only(spec, here.Here(), runner.Runner())\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "spec.json")], env=environment)
        try:
            while embeddings_server.told()["stalled"] < REQUESTS or not rows_in(spec.workspace):
                assert process.poll() is None
        finally:
            process.kill()
            process.wait()
        before, kept = Counter(embeddings_server.told()["texts"]), rows_in(spec.workspace)
        embeddings_server.behave()
        embedded = embed_only(asked_for, Here(), Runner())
        after = Counter(embeddings_server.told()["texts"])
        assert (embedded.reused, embedded.encoded) == (kept, len(texts) - kept)
        assert sum(after[text] for text in texts) == len(texts) - kept
        assert {*texts} <= {*before, *after}


def texts_of(corpus: Corpus) -> list[str]:
    """As they are sent."""
    return [
        *("passage: " + document_texts(corpus)["text"]).to_list(),
        *("query: " + query_texts(corpus)["text"]).to_list(),
    ]


def rows_in(workspace: Path) -> int:
    """Rows of all tables of vectors; those that come into being have none."""
    count = 0
    for path in (workspace / "lancedb").glob("*.lance"):
        with suppress(ValueError):
            count += connect(str(path.parent)).open_table(path.stem).count_rows()
    return count


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([1] * 70, [BATCH_TEXTS, BATCH_TEXTS, 6]),
        ([BATCH_CHARACTERS, 1, 2], [1, 2]),
        ([BATCH_CHARACTERS + 1] * 2, [1, 1]),
        ([], []),
    ],
)
def test_a_request_holds_so_many_texts_and_characters(lengths: Sequence[int], sizes: list[int]) -> None:
    texts = pl.DataFrame({"text": ["x" * length for length in lengths]}, schema={"text": pl.String})
    assert [len(batch) for batch in batches(texts)] == sizes
