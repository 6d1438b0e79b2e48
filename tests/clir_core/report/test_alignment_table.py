"""The short table of an alignment run: which figures, which languages, and how they stand in plain text."""

from alignment_case import FIGURES, UNTRAINED, alignment

from clir_core.measure.gate_spec import GateSpec
from clir_core.report.alignment_table import NOTE, as_markdown, as_text, columns, rows


def test_every_language_has_both_figures_of_both_sides() -> None:
    head, found = rows(alignment())
    assert head[1:] == ("multi complete@10, X query", "multi complete@10, en query", "mono acc@1")
    shown = {row[0].partition("(")[2][:2]: [cell.strip(" *") for cell in row[1:]] for row in found}
    assert set(shown) == set(FIGURES)
    for lang, (own, english, mono) in FIGURES.items():
        expected = [f"{before:.3f} → {after:.3f}" for before, after in filter(None, (own, english, mono))]
        assert [cell for cell in shown[lang] if cell != "—"] == expected


def test_english_comes_first_and_untrained_languages_last_and_named_so() -> None:
    labels = [row[0] for row in rows(alignment())[1]]
    assert labels[0] == "English (en)"
    assert [label for label in labels if "not trained" in label] == labels[-len(UNTRAINED) :]


def test_a_star_marks_what_is_beyond_chance_after_correction() -> None:
    result = alignment()
    starred = {row[0]: [cell.endswith("*") for cell in row[1:]] for row in rows(result)[1]}
    assert starred["Arabic (ar)"] == [True, True, True]
    assert starred["Greek (el, not trained)"] == [False] * 3


def test_the_columns_of_the_text_are_aligned() -> None:
    head, *body, blank, note = as_text(alignment()).split("\n")
    assert (blank, note) == ("", NOTE)
    assert all(title in head for title in rows(alignment())[0])
    assert len({at for line in body for at, char in enumerate(line) if char == "→"}) == 3


def test_markdown_has_a_row_a_language_and_no_bare_stars() -> None:
    lines = as_markdown(alignment()).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(FIGURES)
    assert {line.count("|") for line in table} == {5}
    assert "*" not in as_markdown(alignment()).replace("\\*", "")


def test_the_gate_chooses_the_figures() -> None:
    assert [column.group for column in columns(GateSpec(metric="mrr", scenario="distractor"))] == [
        *("distractor mrr", "mono acc@1"),
    ]
    assert [column.group for column in columns(GateSpec(metric="acc@1", scenario="mono"))] == ["mono acc@1"]
