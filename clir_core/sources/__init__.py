"""Where corpora come from. Every source yields the same raw tables; what leaves here is validated."""

from collections.abc import Sequence
from pathlib import Path

from clir_core.corpus.tables import Corpus
from clir_core.errors import CorpusError
from clir_core.sources import beir, demo, hub, parquet, splits, xquad
from clir_core.sources.choice import choose_languages
from clir_core.sources.rows import RawCorpus

KINDS = ("demo", "xquad:DIR", "beir:DIR", "parquet:DIR", "hub:NAME")


def read_corpus(reference: str, languages: Sequence[str] = ()) -> Corpus:
    """The corpus behind a reference (one of KINDS), in English and these languages; in all where none is given.

    After a reference to demo or xquad, `#train`, `#fit`, `#dev` or `#test` is a part of it. CorpusError with
    all that is wrong with it; SpecError for a split that it does not have.
    """
    whole, split = splits.parse(reference)
    corpus = _read(whole, languages).validated()
    if split:
        corpus = splits.take(corpus, whole, split)
    chosen = choose_languages(languages, corpus.languages, corpus.name)
    if languages:
        corpus = corpus.restrict(chosen)
    if not len(corpus.queries):
        raise CorpusError(f"corpus {corpus.name} has no query with a relevant document in {', '.join(chosen)}")
    return corpus


def _read(reference: str, languages: Sequence[str]) -> RawCorpus:
    kind, _, place = reference.partition(":")
    if reference == "demo":
        return demo.read()
    if kind == "hub" and place:
        return hub.read(place, languages)
    readers = {"xquad": xquad.read, "beir": beir.read, "parquet": parquet.read}
    if kind not in readers or not place:
        raise CorpusError(f"corpus {reference!r} is of no known kind; write one of {', '.join(KINDS)}")
    directory = Path(place).expanduser()
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        raise CorpusError(f"corpus {reference!r}: {directory.absolute()} {what}; give the folder that holds the corpus")
    return readers[kind](directory, languages)
