"""BEIR's layout, in one folder and in one a language; every kind of line that cannot be used."""

import json
import shutil
from pathlib import Path

import pytest

from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.tables import DOCUMENTS
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus

HEADER = "query-id\tcorpus-id\tscore"


def write(folder: Path, corpus: list[dict], queries: list[dict], qrels: list[str], split: str = "test") -> Path:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, lines in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    rows = "".join("\t".join(line.split()) + "\n" for line in qrels)
    (folder / "qrels" / f"{split}.tsv").write_text(f"{HEADER}\n{rows}", encoding="utf-8")
    return folder


@pytest.fixture
def flat(tmp_path) -> Path:
    """A parallel group, a document of its own, and the four ways to say language and group."""
    corpus = [
        {"_id": "e1", "title": "Tide", "text": "moon", "lang": "en", "group_id": "g1"},
        {"_id": "d1", "title": "", "text": "Mond", "metadata": {"language": "de", "group_id": "g1"}},
        {"_id": "e2", "text": "sun", "language": "en", "metadata": {"url": "x"}},
    ]
    queries = [
        {"_id": "q1", "text": "what moves the sea?", "lang": "en"},
        {"_id": "q2", "text": "was bewegt das Meer?", "metadata": {"lang": "de"}},
        {"_id": "q3", "text": "of another split", "lang": "en"},
    ]
    return write(tmp_path / "small", corpus, queries, ["q1 g1 2", "q2 d1 1", "q2 e2 0"])


def rows(table, *columns):
    return [tuple(row[column] for column in columns) for row in table.to_pylist()]


def problems_of(folder, languages=()) -> list[str]:
    with pytest.raises(CorpusError) as caught:
        read_corpus(f"beir:{folder}", languages)
    return list(caught.value.problems)


def test_one_folder(flat):
    corpus = read_corpus(f"beir:{flat}")
    assert corpus.name == "small"
    assert rows(corpus.documents, "doc_id", "group_id", "lang", "text", "title") == [
        ("d1", "g1", "de", "Mond", None),
        ("e1", "g1", "en", "moon", "Tide"),
        ("e2", "e2", "en", "sun", None),
    ]
    assert rows(corpus.queries, "query_id", "group_id", "lang") == [("q2", "q2", "de"), ("q1", "q1", "en")]
    # a corpus-id that is a document's id means that document, one that is a group's the group
    assert rows(corpus.qrels, "query_id", "group_id", "doc_id", "grade") == [
        ("q1", "g1", None, 2),
        ("q2", None, "d1", 1),
    ]
    assert [(entry.what, entry.count, entry.examples) for entry in corpus.skipped] == [
        ("qrels", 1, ("q2 -> e2",)),
        ("queries", 1, ("q3",)),
    ]


def test_what_else_queries_say_is_kept_as_text(flat, monkeypatch):
    queries = [
        {"_id": "q1", "text": "moon?", "lang": "en", "author": "Ann", "metadata": {"author": "Bob", "year": 1969}},
        {"_id": "q2", "text": "Mond?", "metadata": {"lang": "de", "topic": "tides", "url": None, "score": 0.5}},
        {"_id": "q3", "text": "sun?", "lang": "en", "new": True, "file": "x", "row": 7, "query_id": "y", "tags": ["z"]},
    ]
    write(flat, [], queries, ["q1 g1 1", "q2 g1 1", "q3 e2 1"])
    documents = [
        {"_id": "e1", "text": "moon", "lang": "en", "group_id": "g1", "author": "Eve"},
        {"_id": "e2", "text": "sun", "lang": "en"},
        {"_id": "d1", "text": "Mond", "lang": "de", "group_id": "g1"},
    ]
    (flat / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    for chunk in (8192, 1):  # with rows that become Arrow before a column is first seen
        monkeypatch.setattr("clir_core.sources.rows._CHUNK_ROWS", chunk)
        corpus = read_corpus(f"beir:{flat}")
        assert sorted(corpus.queries.column_names[4:]) == ["author", "topic", "year"]
        assert rows(corpus.queries, "query_id", "author", "year", "topic") == [
            ("q2", None, None, "tides"),
            ("q1", "Ann", "1969", None),
            ("q3", None, None, None),
        ]
        assert corpus.documents.column_names == DOCUMENTS.names


def test_a_document_id_goes_before_a_group_id(tmp_path):
    corpus = [{"_id": "x", "text": "a", "lang": "en"}, {"_id": "y", "text": "b", "lang": "de", "group_id": "x"}]
    write(tmp_path, corpus, [{"_id": "q", "text": "?", "lang": "en"}], ["q x 1"])
    assert rows(read_corpus(f"beir:{tmp_path}").qrels, "group_id", "doc_id") == [(None, "x")]


def a_folder_a_language(folder: Path) -> Path:
    for lang in ("en", "de", "zh"):
        texts = [{"_id": "1", "text": f"{lang} one"}, {"_id": f"only-{lang}", "text": f"{lang} own"}]
        queries = [{"_id": "q", "text": f"{lang}?"}, {"_id": "p", "text": f"{lang}!"}]
        write(folder / lang, texts, queries, ["q 1 1", f"p only-{lang} 1"])
    return folder


def test_one_folder_a_language_whose_equal_ids_are_said_to_be_translations(tmp_path):
    corpus = read_corpus(f"beir:{a_folder_a_language(tmp_path)}", reading=ReadingSpec(parallel="ids"))
    assert corpus.languages == ("en", "de", "zh")
    assert rows(corpus.documents, "doc_id", "group_id", "lang")[:2] == [
        ("de/1", "1", "de"),
        ("de/only-de", "only-de", "de"),
    ]
    assert rows(corpus.queries, "query_id", "group_id")[-1] == ("zh/q", "q")
    # the translated document stands for its group, the other for itself
    assert rows(corpus.qrels, "query_id", "group_id", "doc_id")[:2] == [
        ("de/p", None, "de/only-de"),
        ("de/q", "1", None),
    ]
    (tmp_path / "de" / "corpus.jsonl").write_text("broken")
    assert read_corpus(f"beir:{tmp_path}", ["zh"]).languages == ("en", "zh")


@pytest.mark.parametrize("rule", ["check", "none"])
def test_too_few_equal_ids_are_no_translations_unless_that_is_said(tmp_path, rule):
    corpus = read_corpus(f"beir:{a_folder_a_language(tmp_path)}", reading=ReadingSpec(parallel=rule))
    assert len(set(corpus.documents["group_id"].to_pylist())) == 6
    assert set(corpus.qrels["doc_id"].to_pylist()) == {
        f"{x}/{y}" for x in ("en", "de", "zh") for y in ("1", f"only-{x}")
    }
    said = [note for note in corpus.notes if note.startswith("Documents with one id in en and de: 1, not taken")]
    assert len(said) == 1 and ("say so by `parallel`: ids" in said[0]) == (rule == "check")


def test_group_ids_go_before_equal_ids(tmp_path):
    for lang, group in (("en", "moon"), ("de", "Sonne")):
        texts = [{"_id": "1", "text": lang, "group_id": group}]
        write(tmp_path / lang, texts, [{"_id": "q", "text": "?"}], ["q 1 1"])
    corpus = read_corpus(f"beir:{tmp_path}")
    assert corpus.documents["group_id"].to_pylist() == ["Sonne", "moon"]
    assert corpus.qrels["doc_id"].to_pylist() == ["de/1", "en/1"]


def test_every_bad_line_is_reported_at_once(flat):
    with (flat / "corpus.jsonl").open("ab") as file:
        file.write(b'{"_id": "x", "text": "cut\n')
        file.write(b'{"text": "no id", "lang": "en"}\n')
        file.write(b'{"_id": "y", "lang": "en"}\n')
        file.write(b'{"_id": "z", "text": "no lang"}\n')
        file.write(b'{"_id": "u", "text": "\xff", "lang": "en"}\n')
        file.write(b'\n["a list"]\n')
        file.write(b'{"_id": 7.5, "text": "number", "lang": "en"}\n')
    with (flat / "queries.jsonl").open("a") as file:
        file.write('{"_id": "q4", "text": "\\ud800", "lang": "en"}\n{"_id": "q5", "text": "no lang"}\n')
    with (flat / "qrels" / "test.tsv").open("ab") as file:
        file.write(b"q1\te2\nq1\te2\t1.5\nq1\te2\t99999999999\n\xff\te2\t1\nq1\t\t1\n")
    problems = problems_of(flat)
    corpus, queries, qrels = flat / "corpus.jsonl", flat / "queries.jsonl", flat / "qrels" / "test.tsv"
    expected = [
        *((corpus, 4, "cut off"), (corpus, 5, "'_id' is missing"), (corpus, 6, "'text' is missing")),
        *((corpus, 7, "'lang' is missing"), (corpus, 8, "not UTF-8"), (corpus, 10, "object"), (corpus, 11, "'_id'")),
        *((queries, 4, "not JSON"), (queries, 5, "'lang' is missing")),
        *((qrels, 5, "2 columns, not 3"), (qrels, 8, "byte 1 is not UTF-8"), (qrels, 9, "a cell is empty")),
        *((qrels, 6, "'1.5'"), (qrels, 7, "'99999999999'")),
    ]
    assert len(problems) == len(expected)
    for problem, (file, row, what) in zip(problems, expected, strict=True):
        assert problem.startswith(f"{file}, row {row}: ") and what in problem


def test_a_qrel_that_leads_nowhere_is_named(flat):
    with (flat / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\tgone\t1\nnobody\te2\t1\nq1\tlost\t0\n")
    assert [problem.split(": ", 1)[1].split(";")[0] for problem in problems_of(flat)] == [
        "doc_id 'gone' is no document of this corpus",
        "query_id 'nobody' is no query of this corpus",
    ]


def test_byte_order_marks_line_ends_and_a_missing_header_do_no_harm(flat):
    expected = read_corpus(f"beir:{flat}")
    for file in (flat / "corpus.jsonl", flat / "queries.jsonl"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    file = flat / "qrels" / "test.tsv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().split(b"\n", 1)[1].replace(b"\n", b"\r\n"))
    assert read_corpus(f"beir:{flat}") == expected


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [(["test", "dev", "train"], "test"), (["train", "dev"], "dev"), (["train"], "train"), (["x"], "x")],
)
def test_test_goes_before_dev_before_train(tmp_path, splits, chosen):
    for split in splits:
        corpus = [{"_id": name, "text": name, "lang": "en"} for name in splits]
        write(tmp_path, corpus, [{"_id": "q", "text": "?", "lang": "en"}], [f"q {split} 1"], split)
    assert read_corpus(f"beir:{tmp_path}").qrels["doc_id"].to_pylist() == [chosen]


def test_missing_files_are_all_named(flat):
    (flat / "queries.jsonl").unlink()
    (flat / "qrels" / "test.tsv").unlink()
    queries, qrels = problems_of(flat)
    assert queries.startswith(f"{flat / 'queries.jsonl'}: No such file")
    assert qrels == (
        f"{flat / 'qrels'} has no *.tsv, nor .csv, .txt, .trec, .jsonl or packed ones, it has none; it needs test.tsv, "
        "dev.tsv or train.tsv"
    )
    for name in ("queries.xlsx", "qrels/test.xlsx", "my-qrels.tsv"):
        (flat / name).write_text("?")
    queries, qrels = problems_of(flat)
    assert "it has queries.xlsx" in queries and "it has my-qrels.tsv, test.xlsx" in qrels


def test_two_layouts_at_once_are_refused(flat):
    write(flat / "en", [], [], [])
    with pytest.raises(CorpusError, match=r"holds corpus\.jsonl and folders with one \(en\)"):
        read_corpus(f"beir:{flat}")


def test_folders_without_english_are_read_with_another_pivot(tmp_path):
    place = a_folder_a_language(tmp_path)
    for file in (place / "en").rglob("*.*"):
        file.unlink()
    for asked in ((), ("zh",)):
        corpus = read_corpus(f"beir:{place}", asked, ReadingSpec(parallel="ids", pivot="de"))
        assert corpus.languages == ("de", "zh")
        assert any(note.startswith("Documents with one id in de and zh: 1, taken") for note in corpus.notes)
    with pytest.raises(CorpusError, match=r"not in the corpus, it has documents in de, zh; .* such as --pivot de"):
        read_corpus(f"beir:{place}")


def test_a_corpus_without_english_is_an_error(tmp_path):
    texts = [{"_id": "1", "text": "color", "lang": "en-US"}]
    write(tmp_path, texts, [{"_id": "q", "text": "?", "lang": "en-US"}], ["q 1 1"])
    (problem,) = problems_of(tmp_path)
    assert problem == (
        "English ('en') is not in the corpus, it has documents in en-US; write 'en' for 'en-US', or set pivot to it: "
        "--pivot en-US"
    )


@pytest.mark.parametrize("tag", [{"lang": "fr"}, {"metadata": {"language": "fr"}}])
def test_a_row_of_another_language_than_its_folder_is_refused(tmp_path, tag):
    write(tmp_path / "en", [{"_id": "e", "text": "moon", **tag}], [{"_id": "q", "text": "?"}], ["q e 1"])
    with pytest.raises(
        CorpusError, match=r"corpus.jsonl, row 1: says that it is in 'fr', and lies in the folder of 'en'"
    ):
        read_corpus(f"beir:{tmp_path}")


@pytest.mark.parametrize("code", ["en", "eng", "en-US", "EN"])
def test_another_code_of_the_same_language_is_none(tmp_path, code):
    document = {"_id": "e", "text": "moon", "lang": code}
    write(tmp_path / "en", [document], [{"_id": "q", "text": "?"}], ["q e 1"])
    assert read_corpus(f"beir:{tmp_path}").languages == ("en",)


def test_a_folder_of_another_code_is_that_language_and_ids_begin_with_the_language(tmp_path):
    (a_folder_a_language(tmp_path) / "de").rename(tmp_path / "deu")
    (tmp_path / "zh").rename(tmp_path / "zho_Hans")
    corpus = read_corpus(f"beir:{tmp_path}", ["DE"])
    assert corpus.languages == ("en", "de")
    assert {"de/1", "de/only-de"} < set(corpus.documents["doc_id"].to_pylist())
    assert "Codes of languages were read as BCP-47 writes them: deu as de." in corpus.notes
    whole = read_corpus(f"beir:{tmp_path}")
    assert whole.languages == ("en", "de", "zh")
    with pytest.raises(CorpusError, match=r"'fr' is not in the corpus, it has documents in de, en, zh"):
        read_corpus(f"beir:{tmp_path}", ["fr"])


def test_two_folders_of_one_language_are_refused_where_it_is_read(tmp_path):
    shutil.copytree(a_folder_a_language(tmp_path) / "de", tmp_path / "deu")
    for asked in ((), ("de",)):
        (problem,) = problems_of(tmp_path, asked)
        assert problem == (
            f"{tmp_path / 'de'} and {tmp_path / 'deu'} are both in de; keep one of them, or ask for other languages"
        )
    assert read_corpus(f"beir:{tmp_path}", ["zh"]).languages == ("en", "zh")


@pytest.mark.parametrize("in_folders", [True, False])
def test_a_region_is_advised_in_the_one_way_that_is_read(tmp_path, in_folders):
    for code in ("en_US", "pt_BR"):
        tag = {} if in_folders else {"lang": code}
        key = "1" if in_folders else code
        texts, asks = [{"_id": key, "text": code, **tag}], [{"_id": f"q{key}", "text": "?", **tag}]
        write(tmp_path / code, texts, asks, [f"q{key} {key} 1"])
    folder = tmp_path if in_folders else tmp_path / "en_US"
    (problem,) = problems_of(folder)
    assert problem.endswith("write 'en' for 'en-US', or set pivot to it: --pivot en-US")
    for pivot in ("en-US", "en_US"):
        assert read_corpus(f"beir:{folder}", reading=ReadingSpec(pivot=pivot)).languages[0] == "en-US"


def test_a_language_under_another_name_is_asked_for_as_any_column(tmp_path):
    texts, asks = [{"_id": "e", "text": "moon", "langs_region": "en"}], [{"_id": "q", "text": "?", "lang": "en"}]
    (problem,) = problems_of(write(tmp_path, texts, asks, ["q e 1"]))
    assert problem.endswith(
        "'lang' is missing, it has _id, text, langs_region; add it to the row or to its metadata, or name it by "
        "`columns`: documents.lang=..."
    )
    read = read_corpus(f"beir:{tmp_path}", reading=ReadingSpec(columns={"documents.lang": "langs_region"}))
    assert read.languages == ("en",)
