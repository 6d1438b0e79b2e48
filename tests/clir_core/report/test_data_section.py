"""The report's section on the data: what was found has a column, and an older result says that it has none."""

from report_case import Page, corpus, ranks, result, topk

from clir_core.audit.data_counts import count_facts
from clir_core.audit.data_facts import Cuts
from clir_core.audit.result import AuditResult
from clir_core.report.data_facts import data_section
from clir_core.report.html import render_report


def with_facts(cut: Cuts) -> AuditResult:
    made = result()
    return made.model_copy(update={"facts": count_facts(corpus(), made.pools, 10, cut)})


def section(made: AuditResult) -> str:
    page = render_report(made, ranks(), topk(), corpus())
    Page(page)
    start = page.index('aria-labelledby="data"')
    return page[start : page.index("</section>", start)]


def test_the_section_has_a_row_a_language_and_the_sentences() -> None:
    # the case has the same text in both groups of a language, and pools of four documents
    shown = section(with_facts(Cuts(documents=dict.fromkeys(("en", "de", "ar"), 1))))
    assert shown.count('<th scope="row">') == 3
    for printed in ("repeat", "longer than the checkpoint reads", "cutoff 10", "multi (de)", "50.0 %", "not known"):
        assert printed in shown
    assert "untranslated" not in shown and "mislabelled" not in shown


def test_where_all_is_known_nothing_is_called_unknown() -> None:
    known = dict.fromkeys(("en", "de", "ar"), 0)
    found = data_section(with_facts(Cuts(documents=known, queries=known)).facts)
    assert found is not None and not found.unknown
    assert found.groups == [("Documents", 2), ("Queries", 2), ("Pool with English", 1)]
    assert found.rows[1] == ("ar", ("2", "1", "2", "1", "50.0 %"))


def test_an_older_result_opens_and_says_that_it_has_no_facts() -> None:
    older = AuditResult.model_validate_json(result().model_dump_json(exclude={"facts"}))
    assert older.facts is None
    assert "does not say what its data are like" in section(older)
