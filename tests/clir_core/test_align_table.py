"""The short table of an alignment run: which figures, which languages, and how they stand in plain text."""

from alignment_case import FIGURES, UNTRAINED, alignment

from clir_core.align.spec import GateSpec
from clir_core.align.table import NOTE, as_markdown, as_text, figures, rows


def test_every_language_has_both_figures_of_both_sides() -> None:
    head, found = rows(alignment())
    assert head[1:] == tuple(
        f"{title}: {when}"
        for title in ("multi complete@10, X query", "multi complete@10, en query", "mono acc@1")
        for when in ("before", "after")
    )
    shown = {row[0].partition("(")[2][:2]: [cell.strip(" *") for cell in row[1:]] for row in found}
    assert set(shown) == set(FIGURES)
    for lang, (own, english, mono) in FIGURES.items():
        expected = [f"{value:.3f}" for side in (own or ("", ""), english or ("", ""), mono) for value in side if value]
        assert [cell for cell in shown[lang] if cell != "—"] == expected


def test_english_comes_first_and_untrained_languages_last_and_named_so() -> None:
    labels = [row[0] for row in rows(alignment())[1]]
    assert labels[0] == "English (en)"
    assert [label for label in labels if "not trained" in label] == labels[-len(UNTRAINED) :]


def test_a_star_marks_what_is_beyond_chance_after_correction() -> None:
    result = alignment()
    starred = {row[0]: [cell.endswith("*") for cell in row[1:]] for row in rows(result)[1]}
    assert starred["Arabic (ar)"] == [False, True, False, True, False, True]
    assert starred["Greek (el, not trained)"] == [False] * 6


def test_the_columns_of_the_text_are_aligned() -> None:
    *table, blank, note = as_text(alignment()).split("\n")
    assert (blank, note) == ("", NOTE)
    titles, head, *body = table
    for end in (head.index("before") + 6, head.rindex("before") + 6):
        assert all(line[end - 1] in "0123456789—" and line[end : end + 1] in " " for line in body)
    # a title ends where its two columns do, but for the place of a star
    assert len(titles) - len(head) in (0, 1)


def test_markdown_has_a_row_a_language_and_no_bare_stars() -> None:
    lines = as_markdown(alignment()).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(FIGURES)
    assert {line.count("|") for line in table} == {8}
    assert "*" not in as_markdown(alignment()).replace("\\*", "")


def test_the_gate_chooses_the_figures() -> None:
    assert [figure.title for figure in figures(GateSpec(metric="mrr", scenario="distractor"))] == [
        *("distractor mrr", "mono acc@1"),
    ]
    assert [figure.title for figure in figures(GateSpec(metric="acc@1", scenario="mono"))] == ["mono acc@1"]
