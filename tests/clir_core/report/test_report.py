"""The report page: complete, self-contained, and deaf to what documents would like to run."""

import re
from itertools import product
from string import ascii_lowercase

import pytest
from report_case import (
    HOSTILE,
    LANGS,
    QUESTIONS,
    Page,
    claim,
    corpus,
    metric,
    ranks,
    result,
    side,
    topk,
)

from clir_core.audit.claim import Claim
from clir_core.audit.result import Fitted
from clir_core.corpus.lang import is_language
from clir_core.report.charts import dose_response, spread
from clir_core.report.heatmap import columns, heat_cell, heat_map
from clir_core.report.html import absent, breakable, render_report, short_name
from clir_core.report.worst import direction, pick, snippet, worst_queries

CLAIMS = (
    claim("ar", "english_inclination", side("ar", 0.62), side("en", 0.2)),
    claim("de", "none_found", side("de", 0.02, claimed=False)),
)


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(result(claims=CLAIMS), ranks(), topk(), corpus())


def first_screen(page: str) -> str:
    return page[page.index('<section class="first"') : page.index('<section aria-labelledby="said"')]


def rendered(*claims: Claim, **changes: object) -> str:
    return render_report(result(claims=claims, **changes), ranks(), topk(), corpus())


def test_nothing_is_loaded_from_outside(page: str) -> None:
    for tag, attrs in Page(page).tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attrs.get(name) or "#").startswith("#")
        assert not [name for name in attrs if name.startswith("on")]
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]*)", page))


def test_texts_of_the_corpus_are_escaped() -> None:
    page = render_report(result(claims=CLAIMS, verdict=(HOSTILE, HOSTILE)), ranks(), topk(), corpus(hostile=True))
    assert HOSTILE not in page and "&lt;script" in first_screen(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not [tag for tag, _ in Page(page).tags if tag in {"script", "img"}]


def test_the_verdict_comes_before_every_figure(page: str) -> None:
    assert page.index("The model favours nobody.") < page.index("German queries: fine.") < page.index("<table")


def test_the_first_screen_is_a_badge_a_sentence_a_picture_and_a_failure(page: str) -> None:
    first = first_screen(page)
    parts = ['<span class="badge english_inclination">severe English inclination</span>', "in 1 of 2 languages",
             "The model favours nobody.", "<svg", '<figure class="failure">']  # fmt: skip
    places = [first.index(part) for part in parts]
    assert places == sorted(places) and first.count("<svg") == 1 and first.count('<p class="lead">') == 1
    assert "German queries: fine." not in first and page.index("<details>") < page.index("German queries: fine.")


def test_the_failure_is_the_worst_language_s_and_shows_who_won() -> None:
    first = first_screen(rendered(*CLAIMS))
    assert "query in Arabic, documents in English and Arabic" in first and QUESTIONS["ar"] in first
    assert '<li class="pivot"><b>rank 3</b> unrelated, English' in first
    assert '<li class="relevant"><b>rank 4</b> of 4, relevant, English' in first
    # the other side tells more: German documents win from English queries
    first = first_screen(rendered(claim("de", "x_inclination", side("de", -0.1), side("en", -0.6))))
    assert "query in English, documents in English and German" in first and QUESTIONS["de"] not in first
    assert '<li class="other"><b>rank 2</b> unrelated, German' in first


def test_no_failure_where_no_query_failed() -> None:
    page = render_report(result(claims=CLAIMS), ranks(last=2), topk(), corpus())
    Page(page)
    assert '<figure class="failure">' not in page and "<svg" in first_screen(page)


def test_a_result_of_before_has_its_sentence_and_no_picture() -> None:
    page = rendered()
    Page(page)
    first = first_screen(page)
    assert "The model favours nobody." in first
    assert "<svg" not in first and "badge" not in first and "failure" not in first
    assert "German queries: fine." in page


@pytest.mark.parametrize(
    ("said", "badge"),
    [
        (claim("de", "cannot_say", side("de", 0.3, claimed=False), reason="3 are too few"), "cannot say"),
        (claim("de", "cannot_retrieve", reason="found nothing"), "cannot retrieve"),
        (claim("de", "none_found", side("de", 0.0, claimed=False)), "no inclination found"),
        (claim("de", "x_inclination", side("de", -0.2), side("en", -0.2)), "clear German inclination"),
        (claim("de", "own_language_inclination", side("de", -0.09)), "slight own-language inclination"),
    ],
)
def test_the_badge_says_the_worst_claim(said: Claim, badge: str) -> None:
    page = rendered(said)
    Page(page)
    assert f'<span class="badge {said.claim}">{badge}</span> <span class="extent"></span>' in page
    assert f".badge.{said.claim}" in page or badge.startswith("cannot")  # those have the badge's own colour


def test_many_languages_fit_the_first_screen() -> None:
    langs = [code for code in map("".join, product(ascii_lowercase, repeat=2)) if is_language(code) and code != "en"][
        :122
    ]
    page = rendered(*(claim(lang, "english_inclination", side(lang, 0.9 - at / 300)) for at, lang in enumerate(langs)))
    Page(page)
    first = first_screen(page)
    assert "in all 122 languages" in first and "The first 24 of 122 languages" in first


def test_values_are_printed_as_given(page: str) -> None:
    for printed in ("0.931", "0.839", "186.9", "1,053.2", "−0.412", "−0.423 to −0.400", "0.071", "0.060–0.083"):
        assert printed in page
    assert page.count("<small>n 1</small>") == 4  # the pull's own n, where it is not the row's


def test_every_figure_pool_and_skip_is_there(page: str) -> None:
    everything = page[page.index('id="all"') :]
    assert everything.count('<td class="left">') == 4 * len(result().metrics) + 6 * len(result().pools)
    for printed in ("no gold in German", "de-q9", "2 en, 2 de", "13 unrelated", "238 within", "46 relevant",
                    "rank done before", "embed 2.5 s", "version 3", "polars 2.1.0", "ab" * 32, "cd" * 32):  # fmt: skip
        assert printed in everything


def test_a_correction_stands_in_the_title_and_where_it_was_fitted() -> None:
    plain = result()
    read = plain.provenance.documents_table.model_copy(update={"table": "documents-2"})
    fitted = Fitted(corpus="xquad:/data/xquad#train", corpus_fingerprint="01" * 32, documents_table=read)
    spec = plain.spec.model_copy(update={"correction": "lir"})
    corrected = result(spec=spec, provenance=plain.provenance.model_copy(update={"fitted": fitted}))
    page = render_report(corrected, ranks(), topk(), corpus())
    assert "<h1>multilingual-e5-small-q4 + LIR</h1>" in page
    for printed in ("xquad:/data/xquad#train", "01" * 32, "documents-2"):
        assert printed in page[page.index('id="provenance"') :]


def test_the_page_says_what_intervals_rest_on(page: str) -> None:
    assert "<dt>intervals</dt>" not in page  # results of before had no clusters
    figure = metric("mono", "de", "de", "acc@1", 0.9, n=72).model_copy(update={"clusters": 24})
    shown = render_report(result(metrics=(figure,)), ranks(), topk(), corpus())
    assert "<dt>intervals</dt><dd>95 %, over clusters of queries: passage</dd>" in shown
    assert 'title="95 % interval 0.889–0.912, n = 72, 24 clusters"' in shown
    assert "<td>72</td><td>24</td>" in shown


def test_right_to_left_texts_say_so(page: str) -> None:
    passages = [attrs for _, attrs in Page(page).tags if attrs.get("class") == "passage"]
    assert {(attrs["lang"], attrs["dir"]) for attrs in passages} == {("en", "ltr"), ("de", "ltr"), ("ar", "rtl")}
    assert f'<span lang="ar" dir="rtl" class="passage">{QUESTIONS["ar"]}</span>' in page


@pytest.mark.parametrize(
    ("lang", "way"), [("he", "rtl"), ("ur", "rtl"), ("az", "ltr"), ("zh-Hant", "ltr"), ("az-Arab", "rtl")]
)
def test_direction(lang: str, way: str) -> None:
    assert direction(lang) == way


def test_tables_can_be_read_aloud(page: str) -> None:
    tags = Page(page).tags
    assert all("scope" in attrs for tag, attrs in tags if tag == "th")
    assert all(attrs.get("aria-label") for tag, attrs in tags if tag == "svg")
    identifiers = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    labels = {attrs["aria-labelledby"] for _, attrs in tags if "aria-labelledby" in attrs}
    assert labels <= set(identifiers)


def test_scenarios_that_were_not_asked_for_are_left_out_with_the_reason() -> None:
    shown = render_report(result(scenarios=("mono",)), ranks().clear(), topk().clear(), corpus())
    Page(shown)
    for reason in ("cross, multi, distractor", "share", "multi"):
        assert f"Not asked for in this audit: {reason}." in shown
    assert "max_at_r" not in shown


def test_english_alone_and_no_figures_at_all() -> None:
    alone = result(langs=("en",), verdict=(), metrics=(metric("mono", "en", "en", "acc@1", 0.9),))
    shown = render_report(alone, ranks().clear(), topk().clear(), corpus())
    assert "No verdict" in shown and "no language beside English" in shown
    empty = result(metrics=(), pools=(), skipped=(), verdict=())
    shown = render_report(empty, ranks().clear(), topk().clear(), corpus())
    assert "No figure to show." in shown and "What was skipped" in shown


def test_absent_tells_not_asked_from_not_possible() -> None:
    assert absent(result(), ("mono", "multi")) == []
    assert absent(result(metrics=()), ("multi",)) == [
        "No query could be ranked in multi; the reasons are under “What was skipped”."
    ]


def test_no_worst_query_where_every_gold_is_on_top() -> None:
    shown = render_report(result(), ranks(last=2), topk(), corpus())
    assert "every gold of every query is on top" in shown


def test_the_worst_queries_take_the_languages_in_turn() -> None:
    multi = ranks().with_columns(rank=ranks()["rank"] + 100 * (ranks()["lang"] == "ar").cast(int))
    chosen = pick(multi, 4)
    assert chosen["lang"].to_list() == ["ar", "de", "ar", "de"]
    assert chosen["max_rank"].to_list() == [104, 4, 104, 4]


def test_a_worst_query_says_what_is_above_its_golds() -> None:
    query = next(q for q in worst_queries(ranks(), topk(), corpus()) if q.query.lang == "ar")
    assert (query.query.text, query.version) == (QUESTIONS["ar"], QUESTIONS["en"])
    assert [(gold.rank, gold.above) for gold in query.golds] == [(1, ""), (4, "1 English, 1 Arabic")]
    assert [(hit.position, hit.passage.lang, hit.relation) for hit in query.hits] == [
        (1, "ar", "gold"), (2, "ar", "unrelated"), (3, "en", "unrelated"),
    ]  # fmt: skip


def test_snippets_are_one_short_line() -> None:
    assert snippet("a\n b\t c") == "a b c"
    assert snippet("x" * 500, 10) == "x" * 9 + "…"


def test_colours_get_stronger_as_figures_get_worse() -> None:
    by_name = {(column.group, column.metric): column for column in columns(10, "en")}
    strengths = {
        value: heat_cell(by_name["mono", "acc@1"], metric("mono", "de", "de", "acc@1", value)).strength
        for value in (0.0, 0.5, 1.0)
    }
    assert strengths == {0.0: 100, 0.5: 50, 1.0: 0}
    pull = by_name["multi, X query", "pull(en)"]
    assert heat_cell(pull, metric("multi", "de", "de", "pull(en)", -0.9)).strength == 100
    assert heat_cell(pull, metric("multi", "de", "de", "pull(en)", -0.1)).hue == "other"
    assert heat_cell(pull, metric("multi", "de", "de", "pull(en)", 0.1)).hue == "pivot"
    # the query's language comes first: X for X queries, English for English ones
    assert heat_cell(by_name["multi, X query", "lpr"], metric("multi", "de", "de", "lpr", 0.9)).hue == "other"
    assert heat_cell(by_name["multi, en query", "lpr"], metric("multi", "en", "de", "lpr", 0.9)).hue == "pivot"
    assert heat_cell(pull, None).hue == "none"


def test_the_heat_map_s_colours_are_those_of_the_claims_on_both_query_sides() -> None:
    by_name = {(column.group, column.metric): column for column in columns(10, "en")}
    for group, query in (("multi, X query", "de"), ("multi, en query", "en")):
        column = by_name[group, "inclination"]
        assert heat_cell(column, metric("multi", query, "de", "inclination", 0.4)).hue == "pivot"
        assert heat_cell(column, metric("multi", query, "de", "inclination", -0.4)).hue == "other"


def test_a_figure_of_fewer_queries_says_of_how_many() -> None:
    heat = heat_map(result())
    at = [column.metric for column in heat.columns].index("pull(en)")
    assert {lang: cells[at].fewer for lang, cells in heat.rows} == {"en": None, "de": 1, "ar": 1}
    assert {cell.fewer for _, cells in heat.rows for place, cell in enumerate(cells) if place != at} == {None}


def test_the_heat_map_leaves_empty_columns_out() -> None:
    assert [column.metric for column in heat_map(result(scenarios=("mono",))).columns] == ["acc@1"]


def test_the_chart_names_every_line_and_follows_the_page_s_colours() -> None:
    chart = dose_response(result())
    assert chart is not None and chart == dose_response(result())
    assert ">German</text>" in chart.svg and ">Arabic</text>" in chart.svg
    assert "currentColor" in chart.svg and "var(--line-0)" in chart.svg
    # nothing that is black or white in one of the two modes
    assert not re.findall(r"(?:fill|stroke): ?#(?:0{3,6}|f{3,6})\b", chart.svg)
    assert dose_response(result(scenarios=("mono",))) is None


def test_of_many_languages_the_chart_shows_those_that_change_most() -> None:
    langs = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "et", "lv", "lt", "pl", "cs", "sk", "hu",
             "ro", "bg", "el", "tr", "ru", "uk", "sr", "hr", "sl")  # fmt: skip
    rows = [
        metric(f"share({p}.0)", lang, lang, "acc@1", 0.9 - p * at / 100)
        for at, lang in enumerate(langs[1:])
        for p in (0, 1)
    ]
    chart = dose_response(result(langs=langs, metrics=rows))
    assert chart is not None and chart.note.endswith("Of 26 languages these are the 24 that change most.")
    assert ">German</text>" not in chart.svg and ">French</text>" not in chart.svg and ">Slovenian</text>" in chart.svg


def test_labels_keep_their_distance_and_stay_near() -> None:
    assert spread([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    places = spread([0.52, 0.1, 0.5, 0.55], 0.04)
    assert places[1] == 0.1
    assert sorted(places[i] for i in (0, 2, 3)) == pytest.approx([places[2], places[2] + 0.04, places[2] + 0.08])


def test_names_for_people() -> None:
    assert short_name("bundled:multilingual-e5-small-q4") == "multilingual-e5-small-q4"
    assert short_name("hf:intfloat/multilingual-e5-base@v1") == "intfloat/multilingual-e5-base@v1"
    assert short_name("/models/mine/") == "mine"
    assert short_name("xquad:/data/xquad") == "xquad"
    assert short_name("demo") == "demo"
    assert breakable("inclination_rate") == "inclination_<wbr>rate"
    assert breakable("max_at_r") == "max_at_r"
    assert breakable("language_gap(<k>)") == "language_gap<wbr>(&lt;k&gt;)"


def test_all_languages_are_in_the_page(page: str) -> None:
    assert all(f'<span class="code">{lang}</span>' in page for lang in LANGS)
