"""An audit with a correction: from stored vectors, in a place of its own, and named in everything it writes."""

import html
from pathlib import Path

import polars as pl
import pytest

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.runs.audit import audit
from clir_core.runs.here import Here
from clir_core.runs.runner import Runner
from clir_core.sources import read_corpus

Runs = dict[str, tuple[AuditResult, Path, list[str]]]


class Telling(Runner):
    """Keeps what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """A line."""
        self.said.append(text)


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The demo's test topics in German: as they are, with LIR, and with LIR once more."""
    place = tmp_path_factory.mktemp("corrected")
    found = {}
    for name, correction in (("plain", None), ("lir", "lir"), ("again", "lir")):
        asked = AuditSpec(
            **{"model": str(tiny_model), "corpus": "demo#test", "languages": ("de",), "scenarios": ("mono", "multi")},
            **{"workspace": place / "workspace", "out": place / name, "correction": correction},
        )
        runner = Telling()
        found[name] = audit(asked, Here(), runner).result, place / name, runner.said
    return found


def test_nothing_is_embedded_again(runs):
    # the passages of #train are among those of #test's pools already
    n_train = len(read_corpus("demo#train", ("de",)).documents)
    corpus = read_corpus("demo#test", ("de",))
    n_test = len(corpus.documents) + len(corpus.queries)
    for name in ("lir", "again"):
        _, _, log = runs[name]
        assert f"0 texts encoded, {n_test + n_train} were there" in log
    # what is ranked already needs no correction
    fitted = f"vectors + LIR, fitted on {n_train} documents of demo-train"
    assert fitted in runs["lir"][2] and fitted not in runs["again"][2]


def test_corrected_ranks_are_not_taken_for_the_plain_ones(runs):
    plain, lir, again = (pl.read_parquet(runs[name][1] / "ranks.parquet") for name in ("plain", "lir", "again"))
    assert not lir["score"].equals(plain["score"])
    # and its pools have none of the passages that it was fitted on
    assert set(lir["pool_size"]) < set(range(min(plain["pool_size"])))
    assert again.equals(lir)
    assert "done before: the finished result is used" not in runs["lir"][2]
    assert runs["again"][2].count("done before: the finished result is used") == 4  # in both kinds of pool


def test_the_result_says_what_was_done(runs):
    result, out, _ = runs["lir"]
    assert result.name == "tiny + LIR on demo-test" and runs["plain"][0].name == "tiny on demo-test"
    assert (result.spec.correction, result.spec.correction_fit) == ("lir", None)
    fitted = result.provenance.fitted
    assert fitted.corpus == "demo#train" and runs["plain"][0].provenance.fitted is None
    assert fitted.corpus_fingerprint == read_corpus("demo#train", ("de",)).fingerprint()
    assert result.verdict[0].startswith("tiny + LIR: ")
    page = html.unescape((out / "report.html").read_text("utf-8"))
    assert "<h1>tiny + LIR</h1>" in page and "fitted on demo#train" in page
