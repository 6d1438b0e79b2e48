"""What a correction is fitted on: the bank, whose languages it needs, and never what is asked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clir_core.correct.data import bank_reference, read_fit_corpus, seen_by
from clir_core.correct.spec import Corrects
from clir_core.errors import SpecError
from clir_core.sources import read_corpus


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., str]:
    """Writes a query log."""

    def write(**texts: str) -> str:
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(json.dumps({"lang": lang, "text": text}) for lang, text in texts.items()), "utf-8")
        return f"queries:{path}"

    return write


def test_queries_of_a_log_take_the_place_of_the_fit_corpus_own(log: Callable[..., str]) -> None:
    spec = Corrects(correction="mean+hub", correction_bank=log(en="one more", de="eine mehr", zh="x"))
    fit = read_fit_corpus(spec, "demo#test", read_corpus("demo#test", ("de",)))
    assert fit and sorted(fit.queries["text"].to_pylist()) == ["eine mehr", "one more"]
    assert fit.documents == read_corpus("demo#train", ("de",)).documents
    # passages are fitted on; the log's queries have none
    assert seen_by(spec, "demo#test") == (("demo#train", "documents"),)


def test_hubs_need_no_documents(log: Callable[..., str]) -> None:
    spec = Corrects(correction="hub", correction_bank=log(en="one more", de="eine mehr"))
    fit = read_fit_corpus(spec, "parquet:/anywhere", read_corpus("demo#test", ("de",)))
    assert fit and not len(fit.documents) and len(fit.queries) == 2
    assert seen_by(spec, "parquet:/anywhere") == ()


def test_a_bank_without_a_language_is_refused_with_the_way_out(log: Callable[..., str]) -> None:
    spec = Corrects(correction="hub", correction_bank=log(en="one more"))
    with pytest.raises(SpecError, match=r"has none in de; set correction_bank to queries in all"):
        read_fit_corpus(spec, "demo#test", read_corpus("demo#test", ("de",)))


def test_what_is_asked_is_in_no_bank() -> None:
    corpus = read_corpus("demo#test", ("de",))
    spec = Corrects(correction="hub", correction_bank="demo")
    fit = read_fit_corpus(spec, "demo#test", corpus)
    assert fit and bank_reference(spec, "demo#test") == "demo" and seen_by(spec, "demo#test") == (("demo", "answers"),)
    asked, bank = (set(part.queries["text"].to_pylist()) for part in (corpus, fit))
    assert not asked & bank and len(bank) == len(set(read_corpus("demo", ("de",)).queries["text"].to_pylist()) - asked)
    # nothing is left where the bank asks nothing else
    alone = Corrects(correction="hub", correction_bank="demo#test")
    with pytest.raises(SpecError, match="other ones than are asked"):
        read_fit_corpus(alone, "demo#test", corpus)
