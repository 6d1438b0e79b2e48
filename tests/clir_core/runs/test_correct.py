"""A table that serves is corrected beside itself: as an audit corrects it, and as the page's examples ask it."""

import re
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from clir_core.correct.table_spec import CorrectSpec
from clir_core.errors import StoreError, VectorsError
from clir_core.runs.correct import Corrected, correct, read_query_side
from clir_core.runs.runner import Runner
from clir_core.sources import read_corpus

PAGE = Path(__file__).parents[3] / "docs" / "corrections.md"
DIM = 16
EXAMPLES = {
    head.strip(): code
    for head, code in re.findall(r"\n([^\n]*):\n\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
}


def unit(vectors_NH: np.ndarray) -> np.ndarray:
    return vectors_NH / np.linalg.norm(vectors_NH, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Vectors of the demo's texts, by what they are about and a place of each language's own, not of length 1."""
    corpus, random = read_corpus("demo", ("de", "zh")), np.random.default_rng(0)
    places = {lang: 2 * random.standard_normal(DIM) for lang in corpus.languages}
    about: dict[str, np.ndarray] = {}

    def of(table: Any, key: str, shift: float) -> pl.DataFrame:
        frame = pl.DataFrame(pl.from_arrow(table)).select(id=key, lang="lang", note=pl.col("text"))
        topics = [name.split("/")[1] for name in frame["id"]]  # de/bees-1, de/bees-1/q
        vectors = [
            shift
            + places[lang]
            + about.setdefault(topic, random.standard_normal(DIM))
            + random.standard_normal(DIM) / 2
            for lang, topic in zip(frame["lang"], topics, strict=True)
        ]
        return frame.with_columns(vector=pl.Series(vectors, dtype=pl.Array(pl.Float32, DIM)))

    return of(corpus.documents, "doc_id", 0.0), of(corpus.queries, "query_id", 0.7)


@pytest.fixture(scope="module", params=["parquet", "lance"])
def given(
    request: pytest.FixtureRequest, tables: tuple[pl.DataFrame, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    place = tmp_path_factory.mktemp(f"given-{request.param}")
    for name, frame in zip(("documents", "queries"), tables, strict=True):
        if request.param == "lance":
            lancedb.connect(place).create_table(name, frame.to_arrow())
        else:
            frame.write_parquet(place / f"{name}.parquet")
    return place


@pytest.fixture(scope="module")
def done(given: Path) -> Corrected:
    spec = CorrectSpec(vectors=f"vectors:{given}", out=given / "out", correction_k=3)
    return correct(spec, Runner())


def read(place: Path, name: str) -> pl.DataFrame:
    file = place / f"{name}.parquet"
    table = (
        pl.read_parquet(file) if file.exists() else pl.from_arrow(lancedb.connect(place).open_table(name).to_arrow())
    )
    return pl.DataFrame(table).sort("id")


def by_hand(tables: tuple[pl.DataFrame, pl.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Documents and queries, sorted by id, with mean and hubs taken out in NumPy."""
    (documents, queries) = (frame.sort("id") for frame in tables)
    found = []
    for frame in (documents, queries):
        vectors_NH = unit(frame["vector"].to_numpy().astype(np.float64))
        for lang in frame["lang"].unique():
            rows = (frame["lang"] == lang).to_numpy()
            vectors_NH[rows] = unit(vectors_NH[rows] - vectors_NH[rows].mean(axis=0))
        found.append(vectors_NH)
    docs_DH, asked_QH = found
    further_D, further_Q = [], []
    for lang in sorted(queries["lang"].unique()):
        rows = (queries["lang"] == lang).to_numpy()
        further_D.append(-np.sort(docs_DH @ asked_QH[rows].T, axis=1)[:, -3:].mean(axis=1) / 2)
        further_Q.append(rows.astype(float))
    return np.column_stack([docs_DH, *further_D]), np.column_stack([asked_QH, *further_Q])


def test_both_tables_are_those_of_the_formula(
    done: Corrected, given: Path, tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    for name, wanted, before in zip(("documents", "queries"), by_hand(tables), tables, strict=True):
        found = read(given / "out", name)
        np.testing.assert_allclose(found["vector"].to_numpy(), wanted, atol=2e-6)
        # other columns stay, and the table that serves as well
        assert found.select("id", "lang", "note").equals(before.sort("id").select("id", "lang", "note"))
        assert read(given, name)["vector"].equals(before.sort("id")["vector"])


def test_queries_find_their_way_by_the_json(
    done: Corrected, given: Path, tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    side = read_query_side(given / "out")
    assert side == done.queries and side.needs_language and side.corrected_dimensions == DIM + 3
    found = read(given / "out", "queries")
    for lang in ("en", "de", "zh"):
        rows = (found["lang"] == lang).to_numpy()
        asked_QH = tables[1].sort("id")["vector"].to_numpy()[rows]
        np.testing.assert_allclose(side.apply(lang, asked_QH), found["vector"].to_numpy()[rows], atol=2e-6)


@pytest.mark.parametrize("engine", ["Every index has to rank by dot product. LanceDB", "FAISS", "Qdrant"])
def test_the_pages_examples_find_what_the_formula_ranks_first(
    engine: str, done: Corrected, given: Path, tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    if engine.endswith("LanceDB") and not (given / "out" / "documents.lance").exists():
        pytest.skip("LanceDB's example is of a Lance table")
    documents, (docs_DH, asked_QH) = read(given / "out", "documents"), by_hand(tables)
    row = 5
    query = tables[1].sort("id").row(row, named=True)
    names: dict[str, Any] = {
        "FOLDER": str(given / "out"), "QUERY": query["vector"], "LANG": query["lang"], "IDS": documents["id"].to_list(),
        "DOCUMENTS": np.ascontiguousarray(documents["vector"].to_numpy(), np.float32),
    }  # fmt: skip
    exec(EXAMPLES["What `query.json` says, a step a language (of `needs_language` false, any)"], names)
    exec(EXAMPLES[engine], names)
    first = np.argsort(-(docs_DH @ asked_QH[row]), kind="stable")[:10]
    assert names["FOUND"] == [documents["id"][int(at)] for at in first]


def test_the_audit_before_and_after_is_part_of_it(given: Path, tmp_path: Path) -> None:
    asked = {"corpus": "demo#test", "seen": ("demo#train",), "workspace": tmp_path / "workspace"}
    spec = CorrectSpec(vectors=f"vectors:{given}", out=tmp_path / "out", correction="centring", **asked)
    found = correct(spec, Runner())
    assert found.before and found.after
    before, after = found.before.result, found.after.result
    assert before.provenance.corpus_fingerprint == after.provenance.corpus_fingerprint
    assert after.spec.model == found.vectors and after.exposure == before.exposure

    def first(result: Any) -> float:
        return next(
            row.value for row in result.metrics
            if (row.scenario, row.metric, row.lang, row.query_lang) == ("multi", "complete@10", "zh", "zh")
        )  # fmt: skip

    assert first(after) > first(before)


def test_the_table_that_was_audited_last_is_corrected_once_in_the_workspace(given: Path, tmp_path: Path) -> None:
    asked = {"corpus": "demo#test", "seen": ("demo#train",), "workspace": tmp_path / "workspace"}
    with pytest.raises(VectorsError, match=r"no table of vectors was audited in .*; name one: --vectors vectors:DIR"):
        correct(CorrectSpec.model_validate({"correction": "centring", **asked}), Runner())
    named = CorrectSpec.model_validate({"vectors": f"vectors:{given}", "correction": "centring", **asked})
    first = correct(named, Runner())
    written = sorted((file, file.stat().st_mtime_ns) for file in first.out.rglob("*"))
    assert first.out.parent == (tmp_path / "workspace" / "corrections").resolve()
    # its own audits came after, and are none to correct
    again = correct(named.model_copy(update={"vectors": None}), Runner())
    assert (again.out, again.queries) == (first.out, first.queries)
    assert sorted((file, file.stat().st_mtime_ns) for file in first.out.rglob("*")) == written


def test_what_is_audited_is_not_fitted_on(given: Path, tmp_path: Path) -> None:
    spec = CorrectSpec(vectors=f"vectors:{given}", out=tmp_path / "out", corpus="demo", workspace=tmp_path / "w")
    for asked in (spec, spec.model_copy(update={"correction": "hub"})):
        with pytest.raises(VectorsError, match=r"other ones than are audited, and has none in de, en, zh"):
            correct(asked, Runner())
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_there_stays(done: Corrected, given: Path) -> None:
    with pytest.raises(StoreError, match="is there already; give another `out`"):
        correct(CorrectSpec(vectors=f"vectors:{given}", out=given / "out"), Runner())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop("lang"), "no column 'lang' among id, note; name the one of languages"),
        (lambda frame: frame.with_columns(lang=pl.lit(None, pl.String)), "no language of .*; write one"),
        (lambda frame: frame.with_columns(lang=pl.lit("fr")), "none in .*; add some, fifty will do|in 'fr'"),
    ],
)
def test_what_cannot_be_corrected_is_named(
    change: Any, words: str, tables: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir()
    tables[0].write_parquet(tmp_path / "given" / "documents.parquet")
    change(tables[1]).write_parquet(tmp_path / "given" / "queries.parquet")
    with pytest.raises(VectorsError, match=words):
        correct(CorrectSpec(vectors=f"vectors:{tmp_path / 'given'}", out=tmp_path / "out"), Runner())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "fields", [{"correction": "shift"}, {"correction": None}, {"correction_bank": "demo"}, {"correction_fit": "demo"}]
)
def test_what_a_table_cannot_be_fitted_by_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CorrectSpec.model_validate({"vectors": "vectors:/v", "out": "/o", **fields})
