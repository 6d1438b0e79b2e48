"""What an audit is asked and what it answers: AuditSpec in, AuditResult out. Both are JSON."""

import os
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from clir_core.corpus.lang import Lang
from clir_core.corpus.pivot import ENGLISH
from clir_core.corpus.reading import ReadingSpec
from clir_core.correct.spec import Corrects
from clir_core.model.checkpoint import BUNDLED, EncodingSpec
from clir_core.model.served import ModelRef
from clir_core.rank.index_spec import Indexes
from clir_core.scenarios import SCENARIOS, ScenarioName
from clir_core.spec import WORKSPACE, Place, Spec, sha256_of

BLOCK_TEXTS = 512
DEFAULT_CLUSTER = "passage"
NWAY: ScenarioName = "nway"  # as its file says, which is not light
# fields that earlier specs had not: where nothing was asked they are no part of an identity
_LATER = {
    "correction_bank", "correction_k", "correction_weight", "correction_languages", "seen", "pools",
    "index", "index_partitions", "index_effort",
}  # fmt: skip


class RuntimeSpec(Spec):
    """Where and how wide the Ray jobs run. Changes no figure, but for the last bit of a vector where batches differ."""

    ray_address: str | None = Field(None, description="A standing Ray cluster; None starts a local one")
    ray_jobs: str | None = Field(
        None,
        pattern="^https?://",
        description="The dashboard of a standing Ray cluster, such as http://127.0.0.1:8265, whose Jobs do the heavy "
        "steps; None takes the worker's CLIR_RAY_JOBS, if it has one",
    )
    workers: int = Field(
        0,
        ge=0,
        description="Encoding actors, 0 for one a GPU, or one where there is none; requests at once to a server",
    )
    block_documents: int = Field(
        BLOCK_TEXTS, ge=1, description="Texts a block of encoding: the unit of work and of resuming"
    )
    batch_tokens: int = Field(0, ge=0, description="Tokens a batch; 0 means 2,048 on CPU and 32,768 on GPU")

    @property
    def jobs(self) -> str | None:
        """Where heavy steps are submitted; None where they run from this process.

        The environment is asked here: as a default it would stand in the forms and results of whoever deployed.
        """
        if self.ray_jobs or self.ray_address:
            return self.ray_jobs
        return os.environ.get("CLIR_RAY_JOBS") or None


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{', '.join(map(str, values))}: one of these stands there twice")
    return values


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    """In one order, so that it does not matter in which they were asked for."""
    return tuple(sorted(_distinct(values)))


# a spec's fields are shown in this order: those of the classes that it names last come first
class _Texts(Spec):
    model: ModelRef = Field(
        BUNDLED,
        min_length=1,
        description=f"hf:org/name@revision, a directory, {BUNDLED}, vectors:DIR, http://HOST/v1#MODEL of a "
        "server, bm25, or run:FILE",
    )
    corpus: str = Field(
        "demo", description="demo, xquad:DIR, mlqa:DIR, beir:DIR, parquet:DIR, bitext:DIR, hub:NAME; #NAME is a split"
    )
    languages: Annotated[tuple[Lang, ...], AfterValidator(_distinct)] = Field(
        (), description="BCP-47 codes beside the pivot; empty means all that the corpus has"
    )


class _Pools(_Texts):
    scenarios: Annotated[tuple[ScenarioName, ...], AfterValidator(_distinct)] = Field(
        SCENARIOS, min_length=1, description="Which pools to build, as in docs/metrics.md"
    )
    cutoffs: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_rising)] = Field(
        (10,), min_length=1, description="Every k of complete@k, recall@k and the other metrics at k"
    )


class _Searched(Indexes, _Pools):
    pass


class _Measures(Corrects, _Searched):
    seen: Annotated[tuple[str, ...], AfterValidator(_distinct)] = Field(
        (),
        description="Corpora, or triples:FILE, that the checkpoint was trained on; what a correction is fitted on is "
        "known",
    )
    pools: Literal["unseen", "all"] = Field(
        "unseen", description="Judge without passages that were seen and answer nothing here, or with them"
    )
    seed: int = Field(0, ge=0, description="Of the hash buckets of share(p)")
    cluster: str = Field(
        DEFAULT_CLUSTER,
        min_length=1,
        description="What was sampled, which intervals and tests rest on: query, passage (with all queries that share "
        "one), or a column of the corpus's queries, such as article in xquad and topic in demo",
    )
    min_inclination: float = Field(
        0.05, ge=0, le=1, description="The net share of all queries from which on an inclination is claimed"
    )
    min_retrieval: float = Field(
        0.1, ge=0, le=1, description="The monolingual acc@1 below which nothing is said of preference"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, asked: Any) -> Any:
        """Specs of before named the resamples of a bootstrap, which intervals have no more."""
        if isinstance(asked, dict) and "resamples" in asked:
            return {name: value for name, value in asked.items() if name != "resamples"}
        return asked


class _Places(Spec):
    encoding: EncodingSpec = EncodingSpec()
    runtime: RuntimeSpec = RuntimeSpec()
    workspace: Place = Field(WORKSPACE, description="Where vectors, finished steps and checkpoints are kept")


class EmbedSpec(_Places, ReadingSpec, _Texts):
    """Which corpus to embed with which checkpoint."""

    def identity(self) -> str:
        """Hex sha256 over all that can change a figure, but for what the corpus's fingerprint says; not over where and
        how wide it runs. Over the pivot, which no fingerprint says, where it is not English."""
        elsewhere = {"runtime", "workspace", "out", *ReadingSpec.model_fields}
        if self.pivot != ENGLISH:
            elsewhere.remove("pivot")
        said = self.model_dump(mode="json", exclude=elsewhere)
        if self.encoding.pooling is None:
            del said["encoding"]["pooling"]  # as before there was one
        for name in _LATER & said.keys():
            if getattr(self, name) == type(self).model_fields[name].default:
                del said[name]  # likewise
        return sha256_of(said)


class AuditSpec(EmbedSpec, _Measures):
    """What to audit, on what, and how deep. Its fingerprint names the result."""

    out: Place | None = Field(None, description="Where the result goes; None means audits/ in the workspace")

    def asked(self, corpus: str) -> str:
        """Hex sha256 over what is asked of any model, on the corpus of this fingerprint."""
        return sha256_of([self.model_copy(update={"model": BUNDLED}).identity(), corpus])

    @model_validator(mode="after")
    def _searches_pools_of_all_languages(self) -> Self:
        if self.index and NWAY not in self.scenarios:
            raise ValueError(
                f"an index is held against the pools {NWAY}, which are not asked for; add {NWAY} to scenarios"
            )
        return self
