"""Query logs in every form, and what is wrong with them: file, row, value and fix."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from clir_core.corpus.tables import QUERIES
from clir_core.errors import CorpusError
from clir_core.sources.query_log import read_queries

ROWS = [{"text": "wie hoch?", "lang": "DE"}, {"text": "how high?", "lang": "en"}, {"text": "how high?", "lang": "en"}]


def write(folder: Path, name: str) -> Path:
    path = folder / name
    lines = "\n".join(json.dumps(row) for row in ROWS)
    if name.endswith(".parquet"):
        pl.DataFrame(ROWS).write_parquet(path)
    elif name.endswith(".tsv"):
        path.write_text("\n".join(["query\tlanguage", *(f"{row['text']}\t{row['lang']}" for row in ROWS)]), "utf-8")
    elif name.endswith(".csv"):
        path.write_text("\n".join(["question,lang", *(f"{row['text']},{row['lang']}" for row in ROWS)]), "utf-8")
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, "utf-8")
    return path


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz", "log.parquet", "log.tsv", "log.csv"])
def test_each_text_of_a_language_is_there_once(tmp_path: Path, name: str) -> None:
    found = read_queries(str(write(tmp_path, name)))
    assert found.schema == QUERIES
    assert [(row["lang"], row["text"]) for row in found.to_pylist()] == [("de", "wie hoch?"), ("en", "how high?")]
    assert len(set(found["query_id"].to_pylist())) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds none; give a file with a text and its lang in every row"),
        ('{"text": "a"}', "row 1: 'lang' is missing, it has text"),
        ('{"text": " ", "lang": "de"}', "row 1: 'text' is ' '; write a text"),
        ('{"text": "a", "lang": "de"}\n{"text": "b", "lang": "klingon!"}', "row 2: .*klingon!"),
        ('{"text": "a", "query": "b", "question": "c", "lang": "de"}', None),
        ('{"query": "b", "question": "c", "lang": "de"}', "row 1: 'text' may be 'query' or 'question'; keep one"),
        ('{"text": ["a"], "lang": "de"}', "row 1: 'text' .*'a'"),
        ("no json", "row 1: not JSON"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str | None) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(text, "utf-8")
    if words is None:
        assert len(read_queries(str(path))) == 1
        return
    with pytest.raises(CorpusError, match=words) as error:
        read_queries(str(path))
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere\.jsonl: no such file; give one with a text and its lang"):
        read_queries(str(tmp_path / "nowhere.jsonl"))
