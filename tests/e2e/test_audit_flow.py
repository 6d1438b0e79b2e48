"""The flow `audit` from a corpus to its files, with a random little model: what it writes, keeps, reuses and shows."""

import hashlib
import html
import json
import math
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import lancedb
import pyarrow.parquet as pq
import pytest

from clir_core.audit.result import AuditResult, MetricRow, TableRead
from clir_core.audit.spec import AuditSpec
from clir_core.model.checkpoint import resolve
from clir_core.scenarios.pool import bucket_of
from clir_core.sources import read_corpus
from clir_core.workspace import provenance

GROUPS = 12
FILES = {"audit.json", "ranks.parquet", "topk.parquet", "queries.parquet", "report.html", "mteb", "SHA256SUMS"}
EXTRA = {"doc_id": "en/extra", "group_id": "extra", "lang": "en", "text": "A text that came later.", "title": None}


@dataclass(frozen=True)
class Run:
    """One audit: what it was asked, where it went, what it said, and what Prefect knows it as."""

    spec: AuditSpec
    out: Path
    result: AuditResult
    log: list[str]
    flow_run_id: Any

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A table of the result as plain dictionaries."""
        return pq.read_table(self.out / f"{name}.parquet").to_pylist()

    def metric(self, scenario: str, query_lang: str | None, lang: str | None, metric: str) -> MetricRow:
        """The one row of the result with these names."""
        names = (scenario, query_lang, lang, metric)
        (row,) = (r for r in self.result.metrics if (r.scenario, r.query_lang, r.lang, r.metric) == names)
        return row


Go = Callable[..., Run]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, demo_part: Callable[..., Path]) -> Path:
    """Where these audits live: corpus/ in English, German and Spanish, and the workspace."""
    place = tmp_path_factory.mktemp("audits")
    demo_part(place / "corpus", ("de", "es"), GROUPS)
    return place


@pytest.fixture(scope="module")
def go(
    place: Path, tiny_model: Path, run_flow: Callable[..., Any], task_log: Callable[[], AbstractContextManager]
) -> Go:
    """Run an audit into a directory of its own."""

    def go(name: str, **asked: Any) -> Run:
        defaults = {"model": str(tiny_model), "corpus": f"parquet:{place / 'corpus'}", "languages": ("de",)}
        folders = {"workspace": place / "workspace", "out": place / name}
        spec = AuditSpec.model_validate(defaults | folders | asked)
        with task_log() as log:
            state = run_flow(spec)
        assert state.is_completed(), state.message
        out = state.result().out
        result = AuditResult.model_validate_json((out / "audit.json").read_text("utf-8"))
        return Run(spec, out, result, list(log), state.state_details.flow_run_id)

    return go


# each of these goes on where the one before ended, in one workspace
@pytest.fixture(scope="module")
def first(go: Go) -> Run:
    return go("first")


@pytest.fixture(scope="module")
def again(first: Run, go: Go) -> Run:
    return go("again")


@pytest.fixture(scope="module")
def wider(again: Run, go: Go) -> Run:
    return go("wider", languages=("de", "es"))


@pytest.fixture(scope="module")
def grown(wider: Run, go: Go, place: Path) -> Run:
    file = place / "corpus" / "documents.parquet"
    table = pq.read_table(file)
    pq.write_table(type(table).from_pylist([*table.to_pylist(), EXTRA], table.schema), file)
    return go("grown")


def test_every_file_is_there_and_nothing_else(first):
    assert {path.name for path in first.out.iterdir()} == FILES


def test_audit_json_has_the_fields_that_were_asked_for(first):
    found = json.loads((first.out / "audit.json").read_text("utf-8"))
    assert {"spec", "provenance", "pools", "metrics", "skipped", "verdict"} <= set(found)
    assert found["spec"] == json.loads(first.spec.model_dump_json())
    for row in found["metrics"]:
        assert list(row) == [
            "scenario",
            "share",
            "query_lang",
            "lang",
            "metric",
            "value",
            "low",
            "high",
            "n",
            "clusters",
            "p",
            "unit",
        ]
        assert all(isinstance(row[name], float) for name in ("value", "low", "high"))
        assert isinstance(row["n"], int) and row["low"] <= row["value"] <= row["high"]
    for pool in found["pools"]:
        assert {"languages", "sizes", "share", "seed", "documents_sha256"} <= set(pool)
    assert {
        *("versions", "git_commit", "checkpoint", "model_fingerprint", "corpus_fingerprint"),
        *("documents_table", "queries_table", "timings"),
    } <= set(found["provenance"])


def test_figures_have_the_names_of_the_design(first):
    found = {(row.scenario, row.query_lang, row.lang) for row in first.result.metrics}
    shares = {(f"share(0.{tenths})", "de", "de") for tenths in range(10)}
    assert found == shares | {
        *{("mono", "en", "en"), ("mono", "de", "de"), ("cross", "de", "de"), ("cross", "en", "de")},
        *{("multi", "de", "de"), ("multi", "en", "de"), ("multi", None, "de"), ("distractor", "de", "de")},
        *{("nway", "en", None), ("nway", "de", None)},
    }
    multi = {row.metric for row in first.result.metrics if (row.scenario, row.query_lang) == ("multi", "de")}
    assert {
        *{"max_at_r", "max_at_r_norm", "complete@10", "ndcg@10", "recall@10", "mrr", "acc@1", "rank_distance", "lpr"},
        *{"tlr@10", "pull(x)", "pull(en)", "english_share@10", "quadrant(right,query)", "quadrant(wrong,other)"},
    } <= multi
    assert first.metric("distractor", "de", "de", "inclination_rate").n == GROUPS
    assert first.metric("multi", None, "de", "language_gap(complete@10)").n == GROUPS


def test_provenance_says_what_made_the_figures(first):
    made, spec = first.result.provenance, first.spec
    assert {name: version(name) for name in made.versions} == made.versions
    assert {"torch", "lancedb", "polars", "ray", "prefect", "sentence-transformers"} <= set(made.versions)
    assert made.corpus_fingerprint == read_corpus(spec.corpus, spec.languages).fingerprint()
    checkpoint = resolve(spec.model, spec.encoding, spec.workspace / "models", "float32")
    assert (made.checkpoint, made.model_fingerprint) == (checkpoint.digest, checkpoint.vectors)
    assert list(made.timings) == [*("read corpus", "resolve model", "embed corpus", "rank golds", "compute metrics")]
    assert all(seconds > 0 for seconds in made.timings.values())


def test_the_commit_is_that_of_this_checkout(first):
    head = ["git", "-C", str(Path(provenance.__file__).parent), "rev-parse", "HEAD"]
    known = subprocess.run(head, capture_output=True, text=True, check=False)
    if known.returncode:
        pytest.skip("not a git checkout")
    assert first.result.provenance.git_commit.removesuffix("-dirty") == known.stdout.strip()


def test_another_projects_commit_is_never_taken_for_ours(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    installed = tmp_path / ".venv" / "provenance.py"
    installed.parent.mkdir()
    installed.touch()
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", str(tmp_path), *author, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert provenance.git_commit() is None


def test_pools_say_what_is_in_them(first):
    documents = read_corpus(first.spec.corpus, ("de",)).documents.to_pylist()
    pools = {(pool.scenario, pool.query_lang, pool.lang): pool for pool in first.result.pools}
    assert len(pools) == len(first.result.pools) == 19
    assert pools["mono", "de", "de"].sizes == {"de": GROUPS}
    assert pools["multi", "de", "de"].sizes == {"en": GROUPS, "de": GROUPS}
    # the same documents have the same hash, whoever asks them
    assert pools["mono", "en", "en"].documents_sha256 == pools["cross", "de", "de"].documents_sha256
    assert pools["multi", "en", "de"].documents_sha256 == pools["multi", "de", "de"].documents_sha256
    shares = [pools[f"share(0.{tenths})", "de", "de"] for tenths in range(10)]
    assert [pool.share for pool in shares] == [tenths / 10 for tenths in range(10)]
    assert {sum(pool.sizes.values()) for pool in shares} == {GROUPS}
    ids = sorted((bucket_of(d["group_id"], 0), d["doc_id"]) for d in documents if d["lang"] == "de")
    digest = hashlib.sha256("".join(f"{doc_id}\n" for _, doc_id in ids).encode())
    assert pools["mono", "de", "de"].documents_sha256 == digest.hexdigest()


def ranks_by_query(run: Run) -> dict[tuple[str, str, str | None], dict[str, list[dict[str, Any]]]]:
    """For each pool its queries, for each query its golds' rows."""
    found: dict[Any, Any] = defaultdict(lambda: defaultdict(list))
    for row in run.rows("ranks"):
        found[row["scenario"], row["query_lang"], row["lang"]][row["query_id"]].append(row)
    return found


BY_HAND: dict[str, Callable[[list[dict[str, Any]]], float]] = {
    "max_at_r": lambda golds: max(gold["rank"] for gold in golds),
    "max_at_r_norm": lambda golds: (
        100
        * (math.log2(golds[0]["pool_size"]) - math.log2(max(gold["rank"] for gold in golds)))
        / (math.log2(golds[0]["pool_size"]) - math.log2(len(golds)))
    ),
    "complete@10": lambda golds: float(all(gold["rank"] <= 10 for gold in golds)),
    "recall@10": lambda golds: fmean(gold["rank"] <= 10 for gold in golds),
    "acc@1": lambda golds: float(any(gold["rank"] == 1 for gold in golds)),
    "mrr": lambda golds: max(1 / gold["rank"] for gold in golds),
    "ndcg@10": lambda golds: (
        sum(1 / math.log2(gold["rank"] + 1) for gold in golds if gold["rank"] <= 10)
        / sum(1 / math.log2(i + 2) for i in range(len(golds)))
    ),
}


@pytest.mark.parametrize("metric", BY_HAND)
def test_metrics_are_the_means_of_what_ranks_parquet_says(wider, metric):
    for pool, queries in ranks_by_query(wider).items():
        row = wider.metric(*pool, metric)
        assert row.value == pytest.approx(fmean(BY_HAND[metric](golds) for golds in queries.values()), abs=1e-9)
        assert row.n == len(queries) == GROUPS


def test_metrics_of_two_versions_and_of_distractors_agree_with_ranks_parquet(first):
    pools = ranks_by_query(first)
    pairs = [{gold["gold_lang"]: gold["rank"] for gold in golds} for golds in pools["multi", "de", "de"].values()]
    distance = first.metric("multi", "de", "de", "rank_distance")
    assert distance.value == pytest.approx(fmean(abs(pair["de"] - pair["en"]) for pair in pairs))
    before = fmean(1.0 if pair["de"] < pair["en"] else 0.5 * (pair["de"] == pair["en"]) for pair in pairs)
    assert first.metric("multi", "de", "de", "lpr").value == pytest.approx(before)

    (distracted,) = zip(*pools["distractor", "de", "de"].values(), strict=True)
    rate = first.metric("distractor", "de", "de", "inclination_rate")
    assert rate.value == pytest.approx(fmean(gold["outranking_en"] > 0 for gold in distracted))
    beaten = [gold for gold in distracted if gold["outranking_en"] + gold["outranking_de"]]
    pull = first.metric("distractor", "de", "de", "pull(x)")
    assert pull.n == len(beaten)
    assert pull.value == pytest.approx(
        fmean(
            gold["outranking_en"] / (gold["outranking_en"] + gold["outranking_de"])
            - gold["unrelated_en"] / gold["unrelated"]
            for gold in beaten
        )
    )


def test_ranks_are_one_plus_what_outranks(first):
    """In a pool with one gold, nothing but unrelated documents can stand before it."""
    for row in first.rows("ranks"):
        if row["n_golds"] == 1:
            outranking = [row[f"outranking_{lang}"] or 0 for lang in ("en", "de")]
            assert row["rank"] == 1 + sum(outranking)
            assert row["rank"] <= row["pool_size"]


def test_topk_agrees_with_the_ranks(first):
    """A document's position is its rank where nothing ties: the first ten of `multi`, golds among them."""
    tops = defaultdict(list)
    for row in first.rows("topk"):
        tops[row["scenario"], row["query_lang"], row["lang"], row["query_id"]].append(row)
    for top in tops.values():
        assert [row["position"] for row in top] == list(range(1, len(top) + 1))
        assert [row["score"] for row in top] == sorted((row["score"] for row in top), reverse=True)
    checked = 0
    for pool, queries in ranks_by_query(first).items():
        for query_id, golds in queries.items():
            positions = {row["doc_id"]: row["position"] for row in tops[*pool, query_id]}
            for gold in golds:
                if not pool[0].startswith("share") and not gold["ties"] and gold["rank"] <= 10:
                    assert positions[gold["doc_id"]] == gold["rank"]
                    checked += 1
    assert checked > GROUPS


def test_queries_parquet_has_a_row_a_query_and_pool(first):
    rows = first.rows("queries")
    means = defaultdict(list)
    for row in rows:
        means[row["scenario"], row["query_lang"], row["lang"]].append(row["max_at_r"])
    for pool, values in means.items():
        if pool[1] is not None:
            assert first.metric(*pool, "max_at_r").value == pytest.approx(fmean(values))


def test_mteb_files_have_the_same_ndcg(first):
    files = {path.name: json.loads(path.read_text("utf-8")) for path in (first.out / "mteb").rglob("*.json")}
    assert set(files) == {"ClirMonoRetrieval.json", "ClirCrossRetrieval.json", "model_meta.json"}
    mono = {part["hf_subset"]: part for part in files["ClirMonoRetrieval.json"]["scores"]["test"]}
    assert mono["de"]["main_score"] == pytest.approx(first.metric("mono", "de", "de", "ndcg@10").value)
    cross = {part["hf_subset"]: part for part in files["ClirCrossRetrieval.json"]["scores"]["test"]}
    assert cross["de-en"]["hit_rate_at_1"] == pytest.approx(first.metric("cross", "de", "de", "acc@1").value)


def test_the_report_holds_the_verdict(first):
    page = html.unescape((first.out / "report.html").read_text("utf-8"))
    assert all(sentence in page for sentence in first.result.verdict)


def test_the_same_audit_again_does_nothing_twice(first, again):
    assert f"0 texts encoded, {4 * GROUPS} were there" in again.log
    assert again.log.count("done before: the finished result is used") == 2
    timings = again.result.provenance.timings
    assert [timings[step] for step in ("embed corpus", "rank golds", "compute metrics")] == [0, 0, 0]
    assert again.result.metrics == first.result.metrics
    assert again.result.pools == first.result.pools
    assert again.result.provenance.documents_table == first.result.provenance.documents_table
    for name in ("ranks.parquet", "topk.parquet", "queries.parquet"):
        assert (again.out / name).read_bytes() == (first.out / name).read_bytes()


def test_a_new_result_replaces_the_old_one_whole_and_nothing_else(again, go):
    (again.out / "mteb" / "of-an-older-result.json").write_text("{}")
    (again.out / "notes.txt").write_text("mine")
    anew = go("again", min_inclination=0.06)
    assert not list((anew.out / "mteb").rglob("of-an-older-result.json"))
    assert (anew.out / "notes.txt").read_text() == "mine"
    assert anew.result.provenance.finished > again.result.provenance.finished
    (anew.out / "notes.txt").unlink()
    assert {path.name for path in anew.out.iterdir()} == FILES


def test_another_language_embeds_its_own_texts_alone(first, wider):
    assert f"{2 * GROUPS} texts encoded, {4 * GROUPS} were there" in wider.log
    new = {(row.scenario, row.query_lang, row.lang): row.value for row in wider.result.metrics if row.metric == "mrr"}
    old = {(row.scenario, row.query_lang, row.lang): row.value for row in first.result.metrics if row.metric == "mrr"}
    # what compares English and German alone stays as it was, to the last bit
    assert {pool: new[pool] for pool in old if pool[0] != "nway"} == {p: v for p, v in old.items() if p[0] != "nway"}


@pytest.mark.slow
def test_one_new_document_embeds_one_text(grown):
    assert f"1 texts encoded, {4 * GROUPS} were there" in grown.log
    assert "done before: the finished result is used" not in grown.log
    assert next(pool for pool in grown.result.pools if pool.scenario == "mono").sizes == {"en": GROUPS + 1}


def tagged_version(read: TableRead) -> int:
    """The version that the tag points to today."""
    return int(lancedb.connect(read.uri).open_table(read.table).tags.get_version(read.tag))


def n_rows(read: TableRead) -> int:
    """Rows of the table at the tagged version."""
    table = lancedb.connect(read.uri).open_table(read.table)
    table.checkout(read.tag)
    return table.count_rows()


@pytest.mark.slow
def test_the_versions_that_audits_read_stay_tagged(first, wider, grown):
    expected = {"first": (first, 2 * GROUPS), "wider": (wider, 3 * GROUPS), "grown": (grown, 3 * GROUPS + 1)}
    for name, (run, rows) in expected.items():
        read = run.result.provenance.documents_table
        assert (tagged_version(read), n_rows(read)) == (read.version, rows), name


@pytest.fixture
def artifacts(first) -> dict[str, Any]:
    """The artifacts of the first run as the Prefect API has them, by key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[first.flow_run_id]))
    with get_client(sync_client=True) as client:
        return {found.key: found for found in client.read_artifacts(artifact_filter=mine)}


def test_the_prefect_ui_shows_verdict_table_link_and_progress(first, artifacts):
    kinds = {key: artifact.type for key, artifact in artifacts.items()}
    assert kinds == {
        "verdict-tiny-on-corpus": "markdown",
        "metrics-tiny-on-corpus": "table",
        "report-tiny-on-corpus": "markdown",  # Prefect keeps a link as markdown
        "embed-document": "progress",
        "embed-query": "progress",
        "rank": "progress",
    }
    verdict = artifacts["verdict-tiny-on-corpus"].data
    assert all(sentence in verdict for sentence in first.result.verdict)
    assert "|---" in verdict.replace(" ", "").replace(":", "")  # the table stands below
    assert (first.out / "report.html").as_uri() in artifacts["report-tiny-on-corpus"].data
    assert [artifacts[key].data for key in ("embed-document", "embed-query", "rank")] == [100.0, 100.0, 100.0]


def test_the_table_artifact_has_the_metrics(first, artifacts):
    rows = json.loads(artifacts["metrics-tiny-on-corpus"].data)
    assert len(rows) == sum(not row.scenario.startswith("share") for row in first.result.metrics)
    (shown,) = (
        row for row in rows if (row["scenario"], row["query_lang"], row["metric"]) == ("multi", "de", "complete@10")
    )
    assert shown["value"] == pytest.approx(first.metric("multi", "de", "de", "complete@10").value, abs=1e-3)


def fields(schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a JSON schema, those of nested objects with a dotted name."""
    for name, field in schema["properties"].items():
        target = field.get("$ref") or (field.get("allOf") or [{}])[0].get("$ref")
        if target:
            for inner, found in fields(definitions[target.rpartition("/")[2]], definitions):
                yield f"{name}.{inner}", found
        else:
            yield name, field


def test_the_run_form_explains_every_field():
    from flows.audit import audit

    schema = audit.parameters.model_dump()
    form = dict(fields(schema, schema["definitions"]))
    expected = {f"spec.{name}" for name in AuditSpec.model_fields if name not in ("encoding", "runtime")}
    for part in ("encoding", "runtime"):
        expected |= {f"spec.{part}.{name}" for name in AuditSpec.model_fields[part].annotation.model_fields}
    assert set(form) == expected
    assert [name for name, field in form.items() if not field.get("description")] == []
    assert [name for name, field in form.items() if "default" not in field] == []


def test_what_a_corpus_lacks_is_listed_never_averaged_in(place, go, demo_part, first):
    """Two German versions and one English one are taken away; what is left has its vectors already."""
    groups = sorted({row["group_id"] for row in first.rows("ranks")})
    gone = (f"de/{groups[0]}", f"de/{groups[1]}", f"en/{groups[2]}")
    demo_part(place / "corpus", ("de",), GROUPS, leave_out=gone)
    run = go("holes")
    assert f"0 texts encoded, {4 * GROUPS - 3} were there" in run.log
    skipped = {(part.what, part.reason): part for part in run.result.skipped}
    expected = {
        ("en queries of mono with en", "en"): 1,
        ("de queries of mono with de", "de"): 2,
        ("de queries of cross with de", "en"): 1,
        ("en queries of cross with de", "de"): 2,
        ("de queries of multi with de", "en and de"): 3,
        ("en queries of multi with de", "en and de"): 3,
        ("de queries of distractor with de", "de"): 2,
    }
    for (what, missing), count in expected.items():
        (part,) = (
            part for (name, reason), part in skipped.items() if name == what and reason.endswith(f"in {missing}")
        )
        assert part.count == count
    (lost,) = (part for part in run.result.skipped if part.what == "de queries of mono with de")
    assert sorted(lost.examples) == [f"de/{group}/q" for group in groups[:2]]
    assert run.metric("multi", "de", "de", "complete@10").n == GROUPS - 3
    assert run.metric("mono", "en", "en", "acc@1").n == GROUPS - 1
    assert run.metric("distractor", "de", "de", "inclination_rate").n == GROUPS - 2
