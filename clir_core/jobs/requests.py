"""What a job of a standing cluster is asked to do: one heavy step of a run, by the functions that a run calls itself.

A job hands nothing back: it leaves what its step always leaves, in the workspace, where the run that asked finds the
step done. So workspace, corpus and checkpoint lie where cluster and run see them under the same paths.
"""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from clir_core.align.spec import AlignSpec
from clir_core.audit.result import Embedded
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.errors import AlignError, ClirError, CorpusError, ModelError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.spec import Spec, sha256_of
from clir_core.workspace import layout
from clir_core.workspace.progress import Bars


class Request(Spec):
    """A step and all that it needs. Equal identities are one job, whoever asks."""

    step: ClassVar[str]
    spec: EmbedSpec | AuditSpec | AlignSpec
    started_in: Path = Field(default_factory=Path.cwd, description="Where relative paths of the spec start from")

    def identity(self) -> list[Any]:
        """What the step's outcome is named by, and where it is left."""
        raise NotImplementedError

    def work(self, bars: Bars) -> None:
        """Do the step. Within `cluster`, in the directory `started_in`."""
        raise NotImplementedError

    @property
    def job(self) -> str:
        """What its job is called: the step and its fingerprint."""
        return f"{self.step}-{sha256_of(self.identity())[:16]}"


class EmbedRequest(Request):
    """Encode what the vector tables of a corpus lack."""

    step = "embed"
    spec: EmbedSpec | AuditSpec
    checkpoint: Checkpoint
    corpus: str = Field(description="Fingerprint")
    fit: str | None = Field(description="Fingerprint of the corpus that a correction is fitted on")

    def identity(self) -> list[Any]:
        """Audits that ask other things of the same vectors share them."""
        place = str(self.spec.workspace.resolve())
        return [place, self.spec.corpus, self.corpus, self.fit, self.checkpoint.name, self.checkpoint.vectors]

    def work(self, bars: Bars) -> None:
        """Bring the tables up to date."""
        from clir_core.jobs.embed import EncoderPool
        from clir_core.runs.embed import embed_corpus
        from clir_core.runs.read import read

        corpus, _, fit, _ = read(self.spec)
        _check(CorpusError, self.spec.corpus, corpus.fingerprint(), self.corpus)
        if fit:
            _check(CorpusError, fit.name, fit.fingerprint(), str(self.fit))
        checkpoint = _found_again(self.checkpoint, self.spec.encoding, self.spec.workspace)
        embed_corpus(corpus, checkpoint, self.spec, bars, fit, encoders=EncoderPool)


class RankRequest(Request):
    """Rank every gold in every pool of an audit, by stored vectors."""

    step = "rank"
    spec: AuditSpec
    normalize: bool = Field(description="As the checkpoint's")
    embedded: Embedded
    corpus: str = Field(description="Fingerprint")
    ranks: Path = Field(description="The step's directory")

    def identity(self) -> list[Any]:
        """The directory is named by all that can change a rank."""
        return [str(self.ranks.resolve())]

    def work(self, bars: Bars) -> None:
        """Write the step's files and its result."""
        from clir_core.jobs.rank import in_tasks
        from clir_core.runs.rank import rank_once
        from clir_core.runs.read import read
        from clir_core.runs.workers import Ranking

        spec = self.spec
        _, corpus, fit, _ = read(spec)
        _check(CorpusError, spec.corpus, corpus.fingerprint(), self.corpus)
        rank_once(Ranking(spec, corpus, self.normalize, self.embedded, fit, self.ranks), bars, in_tasks)


class TrainRequest(Request):
    """Train a checkpoint."""

    step = "train"
    spec: AlignSpec
    base: Checkpoint
    run: Path = Field(description="The run's directory")

    def identity(self) -> list[Any]:
        """The directory is named by all that can change a weight."""
        return [str(self.run.resolve())]

    def work(self, bars: Bars) -> None:
        """Train to the end, from the run's last state."""
        from clir_core.align.data import training_triples
        from clir_core.jobs.train import fit
        from clir_core.runs.train import run_directory, train

        spec = self.spec
        base = _found_again(self.base, spec.encoding, spec.workspace)
        triples = training_triples(spec.train, spec.languages, spec.triples, spec.seed, spec)
        _check(AlignError, spec.train, run_directory(spec, base, triples).name, self.run.name)
        train(spec, base, triples, self.run, bars("train"), fit)


def _found_again(checkpoint: Checkpoint, encoding: EncodingSpec, workspace: Path) -> Checkpoint:
    """The checkpoint of a run as this machine sees it, at an absolute path: Ray's workers start elsewhere."""
    # of the dtype that the run settled on, whatever processors this machine has
    found = resolve(checkpoint.ref, encoding, layout.models(workspace).resolve(), checkpoint.dtype)
    _check(ModelError, checkpoint.ref, found.vectors, checkpoint.vectors)
    return found.model_copy(update={"path": found.path.resolve()})


def _check(kind: type[ClirError], what: str, found: str, asked: str) -> None:
    if found != asked:
        raise kind(
            f"{what}: is {found[:16]} on the cluster and was {asked[:16]} when the run read it; it changed meanwhile, "
            "or cluster and run see different files under this name: mend that and run again"
        )
