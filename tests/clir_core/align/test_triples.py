"""Triples: which there are, that languages are balanced and the seed decides, what is refused."""

from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_core.align.data import (
    TRIPLES,
    build_triples,
    check_enough,
    notes_of,
    read_triples,
    training_triples,
    validate_triples,
    write_triples,
)
from clir_core.corpus.tables import Corpus
from clir_core.errors import AlignError, ClirError, CorpusError, StoreError
from clir_core.sources import read_corpus
from clir_core.sources.rows import RawRows

TRIPLE = {
    "triple_id": "1", "group_id": "g", "query_group_id": "q", "lang": "de",
    "q_en": "moon?", "p_en": "the moon", "p_x": "der Mond", "q_x": None, "negatives": [],
}  # fmt: skip


def corpus(documents: str, queries: str, qrels: str) -> Corpus:
    """Documents and queries are written lang/group or lang/group=title; qrels query>group or query>lang/group."""
    rows = RawRows()
    for row, name in enumerate(documents.split(), start=1):
        doc_id, _, title = name.partition("=")
        lang, group = doc_id.split("/")
        text = f"{group} in {lang}"
        rows.documents.add("d", row, doc_id=doc_id, group_id=group, lang=lang, text=text, title=title or None)
    for row, name in enumerate(queries.split(), start=1):
        lang, group = name.split("/")
        rows.queries.add("q", row, query_id=name, group_id=group, lang=lang, text=f"{group}? in {lang}")
    for row, name in enumerate(qrels.split(), start=1):
        query, goal = name.split(">")
        rows.qrels.add("r", row, query_id=query, grade=1, **{"doc_id" if "/" in goal else "group_id": goal})
    return rows.corpus("hand").validated()


def texts(triples: pa.Table) -> list[tuple[str | None, ...]]:
    rows = triples.select(["lang", "q_en", "p_en", "p_x", "q_x"]).to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=str)


def problems_of(*rows: dict) -> tuple[str, ...]:
    raw = pa.schema([field.with_nullable(True) for field in TRIPLES])
    with pytest.raises(CorpusError) as caught:
        validate_triples(pa.Table.from_pylist(list(rows), raw), "t.parquet")
    return caught.value.problems


def test_every_query_gold_and_language_with_both_passages_is_a_triple() -> None:
    given = corpus(
        "en/a de/a=Titel zh/a en/b=Title de/b en/c zh/d en/e de/e",
        "en/1 de/1 en/2 en/3 de/4",
        # 1 has two golds; c has no translation, so 3 has no triple; 4 is not asked in English
        "en/1>a en/1>b de/1>a en/2>de/b en/3>c de/4>e",
    )
    assert texts(build_triples(given, (), 100, 0)) == [
        ("de", "1? in en", "Title b in en", "b in de", "1? in de"),
        ("de", "1? in en", "a in en", "Titel a in de", "1? in de"),
        ("de", "2? in en", "Title b in en", "b in de", None),
        ("zh", "1? in en", "a in en", "a in zh", None),
    ]
    triple = build_triples(given, ["zh"], 100, 0).to_pylist()[0]
    assert {name: triple[name] for name in ("group_id", "query_group_id", "lang", "negatives")} == {
        "group_id": "a", "query_group_id": "1", "lang": "zh", "negatives": [],
    }  # fmt: skip


def test_triples_of_the_demo_are_parallel() -> None:
    train = read_corpus("demo#train")
    triples = build_triples(train, (), 10_000, 0)
    assert triples.schema == TRIPLES
    assert Counter(triples["lang"].to_pylist()) == dict.fromkeys(("ar", "de", "es", "hi", "zh"), 48)
    documents = {(row["group_id"], row["lang"]): row["text"] for row in train.documents.to_pylist()}
    queries = {(row["group_id"], row["lang"]): row["text"] for row in train.queries.to_pylist()}
    for row in triples.to_pylist():
        group, query, lang = row["group_id"], row["query_group_id"], row["lang"]
        assert query == f"{group}/q"
        assert (row["p_en"], row["p_x"]) == (documents[group, "en"], documents[group, lang])
        assert (row["q_en"], row["q_x"]) == (queries[query, "en"], queries[query, lang])
    validate_triples(triples, "demo")


def some(n_de: int, n_zh: int, n_hi: int) -> Corpus:
    n = {"de": n_de, "zh": n_zh, "hi": n_hi}
    groups = range(max(n.values()))
    documents = [f"en/g{i}" for i in groups] + [f"{lang}/g{i}" for lang in n for i in range(n[lang])]
    queries = " ".join(f"en/q{i}" for i in groups)
    return corpus(" ".join(documents), queries, " ".join(f"en/q{i}>g{i}" for i in groups))


sizes = st.integers(1, 12)


@settings(deadline=None, max_examples=50)
@given(sizes, sizes, sizes, st.integers(2, 40), st.integers(0, 3))
def test_languages_are_balanced_as_far_as_they_go(n_de: int, n_zh: int, n_hi: int, most: int, seed: int) -> None:
    there = {"de": n_de, "zh": n_zh, "hi": n_hi}
    triples = build_triples(some(n_de, n_zh, n_hi), (), most, seed)
    drawn = Counter(triples["lang"].to_pylist())
    assert len(triples) == min(most, sum(there.values()))
    assert len(set(triples["triple_id"].to_pylist())) == len(triples)
    for lang in there:
        # who is below another by more than the remainder has given all it has
        if drawn[lang] < max(drawn.values()) - 1:
            assert drawn[lang] == there[lang]


def test_the_seed_decides_and_nothing_else() -> None:
    train = read_corpus("demo#train")
    first = build_triples(train, ("de", "zh"), 50, 7)
    assert first.equals(build_triples(train, ("zh", "de", "zh"), 50, 7))
    reordered = Corpus(train.name, *(table.take(list(range(len(table)))[::-1]) for table in parts(train)))
    assert first.equals(build_triples(reordered, ("de", "zh"), 50, 7))
    ids = [set(build_triples(train, ("de", "zh"), 50, seed)["triple_id"].to_pylist()) for seed in (7, 8)]
    assert ids[0] != ids[1]
    # more triples of one seed hold the fewer ones, and another language beside changes nothing
    assert ids[0] < set(build_triples(train, ("de", "zh"), 80, 7)["triple_id"].to_pylist())
    with_hindi = set(build_triples(train, ("de", "hi", "zh"), 75, 7)["triple_id"].to_pylist())
    assert ids[0] == {triple for triple in with_hindi if not triple.endswith("|hi")}


def parts(found: Corpus) -> tuple[pa.Table, pa.Table, pa.Table]:
    return found.documents, found.queries, found.qrels


def test_languages_come_mixed() -> None:
    langs = build_triples(read_corpus("demo#train"), (), 200, 0)["lang"].to_pylist()
    assert all(len(set(langs[start : start + 40])) == 5 for start in range(0, 200, 40))
    # also where 12 are drawn of 120 in one language, and of 12 in the others
    langs = build_triples(some(120, 12, 12), (), 36, 0)["lang"].to_pylist()
    assert all(2 <= langs[:18].count(lang) <= 10 for lang in ("de", "zh", "hi"))


@pytest.mark.parametrize(
    ("documents", "queries", "qrels", "languages", "message"),
    [
        ("en/a de/a zh/b", "en/1", "en/1>a", ["de", "zh"], "no triple for en-zh: .*; ask for languages among de"),
        ("en/a de/a", "de/1", "de/1>a", [], "no triple for en-de.*; train on a parallel corpus with queries"),
        ("en/a", "en/1", "en/1>a", [], "no triple for any language pair"),
        ("en/a de/a", "en/1", "en/1>a", ["fr"], "language 'fr' is not in the corpus"),
    ],
)
def test_a_language_pair_that_is_missing_is_named(documents, queries, qrels, languages, message) -> None:
    with pytest.raises(ClirError, match=f"(?s){message}"):
        build_triples(corpus(documents, queries, qrels), languages, 10, 0)


def test_a_file_gives_the_same_triples_back(tmp_path: Path) -> None:
    triples = build_triples(read_corpus("demo#train"), (), 100, 0)
    negatives = [["a passage that does not answer"], *[[]] * (len(triples) - 1)]
    triples = triples.set_column(triples.column_names.index("negatives"), TRIPLES.field("negatives"), [negatives])
    write_triples(triples, tmp_path / "new" / "t.parquet")
    assert read_triples(tmp_path / "new" / "t.parquet").equals(triples)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.parquet"]


def test_training_triples_come_from_a_corpus_or_a_file(tmp_path: Path) -> None:
    write_triples(build_triples(read_corpus("demo#train"), (), 10_000, 3), tmp_path / "t.parquet")
    from_corpus = training_triples("demo#train", ["de", "zh"], 60, 0)
    assert training_triples(f"triples:{tmp_path}/t.parquet", ["zh", "de"], 60, 0).equals(from_corpus)
    assert len(training_triples(f"triples:{tmp_path}/t.parquet", [], 10_000, 0)) == 5 * 48
    with pytest.raises(AlignError, match=r"t\.parquet has no triple for en-fr: .* among ar, de, es, hi, zh"):
        training_triples(f"triples:{tmp_path}/t.parquet", ["de", "fr"], 60, 0)


def test_what_others_write_is_read(tmp_path: Path) -> None:
    required = {name: [TRIPLE[name]] for name in TRIPLES.names[:-2]}
    pq.write_table(pa.table(required), tmp_path / "few.parquet")
    (row,) = read_triples(tmp_path / "few.parquet").to_pylist()
    assert row == TRIPLE
    frame = pl.DataFrame([TRIPLE | {"negatives": ["the sun"]}]).with_columns(pl.col("lang").cast(pl.Categorical))
    frame.write_parquet(tmp_path / "polars.parquet")
    (row,) = read_triples(tmp_path / "polars.parquet").to_pylist()
    assert row == TRIPLE | {"negatives": ["the sun"]}


def test_codes_of_one_language_are_one_language(tmp_path: Path) -> None:
    rows = [TRIPLE | {"triple_id": str(i), "lang": code} for i, code in enumerate(("de", "deu", "DE", "zho_Hans"))]
    write_triples(pa.Table.from_pylist(rows, TRIPLES), tmp_path / "t.parquet")
    found = training_triples(f"triples:{tmp_path}/t.parquet", ["deu"], 10, 0)
    assert found["lang"].to_pylist() == ["de"] * 3
    (note,) = notes_of(found)
    assert note.endswith("DE as de, deu as de, zho_Hans as zh.")
    assert problems_of(TRIPLE | {"lang": "eng"})[0].startswith("t.parquet, row 1: lang is 'en', so there is no")


def test_every_problem_is_named_at_once() -> None:
    assert problems_of(
        TRIPLE,
        TRIPLE | {"p_x": "  ", "q_x": ""},
        TRIPLE | {"triple_id": "3", "lang": "german", "q_en": None},
        TRIPLE | {"triple_id": "4", "lang": None, "group_id": ""},
        TRIPLE | {"triple_id": "5", "lang": "en"},
        TRIPLE | {"triple_id": None, "negatives": ["sun", " ", "the moon"]},
        TRIPLE | {"triple_id": "7", "negatives": None},
    ) == (
        "t.parquet, row 2: p_x of triple '1' (en-de) is empty; write it, or remove the triple",
        "t.parquet, row 2: q_x of triple '1' (en-de) is empty; write it, or null where there is none",
        "t.parquet, row 2: triple_id '1' was used before, in row 1; rename or remove one",
        "t.parquet, row 3: language 'german' is not a BCP-47 code; did you mean 'de'?",
        "t.parquet, row 3: q_en of triple '3' (en-german) is empty; write it, or remove the triple",
        "t.parquet, row 4: group_id is empty; every triple needs one",
        "t.parquet, row 4: lang is empty, so there is no language pair; write the language of p_x, such as 'de'",
        "t.parquet, row 5: lang is 'en', so there is no language pair; write the language of p_x, or remove the triple",
        "t.parquet, row 6: triple_id is empty; every triple needs one",
        "t.parquet, row 6: negatives[1] of triple None is empty; write it, or take it out of the list",
        "t.parquet, row 6: negatives[2] of triple None is its p_en, which answers; take it out of the list",
        "t.parquet, row 7: negatives of triple '7' is null; write an empty list where there are none",
    )


def test_columns_are_checked_before_rows(tmp_path: Path) -> None:
    table = pa.table({"triple_id": [1], "lang": ["de"], "q_en": [b"\xff"], "negatives": ["x"]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(CorpusError) as caught:
        read_triples(tmp_path / "t.parquet")
    found = "\n".join(caught.value.problems)
    for name in ("group_id", "query_group_id", "p_en", "p_x"):
        assert f"column {name!r} is missing, it has triple_id, lang, q_en, negatives; add it" in found
    assert "'triple_id' is int64, not string" in found and "'q_en' is binary" in found and "'negatives' is no" in found


def test_files_that_are_no_triples_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("no")
    for path, message in (("gone", "do not exist"), ("t.parquet", "cannot be read as Parquet"), ("", "cannot be read")):
        with pytest.raises(CorpusError, match=message):
            read_triples(tmp_path / path)
    assert problems_of() == ("t.parquet: there are no triples; training needs some",)


def test_bytes_that_are_no_text_are_named() -> None:
    bad = pa.array([b"\xff"]).view(pa.string())
    negatives = pa.ListArray.from_arrays([0, 1], bad)
    with pytest.raises(CorpusError, match=r"(?s)'q_en' is not UTF-8.*'negatives' is no list<"):
        validate_triples(
            pa.table({name: [TRIPLE[name]] for name in TRIPLES.names} | {"q_en": bad, "negatives": negatives}), "t"
        )


def test_triples_that_cannot_be_written_leave_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(StoreError, match="cannot be read or written"):
        write_triples(TRIPLES.empty_table(), tmp_path / "file" / "t.parquet")
    assert (tmp_path / "file").read_text() == "old"


def test_fewer_triples_than_a_batch_are_refused() -> None:
    triples = build_triples(read_corpus("demo#train"), ["de"], 20, 0)
    check_enough(triples, 20)
    with pytest.raises(AlignError, match=r"20 triples are fewer than a batch of 32; .* optimiser\.batch to 20"):
        check_enough(triples, 32)
