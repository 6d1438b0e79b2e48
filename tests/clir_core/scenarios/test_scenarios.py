"""The list of scenarios, and that one more needs nothing but its object and its name in the list."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
import report_case
from brute_force import Answer, Case, Qrel, answer
from brute_force import Pool as Plain
from pools_case import asked, make_case, measure, parallel

from clir_core.audit.figure import by_key
from clir_core.audit.result import MetricRow
from clir_core.errors import SpecError
from clir_core.measure.gate import check
from clir_core.measure.gate_spec import GateSpec
from clir_core.measure.metrics import QUERY, metric_named, per_query, units
from clir_core.measure.stats import aggregate
from clir_core.rank.pools import describe
from clir_core.report.html import render_report
from clir_core.report.mteb import write_mteb
from clir_core.report.table import as_text, summary
from clir_core.scenarios import SCENARIOS, every_scenario, pools, scenario_named
from clir_core.scenarios.column import Column, of_pivot
from clir_core.scenarios.metric import Metric, standard
from clir_core.scenarios.pool import ALL, Pool
from clir_core.scenarios.scenario import Scenario

LANGS = ("en", "de", "hi")
# of the unrelated documents that outrank the English gold: how many more than half are X's
ABOVE = pl.col("outranking").sum()
LEAN = Metric("x_lean", pl.when(ABOVE > 0).then(0.5 - pl.col("outranking_pivot").sum() / ABOVE), "share", "0")


def mirror_pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    for lang in languages[1:]:
        yield Pool("mirror", pivot, lang, dict.fromkeys((pivot, lang), ALL), (pivot,), (pivot,))


MIRROR = Scenario(
    "mirror",
    title="pools with unrelated documents of another language",
    legend="{pivot} and unrelated X",
    pools=mirror_pools,
    metrics=lambda cutoffs, pivot: (*standard(cutoffs), LEAN),
    columns=lambda k, pivot: (of_pivot("mirror", LEAN, "mirrored", pivot),),
    heat_columns=lambda k, pivot: (of_pivot("mirror", LEAN, "mirrored", pivot),),
    can_gate=True,
    per_query="without X's versions of the query's golds",
    mteb_task="ClirMirrorRetrieval",
)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scenario]:
    """One more scenario: a module of its name, and the list."""
    module = ModuleType("clir_core.scenarios.mirror")
    module.SCENARIO = MIRROR  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("clir_core.scenarios.SCENARIOS", (*SCENARIOS, "mirror"))
    metric_named.cache_clear()
    yield MIRROR
    metric_named.cache_clear()


def case() -> Case:
    docs, queries = parallel(LANGS, 9), parallel(LANGS, 4, "q")
    return make_case(docs, queries, [Qrel(query.id, 1, query.group) for query in queries], seed=5)


def by_hand(case: Case) -> list[Answer]:
    """Each English query in the pool of English and of X's documents that are nothing to it."""

    def pool(x: str) -> Plain:
        return Plain("mirror", "en", x, ("en",), lambda doc, related: doc.lang in ("en", "" if related else x))

    return [answer(case, pool(x), query) for x in LANGS[1:] for query in case.asked if query.lang == "en"]


def audited(case: Case) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, tuple[MetricRow, ...]]:
    """Ranks, top lists, the queries' metrics and their means."""
    found = measure(case, scenarios=("multi", "mirror"))  # type: ignore[arg-type]
    table = per_query(found.ranks, found.top, asked(case), (3,))
    return found.ranks, found.top, table, tuple(aggregate(table, units((3,))))


def test_the_list_names_each_scenario_s_file() -> None:
    assert [scenario.name for scenario in every_scenario()] == list(SCENARIOS)
    assert {pool.scenario for pool in pools(SCENARIOS, LANGS)} == set(SCENARIOS)
    with pytest.raises(KeyError, match="mirror is no scenario"):
        scenario_named("mirror")


def test_every_column_shows_a_metric_of_its_scenario() -> None:
    for scenario in every_scenario():
        metrics = {metric.name: metric.better for metric in scenario.metrics((7,), "en")}
        for column in (*scenario.columns(7, "en"), *scenario.heat_columns(7, "en")):
            assert column.scenario == scenario.name
            assert metrics[column.metric] == column.better


def test_a_column_s_key_is_that_of_its_row() -> None:
    assert Column("", "multi", "x", "mrr", "higher").key("de") == ("multi", "de", "de", "mrr")
    assert Column("", "multi", "en", "mrr", "higher").key("de") == ("multi", "en", "de", "mrr")
    assert Column("", "multi", None, "gap", "0").key("de") == ("multi", None, "de", "gap")


def test_the_list_is_light() -> None:
    code = "import sys, clir_core.scenarios.label; print({'polars', 'numpy', 'pyarrow'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.usefixtures("mirror")
def test_one_more_scenario_is_ranked_and_measured() -> None:
    ranks, top, table, rows = audited(case())
    answers = by_hand(case())
    assert len(answers) == 8
    own = {(row["query_id"], row["lang"]): row for row in ranks.filter(scenario="mirror").to_dicts()}
    measured = {(row["query_id"], row["lang"]): row for row in table.filter(scenario="mirror").to_dicts()}
    assert len(own) == len(measured) == len(answers)
    leans = []
    for one in answers:
        (gold,) = one.golds
        key = (one.query.id, one.pool.lang)
        assert {name: own[key][name] for name in ("rank", "pool_size", "unrelated_en")} == {
            name: gold[name] for name in ("rank", "pool_size", "unrelated_en")
        }
        listed = top.filter(scenario="mirror", query_id=key[0], lang=key[1])["doc_id"].to_list()
        assert listed == [row["doc_id"] for row in one.listed[: len(listed)]] != []
        above = gold["outranking_en"] + gold[f"outranking_{key[1]}"]
        leans.append((key[1], 0.5 - gold["outranking_en"] / above if above else None))
        assert measured[key]["mrr"] == 1 / gold["rank"]
        assert measured[key]["x_lean"] == pytest.approx(leans[-1][1])
    figures = by_key(rows)
    for lang in LANGS[1:]:
        known = [lean for of, lean in leans if of == lang and lean is not None]
        assert figures["mirror", "en", lang, "x_lean"].value == pytest.approx(sum(known) / len(known))


@pytest.mark.usefixtures("mirror")
def test_one_more_scenario_is_in_tables_pages_and_files(tmp_path: Path) -> None:
    ranks, top, _, rows = audited(case())
    described = describe(measure(case(), scenarios=("mirror",)).plan)  # type: ignore[arg-type]
    made = report_case.result(langs=LANGS, metrics=rows, pools=described)
    spec = made.spec.model_copy(update={"scenarios": ("multi", "mirror"), "cutoffs": (3,)})
    made = made.model_copy(update={"spec": spec})
    (column,) = (column for column in summary(made).columns if column.scenario == "mirror")
    assert (column.group, column.metric, column.better) == ("mirrored", "x_lean", "0")
    value = by_key(rows)["mirror", "en", "de", "x_lean"].value
    assert f"{value:+.3f}".replace("-", "−") in as_text(made, 300)
    page = render_report(made, ranks, top, case().corpus())
    assert "<em>mirror</em> English and unrelated X." in page
    assert page.count(">mirrored</th>") == 2
    assert "without X&#39;s versions of the query&#39;s golds" in page
    assert any(path.name == "ClirMirrorRetrieval.json" for path in write_mteb(made, ranks, tmp_path))


@pytest.mark.usefixtures("mirror")
def test_one_more_scenario_can_be_gated_on() -> None:
    gate = GateSpec().model_copy(update={"scenario": "mirror"})
    check(gate)
    with pytest.raises(SpecError, match="x_lean cannot be the primary metric"):
        check(gate.model_copy(update={"metric": "x_lean"}))


def test_one_more_scenario_changes_nothing_for_the_others(request: pytest.FixtureRequest) -> None:
    def table() -> pl.DataFrame:
        found = measure(case())
        rows = per_query(found.ranks, found.top, asked(case()), (1, 3))
        return rows.select(column for column in rows.columns if column != "x_lean")

    names, before = list(units((1, 3))), table()
    request.getfixturevalue("mirror")
    assert [name for name in units((1, 3)) if name != "x_lean"] == names
    assert table().equals(before)


def test_metrics_are_in_one_order() -> None:
    assert list(units((5,))) == [
        *("max_at_r", "max_at_r_norm", "mrr", "acc@1", "complete@5", "ndcg@5", "recall@5"),
        *("inclination", "inclination_rate", "inclination_rate(neutral)", "pull(x)", "rank_distance", "pull(en)"),
        *("tlr@5", "lpr"),
        *("quadrant(right,query)", "quadrant(right,other)", "quadrant(wrong,query)", "quadrant(wrong,other)"),
        *("unrelated_first(en)", "unrelated_first(x)", "english_share@5"),
        *("language_gap(max_at_r)", "language_gap(max_at_r_norm)", "language_gap(mrr)", "language_gap(acc@1)"),
        *("language_gap(complete@5)", "language_gap(ndcg@5)", "language_gap(recall@5)", "mrc@5"),
    ]


def test_ranks_of_before_give_the_same_figures() -> None:
    found = measure(case())
    queries = asked(case())
    old = per_query(found.ranks.drop("share"), found.top, queries, (3,))
    assert old.equals(per_query(found.ranks, found.top, queries, (3,)))
    assert set(old.filter(pl.col("share").is_not_null())["scenario"]) == {f"share(0.{tenths})" for tenths in range(10)}
    assert old.select(QUERY).is_unique().all()
