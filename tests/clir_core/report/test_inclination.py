"""The picture of the claims: its rows are the claims in their order, its colours are the signs of their sizes."""

import pytest
from matplotlib.colors import same_color
from matplotlib.lines import Line2D
from report_case import claim, result, side

from clir_core.audit.claim import Claim
from clir_core.report.charts import PAPER, QUIET
from clir_core.report.inclination import MOST, WINNERS, draw_inclination, inclination

CLAIMS = (
    claim("th", "english_inclination", side("th", 0.8), side("en", 0.3)),
    claim("de", "own_language_inclination", side("de", -0.5), side("en", 0.4)),
    claim("fr", "x_inclination", side("fr", 0.01, claimed=False), side("en", -0.2)),
    claim("hi", "cannot_retrieve", reason="found nothing"),
    claim("ar", "cannot_say", side("ar", 0.3, claimed=False), reason="3 are too few"),
    claim("zh", "none_found", side("zh", 0.0, claimed=False), side("en", -0.01, claimed=False)),
)


def marks(*claims: Claim) -> list[Line2D]:
    """The marks of the sides, in the order of drawing; the legend's have no data."""
    figure = draw_inclination(result(claims=claims))
    assert figure is not None
    lines = figure.axes[0].lines
    return [line for line in lines if line.get_marker() in ("o", "D") and len(line.get_xdata())]


def test_a_row_a_language_in_the_order_of_the_claims() -> None:
    chart = inclination(result(claims=CLAIMS))
    assert chart is not None and chart.note == "" and chart == inclination(result(claims=CLAIMS))
    names = ("Thai", "German", "French", "Hindi", "Arabic", "Chinese")
    places = [chart.svg.index(f">{name}</text>") for name in names]
    assert places == sorted(places)
    for word in ("severe", "clear", "cannot retrieve", "cannot say", "none found"):
        assert f">{word}</text>" in chart.svg
    assert "Thai: severe English inclination" in chart.svg[: chart.svg.index(">")]


def test_marks_stand_at_their_sizes_in_the_colour_of_who_wins() -> None:
    sides = [side for claim in CLAIMS for side in claim.sides]
    found = marks(*CLAIMS)
    assert [line.get_xdata()[0] for line in found] == [side.size for side in sides]
    assert [line.get_marker() for line in found] == ["D" if side.query_lang == "en" else "o" for side in sides]
    for line, one in zip(found, sides, strict=True):
        expected = QUIET if one.lean is None else WINNERS["en" if one.size > 0 else "x"]
        assert same_color(line.get_markeredgecolor(), expected)
        assert same_color(line.get_color(), PAPER if one.lean is None else expected)


def test_the_sides_of_the_axis_say_who_wins_in_the_same_colours() -> None:
    figure = draw_inclination(result(claims=CLAIMS))
    assert figure is not None
    ends = {
        text.get_text(): (text.get_ha(), text.get_color()) for text in figure.axes[0].texts if "wins" in text.get_text()
    }
    assert ends == {"← other language wins": ("right", WINNERS["x"]), "English wins →": ("left", WINNERS["en"])}


def test_the_page_s_colours_are_orange_for_english_and_blue_for_the_other() -> None:
    chart = inclination(result(claims=CLAIMS[:1]))
    assert chart is not None and ">← Thai wins</text>" in chart.svg
    marks_of_thai = chart.svg[chart.svg.index("patch_") :]
    assert "var(--line-1)" in marks_of_thai and "#0" not in marks_of_thai.replace('href="#', "")


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (MOST, MOST), (122, MOST)])
def test_of_many_languages_the_worst_are_shown_and_the_others_counted(count: int, rows: int) -> None:
    claims = [claim("de", "english_inclination", side("de", 0.9)) for _ in range(count)]
    claims[30:] = [claim("fr", "none_found", side("fr", 0.0, claimed=False)) for _ in claims[30:]]
    chart = inclination(result(claims=tuple(claims)))
    figure = draw_inclination(result(claims=tuple(claims)))
    assert chart is not None and figure is not None
    assert len(figure.axes[0].get_yticklabels()) == rows and figure.get_figheight() < 6
    others = "The first 24 of 122 languages, worst first. The others: 6 inclined, 92 no inclination found."
    assert chart.note == (others if count > MOST else "")


def test_nothing_is_drawn_of_a_result_of_before() -> None:
    assert inclination(result()) is None and draw_inclination(result()) is None
