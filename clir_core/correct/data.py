"""What a correction is fitted on: documents of a training corpus, and unlabelled queries."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from clir_core.corpus.reading import AS_IT_IS, ReadingSpec
from clir_core.corpus.same_text import digest
from clir_core.corpus.tables import DOCUMENTS, QRELS, Corpus
from clir_core.correct.spec import Corrects
from clir_core.errors import CorpusError, SpecError
from clir_core.sources import query_log, read_corpus, splits
from clir_core.sources.seen import Seen
from clir_core.workspace.storage import path_of

# what a correction is fitted on where the spec does not say: never on documents whose queries the audit asks
FIT_BESIDE = {"test": "train", "dev": "fit"}


def fit_reference(spec: Corrects, corpus: str) -> str | None:
    """The corpus that a correction for this one is fitted on; None without one. SpecError where none can be guessed."""
    if spec.correction is None or spec.correction_fit:
        return spec.correction_fit
    if spec.correction_bank and not spec.reads_documents:
        return spec.correction_bank
    whole, split = splits.parse(corpus)
    if not splits.has_parts(whole) or split not in FIT_BESIDE:
        raise SpecError(
            f"correction {spec.correction!r} needs a corpus to be fitted on, which is known for splits "
            f"{' and '.join(FIT_BESIDE)} of demo and xquad alone, not for {corpus!r}; set correction_fit to a "
            "training corpus"
        )
    return f"{whole}#{FIT_BESIDE[split]}"


def bank_reference(spec: Corrects, corpus: str) -> str | None:
    """Where its queries come from; None where it reads none."""
    return (spec.correction_bank or fit_reference(spec, corpus)) if spec.reads_queries else None


def seen_by(spec: Corrects, corpus: str) -> tuple[Seen, ...]:
    """The passages that it is fitted on, and those that answer the queries it is fitted on; a log's have none."""
    documents = fit_reference(spec, corpus) if spec.reads_documents else None
    bank = bank_reference(spec, corpus)
    found = [Seen(documents, "documents")] if documents else []
    return (*found, Seen(bank, "answers")) if bank and not bank.startswith(f"{query_log.KIND}:") else tuple(found)


def read_fit_corpus(spec: Corrects, reference: str, corpus: Corpus, reading: ReadingSpec = AS_IT_IS) -> Corpus | None:
    """The documents and queries to fit on, in the languages of the corpus; None without a correction.

    Without the queries that the corpus asks. SpecError where a language has none.
    """
    fitted = fit_reference(spec, reference)
    if fitted is None:
        return None
    bank = bank_reference(spec, reference)
    told = " and ".join(repr(one) for one in dict.fromkeys((fitted, bank)) if one)
    languages = corpus.languages
    try:
        fit = _read(fitted, languages, reading)
        if bank and bank != fitted:
            queries = _read(bank, languages, reading)
            fit = replace(fit, name=f"{fit.name} and {queries.name}", queries=queries.queries, qrels=queries.qrels)
    except CorpusError as error:
        raise SpecError(
            f"correction {spec.correction!r} cannot be fitted on {told}: {error}\n"
            f"set correction_fit to a corpus that has all of {', '.join(languages)}, or audit fewer `languages`"
        ) from error
    if not spec.reads_queries:
        return fit
    fit = _unasked(fit, corpus)
    has = set(fit.queries["lang"].to_pylist())
    if lacking := [lang for lang in languages if lang not in has]:
        raise SpecError(
            f"correction {spec.correction!r} looks at queries in every language, other ones than are asked, and {told} "
            f"has none in {', '.join(lacking)}; set correction_bank to queries in all, or audit fewer `languages`"
        )
    return fit


def _unasked(fit: Corpus, corpus: Corpus) -> Corpus:
    asked = set(map(digest, corpus.queries["text"].to_pylist()))
    keep = pa.array([digest(text) not in asked for text in fit.queries["text"].to_pylist()], pa.bool_())
    return fit if pc.all(keep).as_py() else replace(fit, queries=fit.queries.filter(keep))


def _read(reference: str, languages: Sequence[str], reading: ReadingSpec) -> Corpus:
    kind, _, place = reference.partition(":")
    if kind != query_log.KIND:
        return read_corpus(reference, languages, reading)
    queries = query_log.read_queries(place)
    queries = queries.filter(pc.is_in(queries["lang"], pa.array(languages, pa.string())))
    return Corpus(path_of(place).name, DOCUMENTS.empty_table(), queries, QRELS.empty_table(), pivot=reading.pivot)
