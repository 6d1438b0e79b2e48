"""A table of vectors corrected beside itself, and what that changes, audited."""

from pathlib import Path
from typing import NamedTuple

from clir_core.audit.spec import AuditSpec
from clir_core.correct.given import fit_given, write_corrected
from clir_core.correct.query_side import QuerySide, query_side
from clir_core.correct.table_spec import CorrectSpec
from clir_core.errors import VectorsError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.vector_tables import GivenVectors, state_of
from clir_core.model.vectors_ref import SCHEME, name_of, parse, tables_of
from clir_core.registry.facts import DTYPE
from clir_core.registry.registry import Registry
from clir_core.runs.audit import Finished, audit
from clir_core.runs.here import Here
from clir_core.runs.runner import Runner
from clir_core.sources import read_corpus
from clir_core.spec import sha256_of, slug
from clir_core.workspace import layout, private

QUERY_SIDE = "query.json"


class Corrected(NamedTuple):
    """What came of it: the new vectors' reference, what queries have to do, and the audits before and after, if any."""

    vectors: str
    queries: QuerySide
    out: Path
    before: Finished | None = None
    after: Finished | None = None


def correct(spec: CorrectSpec, runner: Runner, by: str = "") -> Corrected:
    """Fit, write, and audit both where there is a corpus; `by` says who asked.

    The place in the workspace is named by the table's content and what is asked: what is there is not written again.
    Raises VectorsError for what cannot be corrected, StoreError where `out` is there or cannot be written.
    """
    private.close(spec.workspace)
    ref = spec.vectors or _audited_last(spec.workspace)
    unit = parse(ref).similarity != "dot"
    given = GivenVectors(ref, None, unit)
    corpus = read_corpus(spec.corpus) if spec.corpus else None
    asked = set(corpus.queries["query_id"].to_pylist()) if corpus else set()
    kept = spec.out is None
    out = spec.out.expanduser().resolve() if spec.out else _kept(spec, ref, asked)
    if kept and out.exists():
        side = read_query_side(out)
    else:
        correction = runner.step("fit", lambda: fit_given(spec, given, spec.lang, asked, unit))
        side = query_side(spec, correction, given.dim, correction.queries)
        runner.step("write", lambda: write_corrected(given, correction, spec.lang, out, side.model_dump_json(indent=1)))
    corrected = _reference(out, given)
    if corpus is None:
        return Corrected(corrected, side, out)
    languages = tuple(lang for lang in corpus.languages if lang in side.languages)
    before, after = (_audited(spec, vectors, languages, runner, by) for vectors in (ref, corrected))
    return Corrected(corrected, side, out, before, after)


def read_query_side(folder: Path) -> QuerySide:
    """What queries of a corrected index have to do."""
    return QuerySide.model_validate_json((folder / QUERY_SIDE).read_bytes())


def _audited_last(workspace: Path) -> str:
    """The reference of the table of vectors that was audited last; VectorsError where none was."""
    found = [
        (entry.audits[-1].at, entry.found.ref)
        for entry in Registry(workspace).entries()
        if entry.audits and entry.found.ref.startswith(SCHEME) and not _is_corrected(entry.found.ref)
    ]
    if not found:
        raise VectorsError(f"no table of vectors was audited in {workspace}; name one: --vectors vectors:DIR")
    return max(found)[1]


def _is_corrected(ref: str) -> bool:
    place = parse(ref).place
    return "://" not in place and (Path(place) / QUERY_SIDE).exists()


def _kept(spec: CorrectSpec, ref: str, left_out: set[str]) -> Path:
    table = resolve(ref, EncodingSpec(), layout.models(spec.workspace), DTYPE)
    # languages and payload are no part of what a Lance table's vectors are known by
    states = [state_of(one) for one in dict.fromkeys(tables_of(ref).values()) if one.uri]
    said = sha256_of([spec.identity(), table.vectors, states, sorted(left_out)])[:8]
    return layout.corrections(spec.workspace).resolve() / f"{slug(name_of(ref))}-{slug(str(spec.correction))}-{said}"


def _audited(spec: CorrectSpec, vectors: str, languages: tuple[str, ...], runner: Runner, by: str) -> Finished:
    asked = AuditSpec(
        model=vectors, corpus=str(spec.corpus), languages=languages, seen=spec.seen, workspace=spec.workspace
    )
    return audit(asked, Here(), runner, by)


def _reference(out: Path, given: GivenVectors) -> str:
    names = {"id": given.columns("document").id, "vector": given.columns("document").vector}
    columns = "&".join(f"{key}={value}" for key, value in names.items())
    return f"vectors:{out}?documents=documents&queries=queries&{columns}&similarity=dot"
