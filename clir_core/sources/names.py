"""What columns are called in the field: one table of names, for every kind of file."""

from collections.abc import Collection, Mapping, Sequence

# of names with one meaning in that table; lower case and `-` or `_` are all the same
NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "documents": {
        "doc_id": ("doc_id", "_id", "id", "docid", "corpus_id", "document_id", "did", "pid", "passage_id"),
        "group_id": ("group_id",),
        "lang": ("lang", "language"),
        "text": ("text", "contents", "content", "passage", "body"),
        "title": ("title",),
    },
    "queries": {
        "query_id": ("query_id", "_id", "id", "qid", "queryid"),
        "group_id": ("group_id",),
        "lang": ("lang", "language"),
        "text": ("text", "query", "question"),
    },
    "qrels": {
        "query_id": ("query_id", "qid", "queryid", "topic", "topic_id"),
        "doc_id": ("doc_id", "docid", "corpus_id", "document_id", "did", "docno", "pid", "passage_id"),
        "group_id": ("group_id",),
        "grade": ("grade", "score", "relevance", "rel", "label"),
    },
}
# of a qrel's columns, numbers that say nothing of relevance
NOT_GRADES = ("iter", "iteration", "q0", "index", "level_0")


def plain(name: str) -> str:
    """A column's name as the table has it."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def candidates(has: Sequence[str], what: str, column: str, asked: Mapping[str, str]) -> list[str]:
    """Which of a file's columns can be ours: the one asked for, the one of our name, else all of a known name.

    Of grades all, whatever they are called: two that differ are for nobody to choose between but the user.
    """
    if column in asked:
        return [name for name in has if name == asked[column]]
    if column in has and column != "grade":
        return [column]
    taken = set(asked.values())
    known = NAMES[what][column]
    named = [name for name in has if plain(name) in known and name not in taken]
    return sorted(named, key=lambda name: known.index(plain(name)))


def names_text(has: Sequence[str]) -> str:
    """The columns that are there, in words."""
    return f"it has {', '.join(has) or 'none'}"


def known_names(*tables: str) -> frozenset[str]:
    """Every name that a column of ours may have in these tables."""
    return frozenset(name for table in tables for names in NAMES[table].values() for name in names)


def twice(has: Sequence[str], known: Collection[str]) -> list[str]:
    """What is wrong with columns of these known names that are there again under the same name."""
    again = dict.fromkeys(name for at, name in enumerate(has) if name in has[:at] and plain(name) in known)
    return [f"column {name!r} is there {has.count(name)} times; rename or remove the others" for name in again]
