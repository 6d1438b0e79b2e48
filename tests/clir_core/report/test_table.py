"""The main table prints the result's figures, aligned, and no figure that is not there."""

import pytest
from report_case import LANGS, metric, result

from clir_core.measure.figures import NONE, cutoff, interval, number
from clir_core.report.table import as_markdown, as_text, summary_rows


def test_one_row_a_language_english_first() -> None:
    head, rows = summary_rows(result())
    assert head[:2] == ("language", "mono: acc@1")
    assert [row[0] for row in rows] == ["English (en)", "German (de)", "Arabic (ar)"]
    assert {len(row) for row in rows} == {len(head)}


def test_cells_hold_the_result_s_values_with_their_intervals() -> None:
    head, rows = summary_rows(result())
    german = dict(zip(head, rows[1], strict=True))
    assert german == {
        "language": "German (de)",
        "mono: acc@1": "0.909 (0.898–0.921)",
        "cross, X to en: acc@1": "0.839 (0.828–0.851)",
        "multi, X query: complete@10": "0.019 (0.008–0.031)",
        "multi, X query: pull(x)": "+0.044 (+0.033 to +0.056)",
        "multi, X query: pull(en)": "−0.412 (−0.423 to −0.400, n 1)",
        "multi, en query: complete@10": "0.259 (0.248–0.271)",
        "distractor: inclination_rate": "0.071 (0.060–0.083)",
    }
    assert rows[0][2:] == (NONE,) * (len(head) - 2)


def test_columns_without_any_figure_are_left_out() -> None:
    head, rows = summary_rows(result(scenarios=("mono",)))
    assert head == ("language", "mono: acc@1")
    head, rows = summary_rows(result(langs=("en",), metrics=()))
    assert (head, rows) == (("language",), [("English (en)",)])


def test_another_cutoff_is_shown_where_10_was_not_asked_for() -> None:
    spec = result().spec.model_copy(update={"cutoffs": (5, 20)})
    shown = result(spec=spec, metrics=(metric("multi", "de", "de", "complete@5", 0.5),))
    assert cutoff(shown) == 5
    assert "multi, X query: complete@5" in summary_rows(shown)[0]


@pytest.mark.parametrize(
    ("name", "value", "printed"),
    [
        ("acc@1", 0.8974, "0.897"),
        ("max_at_r", 1234.56, "1,234.6"),
        ("rank_distance", 7.0, "7.0"),
        ("pull(x)", 0.0, "+0.000"),
        ("pull(en)", -0.0001, "+0.000"),
        ("language_gap(max_at_r)", -133.7, "−133.7"),
        ("mrc@10", float("nan"), NONE),
    ],
)
def test_numbers(name: str, value: float, printed: str) -> None:
    assert number(name, value) == printed


def test_an_interval_below_zero_is_not_written_with_a_dash() -> None:
    assert interval(metric("multi", None, "de", "mrc@10", 0.005)) == "−0.006 to 0.017"
    nowhere = metric("multi", None, "de", "mrc@10", 0.5).model_copy(update={"low": float("nan")})
    assert interval(nowhere) == ""


def test_text_is_aligned_and_fits_the_width() -> None:
    text = as_text(result(), width=100)
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert len(blocks) == 2
    assert max(len(line) for block in blocks for line in block) <= 100
    for block in blocks:
        head = next(line for line in block if line.startswith("language"))
        values = [line for line in block if line.startswith(("English", "German", "Arabic"))]
        assert len(values) == len(LANGS)
        # every figure ends where its metric's name ends
        ends = [i + 1 for i in range(len(head)) if head[i] != " " and (i + 1 == len(head) or head[i + 1] == " ")]
        for line in values:
            assert all(line[end - 1] != " " for end in ends[1:])
            assert all(line[end : end + 2].strip() == "" for end in ends[1:])


def test_text_repeats_no_figure() -> None:
    text = as_text(result(), width=60)
    assert text.count("−0.423 to −0.400, n 1") == 2  # German, Arabic
    assert as_text(result(langs=("en",), metrics=()), width=60) == "language\nEnglish (en)\n"


def test_markdown_has_a_rule_and_as_many_cells_in_every_row() -> None:
    lines = as_markdown(result()).splitlines()
    assert lines[1].startswith("| --- | ---: |")
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + len(LANGS)
