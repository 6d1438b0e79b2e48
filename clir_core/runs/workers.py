"""Who does the heavy steps of a run: this process (`here`), or a Ray cluster (`clir_core.jobs.workers`)."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from clir_core.audit.result import Embedded
from clir_core.audit.spec import AuditSpec, EmbedSpec, RuntimeSpec
from clir_core.model.checkpoint import Checkpoint
from clir_core.rank.ranked import Ranked
from clir_core.workspace.progress import Bars

if TYPE_CHECKING:
    from clir_core.corpus.tables import Corpus


class Ranking(NamedTuple):
    """What an audit asks to be ranked, and where the files go.

    `fit` is what its correction is fitted on; corrected vectors are of length 1 where `unit`.
    """

    spec: AuditSpec
    corpus: "Corpus"
    unit: bool
    embedded: Embedded
    fit: "Corpus | None"
    directory: Path


class Workers(Protocol):
    """Embeds and ranks. What is done before needs none of them."""

    def dtype(self, runtime: RuntimeSpec) -> str:
        """What they compute vectors in."""

    def embed(
        self, spec: EmbedSpec, corpus: "Corpus", checkpoint: Checkpoint, fit: "Corpus | None", bars: Bars
    ) -> Embedded:
        """Encode what the vector tables lack."""

    def rank(self, asked: Ranking, bars: Bars) -> tuple[Ranked, bool]:
        """Rank every gold in every pool, in the step's directory; and whether that was done before."""
