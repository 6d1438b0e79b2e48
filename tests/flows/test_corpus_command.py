"""`clir corpus`: what it prints, and that its options are those of an audit."""

import json
import sys
from pathlib import Path

import pytest

from flows.cli import main


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["clir", "corpus", *arguments])
    main()
    return capsys.readouterr().out


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "qrels").mkdir()
    docs = [{"_id": "e", "body_text": "moon", "lang": "en"}, {"_id": "d", "body_text": "Mond", "lang": "de"}]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, docs)), "utf-8")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "moon?", "lang": "en"}', "utf-8")
    for name in ("dev", "test"):
        (tmp_path / "qrels" / f"{name}.tsv").write_text("q\te\t1\nq\td\t0\n", "utf-8")
    return f"beir:{tmp_path}"


def test_it_prints_what_would_be_read(small, monkeypatch, capsys) -> None:
    printed = run(monkeypatch, capsys, f"{small}#dev", "--columns", "documents.text=body_text")
    assert "Qrels were read from qrels/dev.tsv, and not from qrels/test.tsv." in printed
    assert "qrels, 1: grade 0: judged not relevant (q -> d)" in printed
    assert "Fewer than 50 queries" in printed and "2 groups of documents, 0 of them in several languages" in printed


def test_it_refuses_what_an_audit_would(small, monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit, match=r"'text' is missing, it has _id, body_text, lang"):
        run(monkeypatch, capsys, small)
    with pytest.raises(SystemExit, match=r"--columns: .*'documents\.body' is no column; there are documents\.doc_id"):
        run(monkeypatch, capsys, small, "--columns", "documents.body=text")
