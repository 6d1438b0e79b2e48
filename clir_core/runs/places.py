"""Where the steps of an audit and its result lie: named by all that they depend on."""

from pathlib import Path

import polars as pl

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import Corpus
from clir_core.measure.pieces import INTERVALS
from clir_core.model.checkpoint import Checkpoint
from clir_core.rank.ranked import TIE_RULE
from clir_core.spec import sha256_of, slug
from clir_core.workspace import layout
from clir_core.workspace.steps import step_directory


def ranks_directory(spec: AuditSpec, corpus: Corpus, checkpoint: Checkpoint, fit: Corpus | None = None) -> Path:
    """Where the ranks of this audit are kept."""
    correction = [*_asked_of(spec), fit.fingerprint()] if fit else None
    return step_directory(
        spec.workspace,
        "ranks",
        corpus=corpus.fingerprint(),
        model=checkpoint.vectors,
        languages=corpus.languages,  # the pivot first
        scenarios=spec.scenarios,
        cutoff=max(spec.cutoffs),
        seed=spec.seed,
        correction=correction,
        ties=TIE_RULE,
    )


def _asked_of(spec: AuditSpec) -> list[object]:
    """A correction and its parameters; of those of before there were hubs, what named their ranks then."""
    told: list[object] = [spec.correction, spec.correction_alpha]
    if spec.reads_queries:
        told += [spec.correction_k, spec.correction_weight, spec.correction_languages]
    return told


def measures_directory(spec: AuditSpec, ranks: Path, clusters: pl.DataFrame) -> Path:
    """Where the metrics of this audit are kept."""
    return step_directory(
        spec.workspace,
        "metrics",
        ranks=ranks.name,
        cutoffs=spec.cutoffs,
        intervals=INTERVALS,
        cluster=spec.cluster,
        # a corpus of the same texts may name other clusters
        clusters=clusters.to_dict(as_series=False),
    )


def index_directory(spec: AuditSpec, ranks: Path, clusters: pl.DataFrame) -> Path:
    """Where it is kept what an index returned of these ranks."""
    return step_directory(
        spec.workspace,
        "index",
        ranks=ranks.name,
        index=spec.index,
        partitions=spec.index_partitions,
        efforts=spec.efforts(max(spec.cutoffs)),
        cutoffs=spec.cutoffs,
        intervals=INTERVALS,
        clusters=clusters.to_dict(as_series=False),
    )


def output_directory(made: AuditResult, checkpoint: Checkpoint) -> Path:
    """Where the result's files go."""
    spec = made.spec
    # other weights or texts under the same name are another audit, whose files must not take this one's place
    content = sha256_of([spec.identity(), checkpoint.vectors, made.provenance.corpus_fingerprint])[:8]
    return (spec.out or layout.audits(spec.workspace) / f"{slug(made.name)}-{content}").resolve()
