"""Where corpora come from. Every source yields the same raw tables; what leaves here is validated."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clir_core.corpus.reading import AS_IT_IS, ReadingSpec
from clir_core.corpus.tables import Corpus
from clir_core.errors import CorpusError, SpecError
from clir_core.sources import beir, bitext, demo, hub, mlqa, parquet, splits, xquad
from clir_core.sources.asked import Asked
from clir_core.sources.choice import choose_languages
from clir_core.sources.rows import RawCorpus
from clir_core.workspace.storage import path_of

KINDS = ("demo", "xquad:DIR", "mlqa:DIR", "beir:DIR", "parquet:DIR", "hub:NAME", "bitext:DIR")
_READERS: Mapping[str, Callable[[Path, Asked], RawCorpus]] = {
    "xquad": xquad.read,
    "mlqa": mlqa.read,
    "beir": beir.read,
    "parquet": parquet.read,
    "bitext": bitext.read,
}


def read_corpus(
    reference: str,
    languages: Sequence[str] = (),
    reading: ReadingSpec = AS_IT_IS,
    *,
    training: bool = False,
    texts: bool = False,
) -> Corpus:
    """The corpus behind a reference (one of KINDS), in its pivot and these languages; in all where none is given.

    At the end of a reference `#NAME` is a part of it: `#train`, `#fit`, `#dev` or `#test` of demo and xquad, the qrels
    of that name elsewhere. `training` says that it is to be trained on: never by qrels that audits ask; `texts` that
    its texts are wanted: a bitext of many languages then needs no judgement of each for each. Raises CorpusError with
    all that is wrong with it, SpecError for a split that it does not have.
    """
    whole, split = splits.parse(reference)
    of_parts = splits.has_parts(whole)
    asked = Asked(languages, None if of_parts else split, training, reading, texts)
    raw = _read(whole, asked)
    if asked.split:
        raw = replace(raw, name=f"{raw.name}-{asked.split}")
    corpus = (raw if reading.titles else raw.without_titles()).validated()
    if split and of_parts:
        corpus = splits.take(corpus, whole, split)
    counts = Counter(corpus.documents["lang"].to_pylist())
    by_size = sorted(corpus.languages, key=lambda lang: -counts[lang])
    chosen = choose_languages(languages, by_size, corpus.name, reading.pivot)
    corpus = replace(corpus, pivot=reading.pivot)
    if languages:
        corpus = corpus.restrict(chosen)
    if not len(corpus.queries):
        raise CorpusError(f"corpus {corpus.name} has no query with a relevant document in {', '.join(chosen)}")
    return corpus


def _read(reference: str, asked: Asked) -> RawCorpus:
    kind, _, place = reference.partition(":")
    if asked.reading.columns and splits.has_parts(reference):
        raise SpecError(f"corpus {reference!r}: its columns are known, none is read from another; leave `columns` out")
    if reference == "demo":
        return demo.read()
    if kind == "hub" and place:
        return hub.read(place, asked)
    if kind not in _READERS or not place:
        raise CorpusError(f"corpus {reference!r} is of no known kind; write one of {', '.join(KINDS)}")
    directory = path_of(place)
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        raise CorpusError(f"corpus {reference!r}: {directory.absolute()} {what}; give the folder that holds the corpus")
    return _READERS[kind](directory, asked)
