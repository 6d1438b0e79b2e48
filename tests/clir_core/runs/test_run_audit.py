"""An audit as a plain function: neither Prefect nor Ray, done once, found again, and never computed without need."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clir_core import load_audit, read_corpus
from clir_core.audit.data_facts import sentences
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.clusters import cluster_queries
from clir_core.errors import CorpusError, ModelError, SpecError
from clir_core.model.checkpoint import EncodingSpec
from clir_core.registry.registry import Registry
from clir_core.runs.audit import Finished, audit, embed_only
from clir_core.runs.here import Here
from clir_core.runs.kept import finished
from clir_core.runs.places import measures_directory
from clir_core.runs.runner import Runner
from clir_core.workspace import layout, memory

STEPS = ["read corpus", "resolve model", "embed corpus", "rank golds", "compute metrics", "report", "register audit"]


class Nobody:
    """Workers that must not be asked for anything."""

    def dtype(self, runtime: Any) -> str:
        return "float32"

    def embed(self, *_: Any) -> Any:
        raise AssertionError("nothing is left to embed")

    rank = embed


@pytest.fixture(scope="module")
def spec(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditSpec:
    return AuditSpec(model=str(tiny_model), languages=("de",), workspace=tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def first(spec: AuditSpec) -> tuple[Finished, Runner]:
    runner = Runner()
    return audit(spec, Here(), runner, by="me"), runner


def test_it_writes_the_files_and_enters_the_registry(first: tuple[Finished, Runner], spec: AuditSpec) -> None:
    done, runner = first
    assert list(runner.timings) == STEPS
    assert {file.name for file in done.out.iterdir()} == set(layout.AUDIT_FILES)
    assert load_audit(done.out).result == done.result
    assert done.news and done.news.by == "me" and Registry(spec.workspace).get(done.entry.checkpoint) == done.entry


def test_what_cannot_fit_is_refused_before_anything_is_encoded(
    spec: AuditSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(SpecError, match=r"GiB of memory, and 0\.0 GiB are available; "):
        audit(spec.model_copy(update={"workspace": tmp_path}), Nobody(), Runner())


def test_again_nothing_is_computed_and_nothing_written(first: tuple[Finished, Runner], spec: AuditSpec) -> None:
    runner, before = Runner(), {file: file.stat().st_mtime_ns for file in first[0].out.rglob("*")}
    again = audit(spec, Nobody(), runner)
    assert [runner.timings[step] for step in ("embed corpus", "rank golds", "compute metrics")] == [0, 0, 0]
    assert again.out == first[0].out and again.news is None
    assert {file: file.stat().st_mtime_ns for file in again.out.rglob("*")} == before


def test_a_finished_audit_is_found_until_something_of_it_is_gone(
    first: tuple[Finished, Runner], spec: AuditSpec, tmp_path: Path
) -> None:
    out = first[0].out
    assert finished(spec) == out
    assert finished(spec.model_copy(update={"out": tmp_path})) is None
    assert finished(spec.model_copy(update={"min_inclination": 0.1})) is None
    report = (out / layout.REPORT).read_bytes()
    (out / layout.REPORT).unlink()
    assert finished(spec) is None
    (out / layout.REPORT).write_bytes(report)
    assert finished(spec) == out


def test_ranks_that_break_ties_otherwise_are_not_taken_up(
    first: tuple[Finished, Runner], spec: AuditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a workspace that an earlier version of the library left."""
    monkeypatch.setattr("clir_core.runs.places.TIE_RULE", "English first")
    assert finished(spec) is None
    with pytest.raises(AssertionError, match="nothing is left to embed"):
        audit(spec, Nobody(), Runner())


def test_another_place_gets_the_same_figures_without_computing(
    first: tuple[Finished, Runner], spec: AuditSpec, tmp_path: Path
) -> None:
    done = audit(spec.model_copy(update={"out": tmp_path / "out"}), Nobody(), Runner())
    assert done.result.metrics == first[0].result.metrics and (done.out / layout.REPORT).exists()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"languages": ("klingon",)}, CorpusError, "'klingon' is not a BCP-47 code"),
        ({"corpus": "demo#tset"}, SpecError, "did you mean .demo#test."),
        ({"corpus": "xquad:/nowhere"}, CorpusError, "/nowhere does not exist"),
        ({"cluster": "article"}, SpecError, "no such column, beside its texts they have topic; write one of query, "),
        ({"model": "/nowhere"}, ModelError, "/nowhere: no such directory"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_computed(
    change: dict[str, Any], error: type[Exception], message: str, spec: AuditSpec
) -> None:
    with pytest.raises(error, match=message):
        finished(spec.model_copy(update=change))
    with pytest.raises(error, match=message):
        audit(spec.model_copy(update=change), Nobody(), Runner())


def test_measures_are_kept_for_their_clusters_alone(first: tuple[Finished, Runner], spec: AuditSpec) -> None:
    by_topic = spec.model_copy(update={"cluster": "topic"})
    assert finished(by_topic) is None
    runner = Runner()
    done = audit(by_topic, Nobody(), runner)  # of the ranks that are there
    assert runner.timings["rank golds"] == 0 < runner.timings["compute metrics"]
    assert done.out != first[0].out and load_audit(done.out).result.spec.cluster == "topic"
    values = [[figure.value for figure in one.result.metrics] for one in (done, first[0])]
    assert values[0] == values[1]
    corpus = read_corpus("demo", ("de",))
    topic = pl.Series(corpus.queries["topic"].to_pylist()).replace({"bees": "tides"})
    at = corpus.queries.column_names.index("topic")
    merged = replace(corpus, queries=corpus.queries.set_column(at, "topic", topic.to_arrow().cast("string")))
    assert merged.fingerprint() == corpus.fingerprint()
    places = [measures_directory(by_topic, Path("ranks"), cluster_queries(one, "topic")) for one in (corpus, merged)]
    assert places[0] != places[1]


def test_vectors_alone_are_those_that_an_audit_finds(spec: AuditSpec, first: tuple[Finished, Runner]) -> None:
    embedded = embed_only(spec, Here(), Runner())
    assert (embedded.encoded, embedded.reused) == (0, 4 * 72)
    assert embedded.documents == first[0].result.provenance.documents_table


def test_nothing_heavy_is_imported_where_all_is_kept(first: tuple[Finished, Runner], spec: AuditSpec) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom clir_core.audit.spec import AuditSpec\n"
        "from clir_core.runs.kept import finished\n"
        "print(finished(AuditSpec.model_validate_json(sys.argv[1])))\n"
        "names = ('torch', 'lancedb', 'ray', 'prefect', 'matplotlib', 'numba')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, spec.model_dump_json()], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == [str(first[0].out), "[]"], done.stderr


def test_the_result_says_what_was_cut_and_says_it_again(spec: AuditSpec, tiny_model: Path, tmp_path: Path) -> None:
    """By the tokenizer's own count; where 64 tokens are read, some of the questions are longer."""
    from transformers import AutoTokenizer

    tokenizer, queries = AutoTokenizer.from_pretrained(tiny_model), read_corpus("demo", ("de",)).queries.to_pylist()
    longer = [row["lang"] for row in queries if len(tokenizer(f"query: {row['text']}")["input_ids"]) > 64]
    asked = spec.model_copy(
        update={"encoding": EncodingSpec(max_tokens=64), "scenarios": ("mono",), "workspace": tmp_path}
    )
    facts = audit(asked, Here(), Runner()).result.facts
    assert facts is not None and 0 < len(longer) < len(queries)
    assert {row.lang: row.cut_queries for row in facts.languages} == {lang: longer.count(lang) for lang in ("en", "de")}
    # by itself it reads 128
    assert facts.own_tokens == {"query": 128, "document": 128}
    said = "longer than was asked to be read, and the checkpoint reads 128 tokens (--encoding.max-tokens 128)"
    assert any(said in one for one in sentences(facts))
    # vectors that are there already, ranked for another cutoff
    again = audit(asked.model_copy(update={"cutoffs": (3,)}), Here(), Runner()).result.facts
    assert again is not None and again.languages == facts.languages and again.own_tokens == facts.own_tokens
