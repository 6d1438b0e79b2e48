"""A table of vectors corrected beside itself, and what that changes, audited."""

from pathlib import Path
from typing import NamedTuple

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.correct.given import fit_given, write_corrected
from clir_core.correct.query_side import QuerySide, query_side
from clir_core.correct.table_spec import CorrectSpec
from clir_core.model.vector_tables import GivenVectors
from clir_core.model.vectors_ref import parse
from clir_core.runs.audit import audit
from clir_core.runs.here import Here
from clir_core.runs.runner import Runner
from clir_core.sources import read_corpus

QUERY_SIDE = "query.json"


class Corrected(NamedTuple):
    """What came of it: the new vectors' reference, what queries have to do, and the audits before and after, if any."""

    vectors: str
    queries: QuerySide
    before: AuditResult | None = None
    after: AuditResult | None = None


def correct(spec: CorrectSpec, runner: Runner) -> Corrected:
    """Fit, write, and audit both where there is a corpus.

    Raises VectorsError for what cannot be corrected, StoreError where `out` is there or cannot be written.
    """
    unit = parse(spec.vectors).similarity != "dot"
    given = GivenVectors(spec.vectors, None, unit)
    corpus = read_corpus(spec.corpus) if spec.corpus else None
    asked = set(corpus.queries["query_id"].to_pylist()) if corpus else set()
    correction = runner.step("fit", lambda: fit_given(spec, given, spec.lang, asked, unit))
    out = spec.out.expanduser().resolve()
    side = query_side(spec, correction, given.dim, correction.queries)
    runner.step("write", lambda: write_corrected(given, correction, spec.lang, out, side.model_dump_json(indent=1)))
    corrected = _reference(out, given)
    if corpus is None:
        return Corrected(corrected, side)
    languages = tuple(lang for lang in corpus.languages if lang in correction.documents)
    before, after = (_audited(spec, vectors, languages, runner) for vectors in (spec.vectors, corrected))
    return Corrected(corrected, side, before, after)


def read_query_side(folder: Path) -> QuerySide:
    """What queries of a corrected index have to do."""
    return QuerySide.model_validate_json((folder / QUERY_SIDE).read_bytes())


def _audited(spec: CorrectSpec, vectors: str, languages: tuple[str, ...], runner: Runner) -> AuditResult:
    asked = AuditSpec(
        model=vectors, corpus=str(spec.corpus), languages=languages, seen=spec.seen, workspace=spec.workspace
    )
    return audit(asked, Here(), runner).result


def _reference(out: Path, given: GivenVectors) -> str:
    names = {"id": given.columns("document").id, "vector": given.columns("document").vector}
    columns = "&".join(f"{key}={value}" for key, value in names.items())
    return f"vectors:{out}?documents=documents&queries=queries&{columns}&similarity=dot"
