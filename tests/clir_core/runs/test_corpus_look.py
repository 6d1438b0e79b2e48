"""A look at a corpus: counts by plain reasoning, and tokens of the tokenizer itself."""

import json
from pathlib import Path

import pytest

from clir_core.corpus.reading import ReadingSpec
from clir_core.runs.corpus_look import look
from clir_core.sources import read_corpus


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "qrels").mkdir()
    docs = [
        {"_id": "e", "title": "Tide", "text": "moon", "lang": "en", "group_id": "g"},
        {"_id": "d", "text": "Mond", "lang": "de", "group_id": "g"},
        {"_id": "f", "text": "sun", "lang": "en"},
        {"_id": "x", "text": "", "lang": "en"},
    ]
    asks = [{"_id": "q", "text": "tide", "lang": "en"}, {"_id": "f", "text": "sun", "lang": "en"}]
    for name, rows in (("corpus", docs), ("queries", asks)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "qrels" / "dev.tsv").write_text("q\te\t1\nq\td\t2\nf\te\t1\nf\td\t0\n", "utf-8")
    return f"beir:{tmp_path}"


def test_what_is_there_is_counted(small: str) -> None:
    found = look(small, (), ReadingSpec())
    assert (found.groups, found.parallel_groups) == (2, 1)
    english, german = found.languages
    assert english[:5] == ("en", 2, 2, 3, 1) and german[:5] == ("de", 1, 0, 0, 1)
    assert (english.characters, english.longest, english.tokens) == (len("Tide moonsuntidesun"), 9, None)
    assert found.notes == ("Qrels were read from qrels/dev.tsv.",)
    assert len(found.skipped) == 2 and found.skipped[1].startswith("qrels, 1: grade 0: judged not relevant (f -> d)")
    said = "\n".join(found.suspicious)
    assert "Fewer than 50 queries, of which an audit can say little: en 2, de 0." in said
    assert "1 queries are documents themselves" in said
    assert "English: 1 of 2 queries (50.0 %) is the title of a document, which stands in its text." in said


def test_tokens_are_those_of_the_tokenizer(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    demo = read_corpus("demo", ("de",))
    texts = [
        row["text"] for table in (demo.documents, demo.queries) for row in table.to_pylist() if row["lang"] == "de"
    ]
    found = look("demo", ("de",), ReadingSpec(), str(tiny_model))
    assert found.languages[1].tokens == sum(len(tokenizer(text)["input_ids"]) for text in texts)
