"""What made an audit's figures, as its result tells it."""

from typing import NamedTuple

from clir_core.audit.data_facts import Cuts
from clir_core.audit.result import Embedded, Fitted, TableRead
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import Corpus
from clir_core.correct.data import bank_reference, fit_reference
from clir_core.model.baseline import UNSTORED
from clir_core.model.canary import Canary
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.reading import Reading, reading_of


class Made(NamedTuple):
    """What made the figures: identity of the vectors, digest of the checkpoint, how it was read and its canary, stored
    tables, if any, cut texts."""

    model: str
    checkpoint: str = ""
    reading: Reading | None = None
    canary: Canary | None = None
    documents: TableRead | None = None
    queries: TableRead | None = None
    fitted: Fitted | None = None
    cut: Cuts = Cuts()


def made_of(spec: AuditSpec, checkpoint: Checkpoint, fit: Corpus | None, embedded: Embedded) -> Made:
    """Of a checkpoint."""
    fitted = None
    if fit and (embedded.fit or embedded.bank):
        fitted = Fitted(
            corpus=str(fit_reference(spec, spec.corpus)),
            bank=bank_reference(spec, spec.corpus),
            corpus_fingerprint=fit.fingerprint(),
            documents_table=embedded.fit,
            queries_table=embedded.bank,
        )
    proof = embedded.proof
    reading = proof.reading if proof else None
    if reading:
        # by whatever name this audit calls them; the vectors are those of the proof
        told = {
            "prompts_from": checkpoint.prompts_from,
            "notes": (*checkpoint.notes, *embedded.suspicions, *embedded.notes),
        }
        reading = reading.model_copy(update=told)
    if checkpoint.kind in UNSTORED:
        reading = reading_of(checkpoint)
    return Made(
        model=checkpoint.vectors,
        checkpoint=checkpoint.digest,
        reading=reading,
        canary=proof.canary if proof else None,
        documents=embedded.documents,
        queries=embedded.queries,
        fitted=fitted,
        cut=embedded.cut,
    )
