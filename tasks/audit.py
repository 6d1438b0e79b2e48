"""The steps of an audit as Prefect tasks. Each hands its work to clir_core and says in the log what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from prefect.logging import get_run_logger

from clir_core.audit.corrections import Correction, fit_correction, fit_reference, read_fit_corpus
from clir_core.audit.result import AuditResult, Embedded, Fitted, Measured, Provenance, Ranked
from clir_core.audit.spec import AuditSpec
from clir_core.audit.verdict import verdict
from clir_core.corpus.tables import ENGLISH, Corpus
from clir_core.jobs import submit
from clir_core.jobs.cluster import has_gpu
from clir_core.jobs.embed import count_missing, embed_corpus
from clir_core.jobs.rank import open_read, rank_corpus
from clir_core.jobs.requests import EmbedRequest, RankRequest
from clir_core.measure.metrics import per_query, units
from clir_core.measure.stats import aggregate
from clir_core.model.checkpoint import Checkpoint, check_unchanged, resolve
from clir_core.rank.plan import Plan, make_plan
from clir_core.report.outputs import write_outputs
from clir_core.sources import read_corpus
from clir_core.spec import sha256_of
from clir_core.workspace.provenance import git_commit, versions
from clir_core.workspace.steps import RESULT, once, read_result, step_directory
from clir_core.workspace.storage import explained
from tasks.progress import Progress
from tasks.step import step


@step("read corpus")
def read(spec: AuditSpec) -> tuple[Corpus, Corpus | None]:
    """Read and validate the corpus, and the one that a correction is fitted on."""
    corpus = read_corpus(spec.corpus, spec.languages)
    get_run_logger().info(
        "%s: %s documents and %s queries in %s",
        corpus.name,
        f"{len(corpus.documents):,}",
        f"{len(corpus.queries):,}",
        ", ".join(corpus.languages),
    )
    return corpus, read_fit_corpus(spec, corpus.languages)


@step("resolve model")
def resolve_model(spec: AuditSpec) -> Checkpoint:
    """Find the checkpoint, check that it is safe to load, and fingerprint it."""
    gpu = submit.has_gpu(spec.runtime.jobs) if spec.runtime.jobs else has_gpu()
    checkpoint = resolve(spec.model, spec.encoding, spec.workspace / "models", "bfloat16" if gpu else "float32")
    get_run_logger().info("%s: digest %s", checkpoint.name, checkpoint.digest[:16])
    return checkpoint


@contextmanager
def unchanged(checkpoint: Checkpoint, workspace: Path) -> Iterator[None]:
    """Within it the checkpoint is read: ModelError where it vanished or changed meanwhile, whatever that led to."""
    try:
        yield
    except Exception:
        check_unchanged(checkpoint, workspace / "models")
        raise
    check_unchanged(checkpoint, workspace / "models")


@step("embed corpus", retries=2)
def embed(spec: AuditSpec, corpus: Corpus, checkpoint: Checkpoint, fit: Corpus | None = None) -> tuple[Embedded, bool]:
    """Encode with Ray what LanceDB lacks. Says whether it lacked nothing."""
    logger = get_run_logger()

    def progress(kind: str) -> Progress:
        return Progress(f"embedding {kind} texts", f"embed-{kind}")

    by_job = 0
    if spec.runtime.jobs and (by_job := count_missing(corpus, checkpoint, spec, fit)):
        request = EmbedRequest(
            spec=spec, checkpoint=checkpoint, corpus=corpus.fingerprint(), fit=fit.fingerprint() if fit else None
        )

        def is_done() -> bool:
            return not count_missing(corpus, checkpoint, spec, fit)

        submit.do_by_job(spec.runtime.jobs, request, is_done, progress, logger.info)
    embedded = embed_corpus(corpus, checkpoint, spec, progress, fit)
    if by_job:
        embedded = embedded.model_copy(update={"encoded": by_job, "reused": embedded.reused - by_job})
    logger.info("%s texts encoded, %s were there", f"{embedded.encoded:,}", f"{embedded.reused:,}")
    return embedded, not embedded.encoded


@step("build pools")
def build_pools(spec: AuditSpec, corpus: Corpus) -> Plan:
    """Number documents and queries, and settle which pool asks for what."""
    plan = make_plan(corpus, corpus.languages, spec.scenarios, max(spec.cutoffs), spec.seed)
    get_run_logger().info("%d pools over %d languages", len(plan.pools), len(plan.languages))
    return plan


@step("fit correction")
def fit_on(spec: AuditSpec, fit: Corpus, checkpoint: Checkpoint, embedded: Embedded) -> Correction:
    """Fit the correction on stored vectors."""
    assert embedded.fit
    correction = fit_correction(spec, fit, open_read(embedded.fit), checkpoint.normalize)
    get_run_logger().info(
        "%s, fitted on %s documents of %s", spec.corrected("vectors"), f"{len(fit.documents):,}", fit.name
    )
    return correction


def ranks_directory(spec: AuditSpec, corpus: Corpus, checkpoint: Checkpoint, fit: Corpus | None = None) -> Path:
    """Where the ranks of this audit are kept."""
    correction = [spec.correction, spec.correction_alpha, fit.fingerprint()] if fit else None
    return step_directory(
        spec.workspace,
        "ranks",
        corpus=corpus.fingerprint(),
        model=checkpoint.vectors,
        languages=corpus.languages,
        scenarios=spec.scenarios,
        cutoff=max(spec.cutoffs),
        seed=spec.seed,
        correction=correction,
    )


@step("rank golds", retries=2)
def rank(
    spec: AuditSpec,
    directory: Path,
    plan: Plan,
    corpus: Corpus,
    checkpoint: Checkpoint,
    embedded: Embedded,
    correction: Correction | None = None,
) -> tuple[Ranked, bool]:
    """Count with Ray what outranks each gold. Says whether that was done before."""

    def progress(_: str) -> Progress:
        return Progress("ranking blocks of documents", "rank")

    def is_done() -> bool:
        return read_result(directory / RESULT, Ranked) is not None

    by_job = spec.runtime.jobs is not None and not is_done()
    if spec.runtime.jobs and by_job:
        request = RankRequest(
            spec=spec,
            normalize=checkpoint.normalize,
            embedded=embedded,
            corpus=corpus.fingerprint(),
            ranks=directory,
        )
        submit.do_by_job(spec.runtime.jobs, request, is_done, progress, get_run_logger().info)
    ranked, found = once(
        directory, Ranked, lambda scratch: rank_corpus(plan, corpus, embedded, scratch, progress(""), correction)
    )
    done_before = found and not by_job
    _say_reused(done_before)
    return ranked, done_before


def measures_directory(spec: AuditSpec, ranks: Path) -> Path:
    """Where the metrics of this audit are kept."""
    return step_directory(
        spec.workspace, "metrics", ranks=ranks.name, cutoffs=spec.cutoffs, resamples=spec.resamples, seed=spec.seed
    )


@step("compute metrics")
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


@step("report")
def report(
    spec: AuditSpec,
    corpus: Corpus,
    checkpoint: Checkpoint,
    embedded: Embedded,
    ranked: Ranked,
    measured: Measured,
    directories: tuple[Path, Path],
    timings: dict[str, float],
    fit: Corpus | None = None,
) -> tuple[AuditResult, Path]:
    """Write audit.json, report.html and the tables into the audit's directory."""
    others = [lang for lang in corpus.languages if lang != ENGLISH]
    model = spec.corrected(checkpoint.name)
    result = AuditResult(
        name=f"{model} on {corpus.name}",
        spec=spec,
        languages=corpus.languages,
        verdict=verdict(measured.metrics, model, others, spec.cutoffs[0]),
        provenance=Provenance(
            versions=versions(),
            git_commit=git_commit(),
            checkpoint=checkpoint.digest,
            model_fingerprint=checkpoint.vectors,
            corpus_fingerprint=corpus.fingerprint(),
            documents_table=embedded.documents,
            queries_table=embedded.queries,
            fitted=_fitted(spec, fit, embedded),
            ties=ranked.ties,
            near_ties=ranked.near_ties,
            timings=timings,
            finished=datetime.now(UTC),
        ),
        pools=ranked.pools,
        metrics=measured.metrics,
        skipped=(*corpus.skipped, *ranked.skipped),
    )
    # other weights or texts under the same name are another audit, whose files must not take this one's place
    content = sha256_of([spec.identity(), checkpoint.vectors, corpus.fingerprint()])[:8]
    out = (spec.out or spec.workspace / "audits" / f"{slug(result.name)}-{content}").resolve()
    write_outputs(result, *directories, corpus, out)
    get_run_logger().info("report: %s", out / "report.html")
    return result, out


def _fitted(spec: AuditSpec, fit: Corpus | None, embedded: Embedded) -> Fitted | None:
    if not (fit and embedded.fit):
        return None
    return Fitted(corpus=str(fit_reference(spec)), corpus_fingerprint=fit.fingerprint(), documents_table=embedded.fit)


def slug(text: str) -> str:
    """Lower-case letters, digits and dashes: a name for files and for Prefect's artifact keys."""
    return "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in text.lower()).split())


def _say_reused(done_before: bool) -> None:
    if done_before:
        get_run_logger().info("done before: the finished result is used")
