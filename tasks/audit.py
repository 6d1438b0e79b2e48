"""The steps of an audit as Prefect tasks. Each hands its work to clir_core and says in the log what came of it."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from clir_core.audit import AuditResult, AuditSpec, Embedded, Measured, Provenance, Ranked
from clir_core.corpus import ENGLISH, Corpus
from clir_core.jobs.cluster import has_gpu, may_pass
from clir_core.jobs.embed import embed_corpus
from clir_core.jobs.rank import rank_corpus
from clir_core.metrics import per_query, units
from clir_core.models import Checkpoint, resolve
from clir_core.outputs import write_outputs
from clir_core.plan import Plan, make_plan
from clir_core.provenance import git_commit, versions
from clir_core.sources import read_corpus
from clir_core.stats import aggregate
from clir_core.steps import once, step_directory
from clir_core.store import explained
from clir_core.verdict import verdict
from tasks.progress import Progress


def _retriable(task: object, task_run: object, state: object) -> bool:
    return may_pass(state.result(raise_on_failure=False))  # type: ignore[attr-defined]


@task(name="read corpus", cache_policy=NO_CACHE, persist_result=False)
def read(spec: AuditSpec) -> Corpus:
    """Read and validate the corpus."""
    corpus = read_corpus(spec.corpus, spec.languages)
    get_run_logger().info(
        "%s: %s documents and %s queries in %s",
        corpus.name,
        f"{len(corpus.documents):,}",
        f"{len(corpus.queries):,}",
        ", ".join(corpus.languages),
    )
    return corpus


@task(name="resolve model", cache_policy=NO_CACHE, persist_result=False)
def resolve_model(spec: AuditSpec) -> Checkpoint:
    """Find the checkpoint, check that it is safe to load, and fingerprint it."""
    checkpoint = resolve(spec.model, spec.encoding, spec.workspace / "models", "bfloat16" if has_gpu() else "float32")
    get_run_logger().info("%s: fingerprint %s", checkpoint.name, checkpoint.sha256[:16])
    return checkpoint


@task(
    name="embed corpus",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=_retriable,
)
def embed(spec: AuditSpec, corpus: Corpus, checkpoint: Checkpoint) -> tuple[Embedded, bool]:
    """Encode with Ray what LanceDB lacks. Says whether it lacked nothing."""
    embedded = embed_corpus(corpus, checkpoint, spec, lambda kind: Progress(f"embedding {kind} texts", f"embed-{kind}"))
    get_run_logger().info("%s texts encoded, %s were there", f"{embedded.encoded:,}", f"{embedded.reused:,}")
    return embedded, not embedded.encoded


@task(name="build pools", cache_policy=NO_CACHE, persist_result=False)
def build_pools(spec: AuditSpec, corpus: Corpus) -> Plan:
    """Number documents and queries, and settle which pool asks for what."""
    plan = make_plan(corpus, corpus.languages, spec.scenarios, max(spec.cutoffs), spec.seed)
    get_run_logger().info("%d pools over %d languages", len(plan.pools), len(plan.languages))
    return plan


def ranks_directory(spec: AuditSpec, corpus: Corpus, checkpoint: Checkpoint) -> Path:
    """Where the ranks of this audit are kept."""
    return step_directory(
        spec.workspace,
        "ranks",
        corpus=corpus.fingerprint(),
        model=checkpoint.sha256,
        languages=corpus.languages,
        scenarios=spec.scenarios,
        cutoff=max(spec.cutoffs),
        seed=spec.seed,
    )


@task(
    name="rank golds",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=_retriable,
)
def rank(directory: Path, plan: Plan, corpus: Corpus, embedded: Embedded) -> tuple[Ranked, bool]:
    """Count with Ray what outranks each gold. Says whether that was done before."""
    ranked, done_before = once(
        directory,
        Ranked,
        lambda scratch: rank_corpus(plan, corpus, embedded, scratch, Progress("ranking blocks of documents", "rank")),
    )
    _say_reused(done_before)
    return ranked, done_before


def measures_directory(spec: AuditSpec, ranks: Path) -> Path:
    """Where the metrics of this audit are kept."""
    return step_directory(
        spec.workspace, "metrics", ranks=ranks.name, cutoffs=spec.cutoffs, resamples=spec.resamples, seed=spec.seed
    )


@task(name="compute metrics", cache_policy=NO_CACHE, persist_result=False)
def measure(spec: AuditSpec, directory: Path, ranks: Path, corpus: Corpus) -> tuple[Measured, bool]:
    """Metrics of every query, their means and intervals. Says whether that was done before."""

    def compute(scratch: Path) -> Measured:
        rows, top = (pl.read_parquet(ranks / name) for name in ("ranks.parquet", "topk.parquet"))
        table = per_query(rows, top, pl.DataFrame(pl.from_arrow(corpus.queries)), spec.cutoffs)
        with explained(scratch):
            table.write_parquet(scratch / "queries.parquet")
        return Measured(metrics=tuple(aggregate(table, units(spec.cutoffs), spec.resamples, spec.seed)))

    measured, done_before = once(directory, Measured, compute)
    _say_reused(done_before)
    return measured, done_before


@task(name="report", cache_policy=NO_CACHE, persist_result=False)
def report(
    spec: AuditSpec,
    corpus: Corpus,
    checkpoint: Checkpoint,
    embedded: Embedded,
    ranked: Ranked,
    measured: Measured,
    directories: tuple[Path, Path],
    timings: dict[str, float],
) -> tuple[AuditResult, Path]:
    """Write audit.json, report.html and the tables into the audit's directory."""
    others = [lang for lang in corpus.languages if lang != ENGLISH]
    result = AuditResult(
        name=f"{checkpoint.name} on {corpus.name}",
        spec=spec,
        languages=corpus.languages,
        verdict=verdict(measured.metrics, checkpoint.name, others, spec.cutoffs[0]),
        provenance=Provenance(
            versions=versions(),
            git_commit=git_commit(),
            model_fingerprint=checkpoint.sha256,
            corpus_fingerprint=corpus.fingerprint(),
            documents_table=embedded.documents,
            queries_table=embedded.queries,
            ties=ranked.ties,
            near_ties=ranked.near_ties,
            timings=timings,
            finished=datetime.now(UTC),
        ),
        pools=ranked.pools,
        metrics=measured.metrics,
        skipped=(*corpus.skipped, *ranked.skipped),
    )
    out = (spec.out or spec.workspace / "audits" / f"{slug(result.name)}-{spec.identity()[:8]}").resolve()
    write_outputs(result, *directories, corpus, out)
    get_run_logger().info("report: %s", out / "report.html")
    return result, out


def slug(text: str) -> str:
    """Lower-case letters, digits and dashes: a name for files and for Prefect's artifact keys."""
    return "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in text.lower()).split())


def _say_reused(done_before: bool) -> None:
    if done_before:
        get_run_logger().info("done before: the finished result is used")
