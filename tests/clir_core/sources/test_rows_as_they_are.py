"""Files as teams have them: one meaning is read, none is counted, a contradiction is refused."""

import csv
import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.texts import document_texts
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus

DOCS = [
    {"_id": "e", "text": "moon", "lang": "en"},
    {"_id": "f", "text": "sun", "lang": "en"},
    {"_id": "d", "text": "Mond", "lang": "de"},
]
ASKS = [{"_id": "q", "text": "moon?", "lang": "en"}, {"_id": "p", "text": "Mond?", "lang": "de"}]
JUDGED = "query-id\tcorpus-id\tscore\nq\te\t1\np\td\t2\n"


@pytest.fixture
def corpus(tmp_path):
    """Writes a corpus and reads it."""

    def make(docs=DOCS, asks=ASKS, qrels=JUDGED, **asked):
        (tmp_path / "qrels").mkdir(exist_ok=True)
        for name, lines in (("corpus", docs), ("queries", asks)):
            (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
        (tmp_path / "qrels" / "test.tsv").write_text(qrels, "utf-8")
        return read_corpus(f"beir:{tmp_path}", **asked)

    return make


def golds(corpus):
    return [(row["query_id"], row["doc_id"], row["grade"]) for row in corpus.qrels.to_pylist()]


def counted(corpus):
    return {(one.what, one.reason.split(":")[0].split(",")[0]): (one.count, one.examples) for one in corpus.skipped}


GOLDS = [("p", "d", 2), ("q", "e", 1)]


@pytest.mark.parametrize(
    "qrels",
    [
        "query_id\tdoc_id\trelevance\nq\te\t1\np\td\t2\n",
        "qid\titer\tdocid\trel\nq\t0\te\t1\np\t0\td\t2\n",
        "score\tcorpus-id\tquery-id\n1\te\tq\n2\td\tp\n",  # a header says the order
        "q 0 e 1\np 0 d 2\n",  # TREC
        "q Q0 e 1\np  Q0   d\t\n".replace("d\t", "d 2"),
        "q e 1\np d 2\n",
        "q\te\t1.0\t\np\td\t2.0\t\t\n",  # a pandas frame, and tabs at the end
        'query-id\tcorpus-id\tscore\n"q"\t"e"\t"1"\n"p"\t"d"\t"2"\n',
        "\ufeffquery-id\tcorpus-id\tscore\r\nq\te\t1\r\n\r\np\td\t2\r\n",
        "query-id\tcorpus-id\tscore\nq\te\t1\nq\te\t1\np\td\t2\nq\te\t1\n",
    ],
)
def test_qrels_of_any_form_are_the_same(corpus, qrels):
    assert golds(corpus(qrels=qrels)) == GOLDS


def test_repeated_rows_count_once_and_are_counted(corpus):
    read = corpus([*DOCS, DOCS[0]], [*ASKS, ASKS[1], ASKS[1]], JUDGED + "q\te\t1\n")
    assert (len(read.documents), len(read.queries), golds(read)) == (3, 2, GOLDS)
    assert counted(read) == {
        ("documents", "repeats a row before it"): (1, ("e",)),
        ("queries", "repeats a row before it"): (2, ("p", "p")),
        ("qrels", "repeats a row before it"): (1, ("q -> e",)),
    }


def test_a_judgement_that_contradicts_another_is_refused_with_all_places(corpus, tmp_path):
    with pytest.raises(CorpusError) as caught:
        corpus(qrels=JUDGED + "q\te\t0\nq\te\t3\n")
    file = tmp_path / "qrels" / "test.tsv"
    before = f"query 'q' is judged for 'e' before, in {file}, row 2, as 1, and here as"
    assert list(caught.value.problems) == [
        f"{file}, row 4: {before} 0; keep one of the two",
        f"{file}, row 5: {before} 3; keep one of the two",
    ]


def test_what_is_not_relevant_is_counted(corpus):
    read = corpus(qrels=JUDGED + "q\tf\t0\nq\td\t-1\nq\tgone\t0\nlost\te\t-2\n")
    assert golds(read) == GOLDS
    assert counted(read) == {
        ("qrels", "grade 0"): (1, ("q -> f",)),
        ("qrels", "grade below 0"): (1, ("q -> d",)),
        ("qrels", "not relevant"): (2, ("q -> gone", "lost -> e")),
    }
    with pytest.raises(
        CorpusError, match=r"(?s)row 4: doc_id 'gone' is no document.*row 5: query_id 'lost' is no query"
    ):
        corpus(qrels=JUDGED + "q\tgone\t1\nlost\te\t1\n")


def test_a_title_alone_is_a_text_and_nothing_at_all_is_counted(corpus):
    more = [
        {"_id": "t", "title": "Tide", "text": "", "lang": "en"},
        {"_id": "n", "title": float("nan"), "text": "words", "lang": "en"},
        {"_id": "y", "title": 1984, "text": None, "lang": "en"},
        {"_id": "x", "title": "", "text": " ", "lang": "en"},
    ]
    read = corpus([*DOCS, *more], [*ASKS, {"_id": "r", "text": "", "lang": "en"}], JUDGED + "q\tx\t0\n")
    texts = dict(document_texts(read).select("id", "text").iter_rows())
    assert {key: texts[key] for key in "tny"} == {"t": "Tide", "n": "words", "y": "1984"} and "x" not in texts
    assert counted(read) == {
        ("documents", "without text or title"): (1, ("x",)),
        ("queries", "without text"): (1, ("r",)),
        ("qrels", "not relevant"): (1, ("q -> x",)),
    }
    with pytest.raises(CorpusError, match=r"corpus\.jsonl, row 7: text of document 'x' is empty"):
        corpus([*DOCS, *more], qrels=JUDGED + "q\tx\t1\n")


def test_without_titles_the_texts_are_others_and_so_is_the_fingerprint(corpus):
    docs = [
        *DOCS,
        {"_id": "t", "title": "Tide", "text": "sea", "lang": "en"},
        {"_id": "u", "title": "only", "lang": "en"},
    ]
    read, bare = corpus(docs), corpus(docs, reading=ReadingSpec(titles=False))
    assert dict(document_texts(bare).select("id", "text").iter_rows())["t"] == "sea"
    assert read.fingerprint() != bare.fingerprint()
    assert counted(bare) == {("documents", "without text or title"): (1, ("u",))}


def test_numbers_are_ids_and_metadata_may_be_anything(corpus):
    docs = [
        {"_id": 1, "title": 1984, "text": "moon", "metadata": {"lang": "en"}},
        {"_id": "2", "text": "Mond", "metadata": "x", "language": "de"},
        {"id": 3, "contents": "sun", "metadata": ["a"], "lang": "en"},
    ]
    asks = [{"query_id": 10, "query": "moon?", "lang": "en", "metadata": None}]
    read = corpus(docs, asks, "10\t1\t1\n10\t3\t1\n")
    assert golds(read) == [("10", "1", 1), ("10", "3", 1)]
    assert document_texts(read).sort("id")["text"].to_list() == ["1984 moon", "Mond", "sun"]


@pytest.mark.parametrize("form", ["gz", "zst", "array", "array.gz", "tsv", "csv"])
def test_packed_files_arrays_and_tables(corpus, tmp_path, form):
    expected = corpus()
    for name, rows in (("corpus", DOCS), ("queries", ASKS)):
        text = (tmp_path / f"{name}.jsonl").read_text("utf-8")
        (tmp_path / f"{name}.jsonl").unlink()
        if form.startswith("array"):
            text = json.dumps(rows, indent=1)
        if form == "tsv":
            text = "_id\tlang\ttext\n" + "".join(f"{row['_id']}\t{row['lang']}\t{row['text']}\n" for row in rows)
            (tmp_path / f"{name}.tsv").write_text(text, "utf-8")
        elif form == "csv":
            with (tmp_path / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as out:
                table = csv.DictWriter(out, ["lang", "_id", "text"])
                table.writeheader()
                table.writerows({key: row[key] for key in table.fieldnames} for row in rows)
        elif form == "zst":
            with pa.output_stream(str(tmp_path / f"{name}.jsonl.zst"), compression="zstd") as out:
                out.write(text.encode())
        elif form.endswith("gz"):
            (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            (tmp_path / f"{name}.json").write_text(text, "utf-8")
    qrels = tmp_path / "qrels" / "test.tsv"
    (tmp_path / "qrels" / "test.tsv.gz").write_bytes(gzip.compress(qrels.read_bytes(), mtime=0))
    qrels.unlink()
    found = read_corpus(f"beir:{tmp_path}")
    assert found.fingerprint() == expected.fingerprint()
    assert found.notes == ("Qrels were read from qrels/test.tsv.gz.",)


def test_comma_separated_cells_hold_commas_quotes_and_line_ends(corpus, tmp_path):
    corpus()
    (tmp_path / "corpus.jsonl").unlink()
    text = '_id,lang,text\r\ne,en,"moon, ""full""\r\nand new"\r\n\r\nd,de,Mond\r\n'
    (tmp_path / "corpus.csv").write_bytes(text.encode())
    (tmp_path / "qrels" / "test.tsv").unlink()
    (tmp_path / "qrels" / "test.csv").write_text("query-id,corpus-id,score\nq,e,1\np,d,2\n")
    read = read_corpus(f"beir:{tmp_path}")
    assert golds(read) == [("p", "d", 2), ("q", "e", 1)]
    assert read.documents["text"].to_pylist() == ["Mond", 'moon, "full"\r\nand new']
    (tmp_path / "corpus.csv").write_bytes(text.encode() + b'x,en,"not closed\r\n')
    with pytest.raises(
        CorpusError, match=r"corpus\.csv, row 6: no comma-separated cells from here on \(.*mend the quotes"
    ):
        read_corpus(f"beir:{tmp_path}")
    (tmp_path / "corpus.csv").write_bytes(text.encode() + b"x,en,a,b\r\n")
    with pytest.raises(CorpusError, match=r"corpus\.csv, row 6: 4 columns, not 3; put quotes around"):
        read_corpus(f"beir:{tmp_path}")


def test_a_cell_is_quoted_where_nothing_speaks_against_it(corpus, tmp_path):
    corpus()
    (tmp_path / "corpus.jsonl").unlink()
    speech = '"Moon," she said, "and sun"'
    (tmp_path / "corpus.tsv").write_text(f'_id\tlang\ttext\ne\ten\t{speech}\nd\tde\t"der ""Mond"""\n', "utf-8")
    texts = read_corpus(f"beir:{tmp_path}").documents["text"].to_pylist()
    assert texts == ['der "Mond"', speech]


def test_a_header_that_only_the_user_knows_is_no_row(corpus, tmp_path):
    corpus()
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / "corpus.tsv").write_text("key\twords\tlang\ne\tmoon\ten\nd\tMond\tde\n")
    reading = ReadingSpec(columns={"documents.doc_id": "key", "documents.text": "words"})
    assert read_corpus(f"beir:{tmp_path}", reading=reading).documents["text"].to_pylist() == ["Mond", "moon"]
    (tmp_path / "corpus.tsv").write_text("_id\twords\ne\tmoon\n")
    with pytest.raises(CorpusError, match=r"row 2: 'text' is missing, it has _id, words; add it, or name it"):
        read_corpus(f"beir:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("corpus.jsonl", gzip.compress(b"{}", mtime=0), r"is packed by gzip; call it corpus\.jsonl\.gz"),
        ("corpus.jsonl.zst", gzip.compress(b"{}", mtime=0), r"is packed by gzip; call it corpus\.jsonl\.gz"),
        ("corpus.jsonl.gz", b'{"_id": "e"}', r"is not packed by gzip, as its name says; call it corpus\.jsonl,"),
        ("corpus.jsonl", b"PK\x03\x04rest", "is packed by zip; unpack it"),
        ("corpus.jsonl", '{"_id": "e"}'.encode("utf-16"), "is UTF-16, or no text at all; save it as UTF-8"),
        ("corpus.tsv", "e\tmoon".encode("utf-16-le"), "is UTF-16, or no text at all; save it as UTF-8"),
        (
            "corpus.csv.gz",
            gzip.compress("e,moon".encode("utf-16"), mtime=0),
            "is UTF-16, or no text at all; save it as UTF-8",
        ),
        ("corpus.csv", "_id,text\ne,Größe".encode("latin-1"), "not UTF-8; save the file as UTF-8"),
        (
            "corpus.jsonl.gz",
            b"version https://git-lfs.github.com/spec/v1\noid",
            r"is a pointer of Git LFS .*git lfs pull",
        ),
    ],
)
def test_a_file_that_is_not_what_its_name_says(corpus, tmp_path, name, content, reason):
    corpus()
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        read_corpus(f"beir:{tmp_path}")
    assert re.search(
        f"{re.escape(name)}.*: .*{reason}|{re.escape(name)}, after row .*: {reason}", caught.value.problems[0]
    )


def test_files_as_miracl_and_mmarco_publish_them(tmp_path):
    """JSON lines with docid, or two columns without a header; topics without one; TREC's qrels."""
    for lang, words in {"en": ("moon", "sun"), "zh": ("哲学", "火星")}.items():
        (tmp_path / lang / "qrels").mkdir(parents=True)
        docs = [{"docid": f"{i}#0", "title": word, "text": f"{word} text"} for i, word in enumerate(words)]
        if lang == "en":
            packed = gzip.compress("\n".join(map(json.dumps, docs)).encode())
            (tmp_path / lang / "corpus.jsonl.gz").write_bytes(packed)
        else:
            rows = "".join(f"{row['docid']}\t{row['text']}\n" for row in docs)
            (tmp_path / lang / "corpus.tsv").write_text(rows, "utf-8")
        (tmp_path / lang / "queries.tsv").write_text(f"0\t{words[0]}?\n1\t{words[1]}?\n", "utf-8")
        (tmp_path / lang / "qrels" / "dev.tsv").write_text("0\tQ0\t0#0\t1\n1\tQ0\t1#0\t1\n1\tQ0\t0#0\t0\n", "utf-8")
    corpus = read_corpus(f"beir:{tmp_path}")
    assert golds(corpus) == [(f"{lang}/{i}", f"{lang}/{i}#0", 1) for lang in ("en", "zh") for i in (0, 1)]
    assert dict(document_texts(corpus).select("id", "text").iter_rows())["zh/1#0"] == "火星 text"


def test_two_files_of_one_table_and_damaged_ones_are_named(corpus, tmp_path):
    corpus()
    whole = gzip.compress(b"x" * 5000, mtime=0)
    (tmp_path / "corpus.jsonl.gz").write_bytes(whole)
    with pytest.raises(CorpusError, match=r"corpus\.jsonl and corpus\.jsonl\.gz are both there; keep one"):
        read_corpus(f"beir:{tmp_path}")
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / "corpus.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(CorpusError, match=r"corpus\.jsonl\.gz: cannot be read \("):
        read_corpus(f"beir:{tmp_path}")


def test_columns_of_other_names_are_asked_for(corpus):
    docs = [{"key": row["_id"], "body_text": row["text"], "lang": row["lang"]} for row in DOCS]
    with pytest.raises(CorpusError) as caught:
        corpus(docs)
    assert (
        "'_id' is missing, it has key, body_text, lang; add it, or name it by `columns`: documents.doc_id=..."
        in str(caught.value)
    )
    reading = ReadingSpec(columns={"documents.doc_id": "key", "documents.text": "body_text"})
    assert golds(corpus(docs, reading=reading)) == GOLDS
    header = "question\tanswer\tscore\nq\te\t1\np\td\t2\n"
    with pytest.raises(CorpusError, match=r"row 1: 'score' is not a whole number: if this is a header"):
        corpus(qrels=header)
    reading = ReadingSpec(columns={"qrels.query_id": "question", "qrels.doc_id": "answer"})
    assert golds(corpus(qrels=header, reading=reading)) == GOLDS


def test_a_column_that_is_none_of_ours_is_refused():
    with pytest.raises(ValueError, match=r"'documents\.txt' is no column; there are documents\.doc_id, "):
        ReadingSpec(columns={"documents.txt": "body"})


def parquet(folder, judged, docs=None):
    docs = docs or {"doc_id": ["e", "f", "d"], "lang": ["en", "en", "de"], "text": ["moon", "sun", "Mond"]}
    asks = {"query_id": ["q", "p"], "lang": ["en", "de"], "text": ["moon?", "Mond?"]}
    for name, columns in (("documents", docs), ("queries", asks), ("qrels", judged)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return f"parquet:{folder}"


PAIRS = {"query_id": ["q", "q", "p"], "doc_id": ["e", "f", "d"]}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("grade", [1, 0, 2]),
        ("score", [1, 0, 2]),
        ("relevance", [1.0, 0.0, 2.0]),
        ("rel", ["1", "0", "2"]),
        ("Label", [1, 0, 2]),
    ],
)
def test_a_grade_is_a_grade_whatever_it_is_called(tmp_path, name, values):
    corpus = read_corpus(parquet(tmp_path, PAIRS | {name: values}))
    assert golds(corpus) == GOLDS and counted(corpus) == {("qrels", "grade 0"): (1, ("q -> f",))}


def test_two_grades_have_to_agree(tmp_path):
    both = PAIRS | {"score": [1, 0, 2], "grade": [1, 0, 2]}
    assert golds(read_corpus(parquet(tmp_path, both))) == GOLDS
    reference = parquet(tmp_path, both | {"score": [1, 3, 2]})
    with pytest.raises(
        CorpusError, match=r"'grade' and 'score' may both be the grade and differ in 1 rows, as in row 2"
    ):
        read_corpus(reference)
    assert golds(read_corpus(reference, reading=ReadingSpec(columns={"qrels.grade": "grade"}))) == GOLDS


@pytest.mark.parametrize(
    "values", [["relevant", "not_relevant", "relevant"], ["not relevant"] * 3, ["yes", "no", "no"]]
)
def test_grades_in_words_are_never_dropped(tmp_path, values):
    reference = parquet(tmp_path, PAIRS | {"judgement": values, "annotator": ["ann"] * 3})
    with pytest.raises(CorpusError, match=r"'judgement' holds words that may be grades; write them as numbers, 0 or 1"):
        read_corpus(reference)


@pytest.mark.parametrize("values", [[1, 0, 2], [0.0, 1.0, 1.0], ["1", "0", "2"], [True, False, True]])
def test_numbers_of_an_unknown_name_are_never_dropped(tmp_path, values):
    reference = parquet(tmp_path, PAIRS | {"judgement": values, "split": ["test"] * 3})
    with pytest.raises(CorpusError, match=r"'judgement' holds numbers that may be grades; name it by `columns`"):
        read_corpus(reference)
    read = read_corpus(reference, reading=ReadingSpec(columns={"qrels.grade": "judgement"}))
    assert len(read.qrels) == sum(float(value) > 0 for value in values)


def test_without_any_number_every_row_is_relevant(tmp_path):
    assert {
        row["grade"] for row in read_corpus(parquet(tmp_path, PAIRS | {"note": ["a", "b", "c"]})).qrels.to_pylist()
    } == {1}


def test_numbers_as_ids_of_a_table(tmp_path):
    docs = {"doc_id": [1.0, 2.0, 3.0], "lang": ["en", "en", "de"], "text": ["moon", "sun", "Mond"]}
    read = read_corpus(parquet(tmp_path, {"query-id": ["q", "p"], "corpus-id": [1, 3], "score": [1, 1]}, docs))
    assert golds(read) == [("p", "3", 1), ("q", "1", 1)]
