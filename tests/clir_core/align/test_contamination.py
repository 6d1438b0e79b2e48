"""The guard: what of an evaluation is found in a training set, by id and by text, and how it is allowed."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_core.align.contamination import check, contamination
from clir_core.align.data import TRIPLES, build_triples
from clir_core.corpus.same_text import normalised
from clir_core.corpus.tables import Corpus
from clir_core.errors import AlignError
from clir_core.sources import read_corpus
from clir_core.sources.rows import RawRows

# group, then texts by language; the last two answer nothing
PASSAGES = {
    "moon": {"en": "The moon circles the Earth.", "de": "Der Mond umkreist die Erde.", "th": "ดวงจันทร์โคจรรอบโลก"},
    "sun": {"en": "The sun shines.", "de": "Die Sonne scheint."},
    "pool": {"en": "Nobody asks for this.", "de": "Danach fragt niemand."},
    "other": {"en": "Nor for that."},
}
QUERIES = {"q1": ("What circles the Earth?", "moon"), "q2": ("What shines?", "sun")}


@pytest.fixture(scope="module")
def evaluation() -> Corpus:
    rows = RawRows()
    for row, (group, texts) in enumerate(PASSAGES.items(), start=1):
        for lang, text in texts.items():
            rows.documents.add(f"{lang}", row, doc_id=f"{lang}/{group}", group_id=group, lang=lang, text=text)
    for row, (query, (text, group)) in enumerate(QUERIES.items(), start=1):
        rows.queries.add("q", row, query_id=f"en/{query}", group_id=query, lang="en", text=text)
        rows.queries.add("q", row, query_id=f"de/{query}", group_id=query, lang="de", text=f"{query} auf Deutsch")
        rows.qrels.add("r", row, query_id=f"en/{query}", group_id=group, grade=1)
        # one document: its translations are just as much the answer
        rows.qrels.add("r", row, query_id=f"de/{query}", doc_id=f"de/{group}", grade=1)
    return rows.corpus("eval").validated()


def triples(*rows: dict) -> pa.Table:
    own = {"lang": "zh", "q_en": "own?", "p_en": "own", "p_x": "自己", "q_x": None, "negatives": []}
    return pa.Table.from_pylist(
        [
            {"triple_id": f"{i}", "group_id": f"t{i}", "query_group_id": f"u{i}"} | own | row
            for i, row in enumerate(rows)
        ],
        schema=TRIPLES,
    )


def found(table: pa.Table, evaluation: Corpus) -> list[tuple]:
    return [
        (one.kind, one.group_id, one.same_id, one.same_text, one.columns)
        for one in contamination(table, evaluation).found
    ]


def test_strangers_are_clean(evaluation: Corpus) -> None:
    shared = check(triples({}, {}), evaluation, ())
    assert (shared.found, shared.allowed, shared.pool_only) == ((), (), ())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"group_id": "moon"}, ("passage", "moon", 1, 0, ("group_id",))),
        ({"query_group_id": "q1"}, ("query", "q1", 1, 0, ("query_group_id",))),
        ({"p_en": "The moon circles the Earth."}, ("passage", "moon", 0, 1, ("p_en",))),
        ({"p_x": "the MOON circles  the earth"}, ("passage", "moon", 0, 1, ("p_x",))),
        ({"p_x": "Der Mond umkreist die Erde!"}, ("passage", "moon", 0, 1, ("p_x",))),
        ({"p_x": "ดวงจันทร์โคจรรอบโลก"}, ("passage", "moon", 0, 1, ("p_x",))),
        ({"q_en": "what shines"}, ("query", "q2", 0, 1, ("q_en",))),
        ({"q_x": "Q2 auf Deutsch?"}, ("query", "q2", 0, 1, ("q_x",))),
        # a query may not come as a passage either, nor a gold as a negative
        ({"p_en": "What shines?"}, ("query", "q2", 0, 1, ("p_en",))),
        ({"negatives": ["x", "“The sun shines”"]}, ("passage", "sun", 0, 1, ("negatives",))),
        ({"group_id": "sun", "p_en": "The sun shines."}, ("passage", "sun", 1, 1, ("group_id", "p_en"))),
    ],
)
def test_each_way_in_is_seen(row: dict, expected: tuple, evaluation: Corpus) -> None:
    assert found(triples({}, row), evaluation) == [expected]
    with pytest.raises(AlignError, match=f"(?s)corpus eval.*{expected[0]} {expected[1]}"):
        check(triples({}, row), evaluation, ())


@pytest.mark.parametrize("text", ["Bees They dance.", "They dance."])
def test_a_title_hides_nothing(text: str) -> None:
    rows = RawRows()
    rows.documents.add("d", 1, doc_id="en/b", group_id="b", lang="en", text="They dance.", title="Bees")
    rows.queries.add("q", 1, query_id="en/q", group_id="q", lang="en", text="Who dances?")
    rows.qrels.add("r", 1, query_id="en/q", group_id="b", grade=1)
    titled = rows.corpus("titled").validated()
    assert found(triples({"p_en": text}), titled) == [("passage", "b", 0, 1, ("p_en",))]


def test_triples_are_counted_once(evaluation: Corpus) -> None:
    row = {"group_id": "sun", "p_en": "The sun shines.", "p_x": "Die Sonne scheint."}
    assert found(triples(row, row, {}), evaluation) == [("passage", "sun", 2, 2, ("group_id", "p_en", "p_x"))]


def test_what_only_fills_the_pool_is_told_apart(evaluation: Corpus) -> None:
    table = triples({"group_id": "pool"}, {"p_x": "Danach fragt niemand"}, {"negatives": ["Nor for that"]})
    shared = check(table, evaluation, ())
    assert shared.found == () and shared.pool_only == ("other", "pool")


def test_a_query_that_bears_a_passages_id_is_no_finding(evaluation: Corpus) -> None:
    assert found(triples({"query_group_id": "moon"}, {"group_id": "q1"}), evaluation) == []


def test_groups_are_allowed_by_name(evaluation: Corpus) -> None:
    table = triples({"group_id": "moon"}, {"query_group_id": "q1"}, {"p_en": "The sun shines."})
    for allow in ((), ("moon",), ("q1", "sun"), ("pool",)):
        with pytest.raises(AlignError):
            check(table, evaluation, allow)
    with pytest.raises(AlignError, match="in all 1:\n  - passage sun: its id in 0 triples, a text of it in 1"):
        check(table, evaluation, ["moon"])
    for allow in (["moon", "sun"], ["*"], ["moon", "q1", "sun", "unknown"]):
        shared = check(table, evaluation, allow)
        assert shared.allowed == shared.found
        assert [one.group_id for one in shared.allowed] == ["moon", "sun", "q1"]


def test_the_error_lists_what_and_how_to_go_on() -> None:
    whole = read_corpus("demo")
    with pytest.raises(AlignError) as caught:
        check(build_triples(whole, ["de"], 1000, 0), read_corpus("demo#test"), ())
    lines = str(caught.value).splitlines()
    # 4 topics of 6 passages with a question each
    assert lines[0].endswith("corpus demo-test, in all 48:")
    assert lines[1].startswith(
        "  - passage bees-1: its id in 1 triples, a text of it in 1 (group_id, p_en, p_x): 'A honeybee"
    )
    assert len(lines) == 1 + 20 + 1 + 1 and lines[-2] == "  - ... and 28 more"
    assert "allow_contamination" in lines[-1] and "#train against #test" in lines[-1]


def test_train_and_test_of_the_demo_share_the_pool_only() -> None:
    shared = check(build_triples(read_corpus("demo#train"), (), 1000, 0), read_corpus("demo#test"), ())
    assert shared.found == () and len(shared.pool_only) == 48


def test_another_language_of_the_same_text_is_found_by_its_id() -> None:
    only_hindi = build_triples(read_corpus("demo", ["hi"]), (), 1000, 0)
    shared = contamination(only_hindi, read_corpus("demo#test", ["de"]))
    assert len(shared.found) == 48


def test_train_and_test_of_xquad_share_the_pool_only(xquad_dir: Path) -> None:
    triples_of_train = build_triples(read_corpus(f"xquad:{xquad_dir}#train", ["zh", "th"]), (), 2000, 0)
    shared = check(triples_of_train, read_corpus(f"xquad:{xquad_dir}#test"), ())
    assert shared.found == () and len(shared.pool_only) == 160


def test_the_result_is_json() -> None:
    shared = contamination(build_triples(read_corpus("demo"), ["de"], 50, 0), read_corpus("demo#test"))
    assert type(shared).model_validate_json(shared.model_dump_json()) == shared


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Ｗｈａｔ　ｉｓ　it？", "what is it"),
        ("Straße", "STRASSE"),
        ("cafe\u0301", "caf\u00e9"),
        ("„Der Mond“ – sagte er: ja", "der mond sagte er ja"),
        ("zero\u200bwidth\ufeff soft\u00adhyphen", "zerowidth softhyphen"),
        ("蜜蜂，跳舞。", "蜜蜂跳舞"),
        (" a\n\tb ", "a b"),
        ("e.\u0301", "\u00e9"),
        (" ?\n", "?"),
    ],
)
def test_copies_are_the_same_however_they_are_written(left: str, right: str) -> None:
    assert normalised(left) == normalised(right)


@pytest.mark.parametrize(("left", "right"), [("C", "C++"), ("?", "!"), ("कि", "की"), ("ab", "a b"), ("5 %", "5 $")])
def test_texts_that_say_something_else_stay_apart(left: str, right: str) -> None:
    assert normalised(left) != normalised(right)


@settings(deadline=None)
@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
