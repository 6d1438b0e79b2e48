"""An audit: its steps in their order, what each is named by, and its result."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clir_core.audit.claims import claims
from clir_core.audit.data_counts import count_facts
from clir_core.audit.exposure import Exposure
from clir_core.audit.index import Searched, sentences
from clir_core.audit.result import AuditResult, Embedded, Measured, MetricRow, Provenance
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.audit.verdict import verdict
from clir_core.corpus.clusters import cluster_queries
from clir_core.corpus.tables import QUERIES, Corpus
from clir_core.errors import SpecError
from clir_core.measure.figures import cutoff
from clir_core.measure.pieces import measure_ranks
from clir_core.model.baseline import UNSTORED
from clir_core.model.checkpoint import Checkpoint, check_unchanged, resolve
from clir_core.model.run_file import check_run
from clir_core.rank.ranked import Ranked
from clir_core.registry.facts import DTYPE, Audited, Entry
from clir_core.runs.made import Made, made_of
from clir_core.runs.places import measures_directory, output_directory, ranks_directory
from clir_core.runs.read import Read, counted, read
from clir_core.runs.record import as_registered, record_audit
from clir_core.runs.runner import Runner
from clir_core.runs.workers import Ranking, Workers
from clir_core.workspace import layout, private
from clir_core.workspace.atomic import write_text
from clir_core.workspace.layout import RESULT
from clir_core.workspace.provenance import git_commit, versions
from clir_core.workspace.steps import once, read_result

NOWHERE = Embedded(documents=None, queries=None)


class Finished(NamedTuple):
    """What came of an audit: its result, where its files are, and what was entered for it, if it is news."""

    result: AuditResult
    out: Path
    entry: Entry
    news: Audited | None


def audit(spec: AuditSpec, workers: Workers, runner: Runner, by: str = "") -> Finished:
    """Measure a checkpoint on a corpus, write the result's files, and register both; `by` says who asked."""
    check_run(spec.model)
    found = runner.step("read corpus", lambda: read(spec), counted)
    corpus, fit = found.corpus, found.fit
    clusters = cluster_queries(corpus, spec.cluster)  # refuses what it cannot cluster by before anything costly
    checkpoint = runner.step("resolve model", lambda: resolved(spec, workers.dtype(spec.runtime)), _named)
    ranks = ranks_directory(spec, corpus, checkpoint, fit)
    with unchanged(checkpoint, spec.workspace):
        known = as_registered(spec, checkpoint)
        embedded = NOWHERE
        if checkpoint.kind not in UNSTORED:
            embedded = runner.once(
                "embed corpus",
                lambda: embed(spec, found.whole, checkpoint, fit, ranks, workers, runner),
                _encoded,
                retries=2,
            )
    asked = Ranking(spec, corpus, checkpoint.normalize, embedded, fit, ranks)
    ranked = runner.once("rank golds", lambda: rank(asked, checkpoint, workers, runner), retries=2)
    measures = measures_directory(spec, ranks, clusters)
    measured = runner.once("compute metrics", lambda: measure(spec, measures, ranks, corpus, clusters))
    origin = made_of(spec, checkpoint, fit, embedded)
    made = result(spec, corpus, checkpoint.name, ranked, measured, origin, runner.timings)
    if spec.index:
        made = indexed(made, runner.once("search index", lambda: search(asked, clusters, runner)))
    if found.exposure:
        beside = with_seen(asked, found, checkpoint, clusters, workers, runner)
        made = exposed(made, found.exposure, beside)
    out = output_directory(made, checkpoint)
    runner.step("report", lambda: write(made, ranks, measures, corpus, out), lambda _: f"report: {out / layout.REPORT}")
    return Finished(made, out, *runner.step("register audit", lambda: record_audit(made, out, known, by)))


def embed_only(spec: EmbedSpec, workers: Workers, runner: Runner) -> Embedded:
    """Bring a corpus's vectors up to date, ahead of the audits that will rank them."""
    corpus = runner.step("read corpus", lambda: read(spec), counted).whole
    checkpoint = runner.step("resolve model", lambda: resolved(spec, workers.dtype(spec.runtime)), _named)
    with unchanged(checkpoint, spec.workspace):
        bars = runner.bars(lambda name: f"embedding {name.removeprefix('embed-')} texts")
        return runner.step(
            "embed corpus", lambda: workers.embed(spec, corpus, checkpoint, None, bars), _encoded, retries=2
        )


def resolved(spec: EmbedSpec, dtype: str) -> Checkpoint:
    """The audit's checkpoint, found or fetched, safe to load. SpecError where it can do no such thing."""
    private.close(spec.workspace)  # here it is written to first
    found = resolve(spec.model, spec.encoding, layout.models(spec.workspace), dtype)
    if found.kind not in UNSTORED:
        return found
    if not isinstance(spec, AuditSpec):
        raise SpecError(
            f"{spec.model} has {UNSTORED[found.kind]}, so there are no vectors to embed ahead; audit it as it is"
        )
    if spec.index:
        raise SpecError(
            f"index {spec.index} holds one vector a text, and {spec.model} has {UNSTORED[found.kind]}; leave it out"
        )
    if spec.correction:
        raise SpecError(
            f"correction {spec.correction!r} changes the one stored vector of a text, and {spec.model} has "
            f"{UNSTORED[found.kind]}; leave the correction out"
        )
    # it is computed by this process alone, whatever a cluster has
    return found if found.dtype == DTYPE else resolve(spec.model, spec.encoding, layout.models(spec.workspace), DTYPE)


@contextmanager
def unchanged(checkpoint: Checkpoint, workspace: Path) -> Iterator[None]:
    """Within it the checkpoint is read: ModelError where it vanished or changed meanwhile, whatever that led to."""
    try:
        yield
    except Exception:
        check_unchanged(checkpoint, layout.models(workspace))
        raise
    check_unchanged(checkpoint, layout.models(workspace))


def embed(
    spec: AuditSpec,
    corpus: Corpus,
    checkpoint: Checkpoint,
    fit: Corpus | None,
    ranks: Path,
    workers: Workers,
    runner: Runner,
) -> tuple[Embedded, bool]:
    """Where the vectors are, and whether all were there. What is ranked already needs none."""
    kept = read_result(ranks / layout.EMBEDDED, Embedded) if read_result(ranks / RESULT, Ranked) else None
    if kept:
        return kept.model_copy(update={"encoded": 0, "reused": kept.encoded + kept.reused}), True
    if not spec.runtime.jobs:
        from clir_core.runs.rank import check_fits  # torch and numba: seconds to import

        # before the costly part; jobs rank on another machine, and look there
        check_fits(spec, corpus)
    bars = runner.bars(lambda name: f"embedding {name.removeprefix('embed-')} texts")
    found = workers.embed(spec, corpus, checkpoint, fit, bars)
    return found, not found.encoded


def rank(asked: Ranking, checkpoint: Checkpoint, workers: Workers, runner: Runner) -> tuple[Ranked, bool]:
    """What outranks each gold, counted or done before; where no vectors are stored, in this process."""
    directory = asked.directory
    if kept := read_result(directory / RESULT, Ranked):
        ranked, done_before = kept, True
    elif checkpoint.kind in UNSTORED:
        from clir_core.runs.in_memory import rank_texts  # torch and numba: seconds to import

        runner.say(f"{checkpoint.name} has {UNSTORED[checkpoint.kind]}: scored exactly, in this process")
        with unchanged(checkpoint, asked.spec.workspace):
            ranked, done_before = rank_texts(asked.spec, asked.corpus, checkpoint, directory, runner.bars(_doing))
    else:
        ranked, done_before = workers.rank(asked, runner.bars(lambda _: "ranking blocks of documents"))
        if asked.fit:
            runner.say(f"{asked.spec.corrected('vectors')}, fitted on {_read_of(asked.fit, asked.spec)}")
    if not (directory / layout.EMBEDDED).exists():
        write_text(directory / layout.EMBEDDED, asked.embedded.model_dump_json(indent=1))
    return ranked, done_before


def measure(
    spec: AuditSpec, directory: Path, ranks: Path, corpus: Corpus, clusters: pl.DataFrame
) -> tuple[Measured, bool]:
    """Metrics of every query, their means and intervals over these clusters, computed or done before."""

    def compute(scratch: Path) -> Measured:
        queries = pl.DataFrame(pl.from_arrow(corpus.queries.select(QUERIES.names)))
        queries = queries.join(clusters, on="query_id", maintain_order="left")
        return measure_ranks(ranks, queries, spec.cutoffs, scratch / layout.QUERIES, corpus.pivot)

    return once(directory, Measured, compute)


def search(asked: Ranking, clusters: pl.DataFrame, runner: Runner) -> tuple[Searched, bool]:
    """What an approximate index returns, found or done before."""
    from clir_core.runs.index import search_index  # LanceDB: seconds to import

    return search_index(asked, clusters, runner.bars(lambda _: f"searching {asked.spec.index}"))


def indexed(made: AuditResult, searched: Searched) -> AuditResult:
    """A result with what an index returns."""
    told = sentences(searched, cutoff(made), made.spec.pivot, made.spec.is_graph)
    return made.model_copy(update={"searched": searched, "verdict": (*made.verdict, *told)})


def with_seen(
    asked: Ranking, found: Read, checkpoint: Checkpoint, clusters: pl.DataFrame, workers: Workers, runner: Runner
) -> tuple[MetricRow, ...]:
    """The figures in pools with the passages that were seen and answer nothing; none where the audit judges in them."""
    if found.whole is found.corpus:
        return ()
    spec = asked.spec.model_copy(update={"pools": "all"})
    ranks = ranks_directory(spec, found.whole, checkpoint, found.fit)
    again = asked._replace(spec=spec, corpus=found.whole, directory=ranks)
    runner.once("rank golds, seen passages among them", lambda: rank(again, checkpoint, workers, runner), retries=2)
    measures = measures_directory(spec, ranks, clusters)
    return runner.once(
        "compute metrics, seen passages among them", lambda: measure(spec, measures, ranks, found.whole, clusters)
    ).metrics


def exposed(made: AuditResult, found: Exposure | None, metrics: tuple[MetricRow, ...]) -> AuditResult:
    """A result with what was seen, and the figures in pools that hold it."""
    return made.model_copy(update={"exposure": found, "metrics_with_seen": metrics})


def result(
    spec: AuditSpec,
    corpus: Corpus,
    name: str,
    ranked: Ranked,
    measured: Measured,
    made: Made,
    timings: dict[str, float],
) -> AuditResult:
    """All that the audit of a model of this name found, with its verdict and what made it."""
    others = [lang for lang in corpus.languages if lang != corpus.pivot]
    model = spec.corrected(name)
    claimed = claims(measured.metrics, ranked.pools, others, spec)
    return AuditResult(
        name=f"{model} on {corpus.name}",
        spec=spec,
        languages=corpus.languages,
        verdict=verdict(claimed, model, corpus.pivot),
        claims=claimed,
        provenance=Provenance(
            versions=versions(),
            git_commit=git_commit(),
            checkpoint=made.checkpoint,
            model_fingerprint=made.model,
            corpus_fingerprint=corpus.fingerprint(),
            reading=made.reading,
            canary=made.canary,
            documents_table=made.documents,
            queries_table=made.queries,
            fitted=made.fitted,
            ties=ranked.ties,
            near_ties=ranked.near_ties,
            gold_ties=ranked.gold_ties,
            timings=dict(timings),
            finished=datetime.now(UTC),
        ),
        pools=ranked.pools,
        metrics=measured.metrics,
        skipped=(*corpus.skipped, *ranked.skipped),
        facts=count_facts(corpus, ranked.pools, max(spec.cutoffs), made.cut, ranked.notes),
    )


def write(made: AuditResult, ranks: Path, measures: Path, corpus: Corpus, out: Path) -> None:
    """The files of the result, unless the very same are there."""
    if not is_there(made, out):
        from clir_core.report.outputs import write_outputs  # pages and charts: seconds to import

        write_outputs(made, ranks, measures, corpus, out)


def is_there(made: AuditResult, out: Path) -> bool:
    """Whether this very result, but for its times, lies there with all of its files."""
    there = read_result(out / layout.AUDIT, AuditResult)
    is_whole = all((out / name).exists() for name in layout.AUDIT_FILES)
    return there is not None and is_whole and _without_times(there) == _without_times(made)


def _without_times(made: AuditResult) -> AuditResult:
    times = {"timings": {}, "finished": datetime.min}
    return made.model_copy(update={"provenance": made.provenance.model_copy(update=times)})


def _read_of(fit: Corpus, spec: AuditSpec) -> str:
    documents = f"{len(fit.documents):,} documents" if spec.reads_documents else ""
    queries = f"{len(fit.queries):,} queries" if spec.reads_queries else ""
    return f"{' and '.join(filter(None, (documents, queries)))} of {fit.name}"


def _named(checkpoint: Checkpoint) -> str:
    return "; ".join([f"{checkpoint.name}: digest {checkpoint.digest[:16]}", *checkpoint.notes])


def _doing(bar: str) -> str:
    return "ranking blocks of documents" if bar == "rank" else f"encoding {bar.removeprefix('embed-')} texts"


def _encoded(embedded: Embedded) -> str:
    told = [
        f"{embedded.encoded:,} texts encoded, {embedded.reused:,} were there",
        *embedded.suspicions,
        *embedded.notes,
    ]
    return "; ".join(told)
