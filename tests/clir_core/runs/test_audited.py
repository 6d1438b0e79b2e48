"""A finished audit as an object: what is saved is what is loaded, shown and compared."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from clir_core import Audit, audit_vectors, compare_audits, load_audit, read_corpus
from clir_core.errors import SpecError, StoreError
from clir_core.measure.compare import compare_audits as compare_directories
from clir_core.workspace import layout


def audited(numbers: int, **asked: object) -> Audit:
    corpus = read_corpus("demo", ("de",))
    random = np.random.default_rng(numbers)
    documents, queries = (random.normal(size=(len(table), 8)) for table in (corpus.documents, corpus.queries))
    return audit_vectors("demo", languages=("de",), documents=documents, queries=queries, name=f"n{numbers}", **asked)


@pytest.fixture(scope="module")
def audit() -> Audit:
    return audited(0)


@pytest.fixture(scope="module")
def saved(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audit.save(tmp_path_factory.mktemp("saved") / "audit")


def test_the_files_are_those_of_the_command(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == set(layout.AUDIT_FILES)


def test_what_is_loaded_is_what_was_saved(audit: Audit, saved: Path, tmp_path: Path) -> None:
    again = load_audit(saved)
    assert again.result == audit.result and again.verdict == audit.verdict
    for name in ("metrics", "queries", "ranks", "top"):
        assert getattr(again, name).equals(getattr(audit, name))
    copied = load_audit(again.save(tmp_path / "copy"))
    assert copied.result == audit.result and copied.ranks.equals(audit.ranks)


def test_an_audit_says_its_name_and_its_headline(audit: Audit, saved: Path) -> None:
    assert repr(audit) == f"<Audit of {audit.result.name}: {audit.verdict[0]}>"
    silent = audit.result.model_copy(update={"verdict": ()})
    assert repr(Audit(silent, saved)) == f"<Audit of {silent.name}: no verdict>"


def test_a_place_without_an_audit_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path}/audit.json"):
        load_audit(tmp_path)


def test_two_audits_differ_by_what_their_directories_say(audit: Audit, saved: Path, tmp_path: Path) -> None:
    other = audited(1)
    found = compare_audits(audit, other)
    told = compare_directories(saved, other.save(tmp_path / "other")).differences
    assert found["difference"].to_list() == [row.difference for row in told]
    assert found["p_holm"].to_list() == [row.p_holm for row in told]
    assert found.schema["metric"] == pl.String and len(found) == len(told) > 100
    assert compare_audits(saved, audit)["difference"].abs().sum() == 0


def test_audits_of_other_questions_are_not_compared(audit: Audit) -> None:
    with pytest.raises(SpecError, match="seeds 0 and 1"):
        compare_audits(audit, audited(0, seed=1))


def test_pictures_are_figures_in_printable_colours(audit: Audit) -> None:
    for figure in (audit.plot_dose_response(), audit.plot_heat_map(), audit.plot_inclination()):
        assert isinstance(figure, Figure)
        figure.canvas.draw()
        texts = {text.get_text() for text in figure.findobj() if hasattr(text, "get_text")}
        assert "German" in texts
        lines = [artist.get_color() for axes in figure.axes for artist in axes.lines]
        assert not [colour for colour in lines if str(colour).startswith("#0") and str(colour).endswith("ff")]


def test_an_audit_of_before_claims_nothing_to_draw(audit: Audit, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="claims nothing"):
        Audit(audit.result.model_copy(update={"claims": ()}), tmp_path).plot_inclination()


def test_without_shares_there_is_no_curve() -> None:
    with pytest.raises(SpecError, match="without the scenario share"):
        audited(0, scenarios=("mono",)).plot_dose_response()
