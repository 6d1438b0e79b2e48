"""What an audit reads before it computes anything: its corpus, what its correction is fitted on, and what was seen."""

from collections.abc import Sequence
from typing import NamedTuple

from clir_core.audit.exposure import Exposure, exposure, unseen
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.corpus.tables import Corpus
from clir_core.correct.data import read_fit_corpus, seen_by
from clir_core.sources import read_corpus
from clir_core.sources.seen import How, Seen


class Read(NamedTuple):
    """What an audit reads: the whole corpus, what is judged of it, what its correction is fitted on, what was seen."""

    whole: Corpus
    corpus: Corpus
    fit: Corpus | None = None
    exposure: Exposure | None = None


def read(spec: EmbedSpec) -> Read:
    """The corpus, and for an audit what else it needs to know."""
    whole = read_corpus(spec.corpus, spec.languages, spec)
    if not isinstance(spec, AuditSpec):
        return Read(whole, whole)
    fit = read_fit_corpus(spec, spec.corpus, whole, spec)
    found = exposure(whole, (*trained_on(spec.seen), *seen_by(spec, spec.corpus)), spec)
    return Read(whole, whole if spec.pools == "all" else unseen(whole, found), fit, found)


def trained_on(references: Sequence[str]) -> tuple[Seen, ...]:
    """What answers the queries of these corpora; and their passages, where the answers here are not among them."""
    hows: tuple[How, ...] = ("trained", "documents")
    return tuple(Seen(reference, how) for reference in references for how in hows)


def counted(found: Read) -> str:
    """What was read, in a sentence or two."""
    corpus = found.corpus
    told = _counts(corpus)
    return f"{told}. {found.exposure}" if found.exposure else told


def _counts(corpus: Corpus) -> str:
    documents, queries = f"{len(corpus.documents):,}", f"{len(corpus.queries):,}"
    counted = f"{corpus.name}: {documents} documents and {queries} queries in {', '.join(corpus.languages)}"
    return ". ".join([counted, " ".join(corpus.notes)]) if corpus.notes else counted
