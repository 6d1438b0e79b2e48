"""What an audit answers: AuditResult and its parts. audit.json is it, field by field."""

from datetime import datetime
from pathlib import Path

from pydantic import Field

from clir_core.audit.claim import Claim
from clir_core.audit.data_facts import Cuts, DataFacts
from clir_core.audit.exposure import Exposure
from clir_core.audit.figure import Figure
from clir_core.audit.index import Searched
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import Skipped
from clir_core.model.canary import Canary
from clir_core.model.proof import Proof
from clir_core.model.reading import Reading
from clir_core.scenarios.pool_info import PoolInfo
from clir_core.spec import Spec


class MetricRow(Figure):
    """One aggregate: the mean over queries with its 95 % interval over clusters of them."""

    value: float
    low: float
    high: float
    n: int = Field(description="Queries that the mean is over")
    clusters: int | None = Field(
        None, description="Clusters of these queries; null in results of before, which had none"
    )
    p: float | None = Field(None, description="Two-sided, of no preference; null for a metric that no value of says so")
    unit: str


class TableRead(Spec):
    """The LanceDB table and version that the audit ranked, and the tag that keeps it."""

    uri: str
    table: str
    version: int
    tag: str


class Embedded(Spec):
    """Where an audit's vectors are, null where none are stored, and how many texts had to be encoded for it."""

    documents: TableRead | None
    queries: TableRead | None
    fit: TableRead | None = Field(None, description="The documents that a correction is fitted on")
    bank: TableRead | None = Field(None, description="The queries that it is fitted on")
    encoded: int = 0
    reused: int = 0
    cut: Cuts = Field(Cuts(), description="Texts that the checkpoint does not read to their ends")
    notes: tuple[str, ...] = Field((), description="What encoding cost, and what was left over, where that is known")
    proof: Proof | None = Field(None, description="How they were made; null for vectors of before, and from elsewhere")
    suspicions: tuple[str, ...] = Field((), description="What is odd about the vectors")


class Measured(Spec):
    """The aggregates; the figures of every query are in queries.parquet."""

    metrics: tuple[MetricRow, ...]


class Fitted(Spec):
    """What a correction was fitted on."""

    corpus: str
    bank: str | None = Field(None, description="Where its queries come from; null where it reads none")
    corpus_fingerprint: str
    documents_table: TableRead | None
    queries_table: TableRead | None = None


class Provenance(Spec):
    """What made the figures."""

    versions: dict[str, str]
    git_commit: str | None
    checkpoint: str = Field("", description="Digest of its content; empty in older results")
    model_fingerprint: str = Field(description="Of its vectors: content, prompts, longest text, dimension and dtype")
    corpus_fingerprint: str
    reading: Reading | None = Field(None, description="How texts became vectors; null in older results")
    canary: Canary | None = Field(None, description="Vectors of five texts, which `clir verify` compares with")
    documents_table: TableRead | None = Field(description="Null where no vectors of one table were ranked")
    queries_table: TableRead | None
    fitted: Fitted | None = Field(None, description="Of the correction; null without one")
    ties: int = Field(
        description="Unrelated documents that score exactly as a gold, over all golds and pools' languages"
    )
    near_ties: int = Field(description="The same within 1e-6: what another machine could rank otherwise")
    gold_ties: int = Field(
        0, description="Golds that score exactly as another gold of their query: identical texts in two languages"
    )
    timings: dict[str, float] = Field(description="Seconds a step; 0 for a step that was done before")
    finished: datetime


class AuditResult(Spec):
    """Everything an audit found. audit.json is this, field by field."""

    name: str
    spec: AuditSpec
    languages: tuple[str, ...] = Field(description="The pivot first")
    verdict: tuple[str, ...] = Field(description="The headline, then what is said of each language, worst first")
    claims: tuple[Claim, ...] = Field((), description="What the verdict says, worst first; empty in results of before")
    provenance: Provenance
    pools: tuple[PoolInfo, ...]
    metrics: tuple[MetricRow, ...]
    exposure: Exposure | None = Field(
        None, description="Passages that were trained or fitted on; null where none is known of"
    )
    metrics_with_seen: tuple[MetricRow, ...] = Field(
        (), description="In pools with those of them that answer nothing, which flatter; `metrics` are without them"
    )
    searched: Searched | None = Field(
        None, description="What an approximate index returns; null where none was asked for"
    )
    skipped: tuple[Skipped, ...]
    facts: DataFacts | None = Field(None, description="Of the corpus and its pools; null in older results")


class AuditSummary(Spec):
    """What the flow returns: small, the rest is in `out`."""

    out: Path
    verdict: tuple[str, ...]
