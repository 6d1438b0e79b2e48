"""References of vectors that somebody else made: `vectors:PLACE`, and where its tables are. Light: nothing is read.

A place is a directory, a Parquet file, a Lance table, or a LanceDB database, which may be an object store's prefix.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from clir_core.errors import ModelError
from clir_core.workspace.storage import path_of

SCHEME = "vectors:"
TABLE, DOCUMENTS, QUERIES = "vectors", "documents", "queries"
_TABLES, _COLUMNS = ("table", "documents", "queries"), ("id", "vector", "kind")
TextKind = Literal["document", "query"]


class VectorsRef(NamedTuple):
    """A reference, taken apart. Empty where it leaves something to be found."""

    place: str
    table: str = ""
    documents: str = ""
    queries: str = ""
    id: str = ""
    vector: str = ""
    kind: str = ""
    similarity: str = ""

    def __str__(self) -> str:
        asked = {name: value for name, value in self._asdict().items() if value and name != "place"}
        return f"{SCHEME}{self.place}{'?' if asked else ''}{urlencode(asked, safe='/')}"


class Table(NamedTuple):
    """One table: Parquet files, or a Lance table of a database."""

    name: str
    files: tuple[Path, ...] = ()
    uri: str = ""

    def __str__(self) -> str:
        return f"{self.uri}, table {self.name}" if self.uri else str(self.files[0])


def parse(ref: str) -> VectorsRef:
    """A reference with its place made absolute. ModelError where it says what nobody understands."""
    place, _, query = ref.removeprefix(SCHEME).partition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(asked.keys() - {*VectorsRef._fields[1:]})
    if not place or unknown:
        wrong = f"{unknown[0]!r} is not known" if unknown else "names no place"
        raise ModelError(f"{ref}: {wrong}; write {SCHEME}DIR, or {SCHEME}URI?table=NAME&id=COLUMN&vector=COLUMN")
    if asked.get("similarity", "cosine") not in ("cosine", "dot"):
        raise ModelError(f"{ref}: ranks by {asked['similarity']!r}; write similarity=cosine or similarity=dot")
    pair = [name for name in (DOCUMENTS, QUERIES) if asked.get(name)]
    if len(pair) == 1 or (pair and asked.get("table")):
        raise ModelError(f"{ref}: name one table, or both of documents and queries; these are {', '.join(asked)}")
    if "://" not in place:
        place = str(path_of(place).resolve())
    elif urlsplit(place).username or urlsplit(place).password:
        raise ModelError(f"{SCHEME}{place.partition('://')[0]}://...: a login stands in it; put it in the environment")
    return VectorsRef(place, **asked)


def name_of(ref: str) -> str:
    """A short name for people and files: the place's last part, and its table's where one is named."""
    found = parse(ref)
    url = urlsplit(found.place)
    place = Path(url.netloc + url.path if "://" in found.place else found.place)
    if place.stem == TABLE:
        place = place.parent
    name = place.stem if place.suffix in (".parquet", ".lance") else place.name
    return "-".join(filter(None, (name, found.table or found.documents)))


def is_there(ref: str) -> bool:
    """Whether the place is still there, as far as can be told without asking an object store."""
    place = parse(ref).place
    return "://" in place or Path(place).exists()


def tables_of(ref: str) -> Mapping[TextKind, Table]:
    """The table of each kind of text, which may be the same. ModelError where there is none, or which is not clear."""
    found = parse(ref)
    place = Path(found.place)
    if "://" in found.place:
        if not (found.table or found.documents):
            raise ModelError(f"{ref}: say which table: ?table=NAME, or ?documents=NAME&queries=NAME")
        return _both(found, lambda name: Table(name, uri=found.place))
    if place.suffix == ".parquet" and place.is_file():
        return {"document": Table(place.stem, (place,)), "query": Table(place.stem, (place,))}
    if place.suffix == ".lance" and place.is_dir():
        table = Table(place.stem, uri=str(place.parent))
        return {"document": table, "query": table}
    if not place.is_dir():
        raise ModelError(f"{ref}: no such directory, Parquet file or Lance table")
    there = _tables_in(place)
    if not (found.table or found.documents):
        found = found._replace(**_default(ref, place, there))

    def named(name: str) -> Table:
        if name not in there:
            raise ModelError(f"{ref}: {place} has no table {name}; it has {', '.join(there) or 'none'}")
        return there[name]

    return _both(found, named)


def _both(ref: VectorsRef, named: Callable[[str], Table]) -> Mapping[TextKind, Table]:
    return {"document": named(ref.table or ref.documents), "query": named(ref.table or ref.queries)}


def _tables_in(directory: Path) -> dict[str, Table]:
    """Tables by name: NAME.parquet, a folder of *.parquet, NAME.lance."""
    found = {}
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix == ".lance" and path.is_dir():
            found[path.stem] = Table(path.stem, uri=str(directory))
        elif files := (path,) if path.suffix == ".parquet" and path.is_file() else _parts(path):
            name = path.stem if path.suffix == ".parquet" else path.name
            found[name] = Table(name, files)
    return found


def _parts(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("*.parquet"))) if folder.is_dir() else ()


def _default(ref: str, place: Path, there: Mapping[str, Table]) -> dict[str, str]:
    if TABLE in there or len(there) == 1:
        return {"table": TABLE if TABLE in there else next(iter(there))}
    if {DOCUMENTS, QUERIES} <= there.keys():
        return {"documents": DOCUMENTS, "queries": QUERIES}
    raise ModelError(
        f"{ref}: {place} has {', '.join(there) or 'no tables'}; it needs vectors.parquet with kind, id and vector, or "
        "documents.parquet and queries.parquet with id and vector (or *.lance); else name one with ?table=NAME"
    )
