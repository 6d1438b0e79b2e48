"""Splits: `#NAME` at the end of a reference. Of most corpora it names qrels: `clir_core.sources.asked`.

Of demo and xquad, which have one set of qrels, splits are whole articles or topics, never parts of one: one in three is
`test`, the others `train`; `dev` is a slice of `train` to choose hyper-parameters on, `fit` the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from clir_core.corpus.tables import Corpus
from clir_core.errors import CorpusError, SpecError
from clir_core.sources import demo, xquad
from clir_core.workspace.storage import path_of

# whether a split has the article or topic of this index
SPLITS: Mapping[str, Callable[[int], bool]] = {
    "train": lambda index: index % 3 != 0,
    "fit": lambda index: index % 3 != 0 and index % 9 != 1,
    "dev": lambda index: index % 9 == 1,
    "test": lambda index: index % 3 == 0,
}
# these are searched among the documents of all splits
_WHOLE_POOL = ("dev", "test")
# of each source that is split here, the index of a group's article or topic
_INDEX: Mapping[str, Callable[[str], int]] = {"demo": demo.topic_of, "xquad": xquad.article_of}


# the sources whose qrels have names
_NAMED = ("beir", "parquet", "bitext", "hub")


def has_parts(reference: str) -> bool:
    """Whether a corpus is split here, by articles or topics."""
    return reference.partition(":")[0] in _INDEX


def parse(reference: str) -> tuple[str, str | None]:
    """The reference without its split, and the split. SpecError for one that this corpus does not have."""
    corpus, mark, split = reference.rpartition("#")
    place = reference.partition(":")[2]
    # a folder's name may hold a #
    if not mark or "/" in split or (place and path_of(place).exists()):
        return reference, None
    if corpus.partition(":")[0] in _NAMED and split:
        return corpus, split
    if split not in SPLITS:
        meant = get_close_matches(split, SPLITS, n=1)
        hint = f"did you mean {f'{corpus}#{meant[0]}'!r}?" if meant else f"write one of {', '.join(SPLITS)}"
        raise SpecError(f"corpus {reference!r}: {split!r} is no split, there are {', '.join(SPLITS)}; {hint}")
    return corpus, split


def take(corpus: Corpus, reference: str, split: str) -> Corpus:
    """The corpus's queries of this split with what they are judged for; of `train` and `fit` the documents as well.

    CorpusError where none is left.
    """
    index_of = _INDEX[reference.partition(":")[0]]
    groups = corpus.documents["group_id"].unique().to_pylist()
    inside = pa.array([group for group in groups if SPLITS[split](index_of(group))], pa.string())
    # these sources judge groups, never single documents, and one a query
    qrels = corpus.qrels.filter(pc.is_in(corpus.qrels["group_id"], value_set=inside))
    queries = corpus.queries.filter(pc.is_in(corpus.queries["query_id"], value_set=qrels["query_id"]))
    if not len(queries):
        indices = len({index_of(group) for group in groups})
        raise CorpusError(
            f"corpus {reference!r} has no query in its split {split!r}: it has {indices} articles or topics, and every "
            "third of them is test; take the whole data, or leave the split out"
        )
    documents = corpus.documents
    if split not in _WHOLE_POOL:
        documents = documents.filter(pc.is_in(documents["group_id"], value_set=inside))
    return replace(corpus, name=f"{corpus.name}-{split}", documents=documents, queries=queries, qrels=qrels)
