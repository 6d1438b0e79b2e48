"""The alignment's page: complete, self-contained, honest about its training set, and deaf to what texts would run."""

import re
import shlex

import pytest
from alignment_case import FIGURES, HOSTILE, LANGS, TRAINED, UNTRAINED, alignment, audit, contamination, training
from markupsafe import escape
from pydantic_settings import BaseSettings, CliApp, CliSubCommand, SettingsConfigDict, get_subcommand
from report_case import Page
from report_case import result as audit_result

from clir_core.align.contamination import Contamination
from clir_core.align.result import AlignResult, Trained
from clir_core.align.spec import AlignSpec, LossSpec, OptimiserSpec
from clir_core.measure.figures import p_value, signed
from clir_core.measure.gate_spec import GateSpec
from clir_core.report.alignment import command, duration, render_alignment, sentences
from clir_core.report.alignment_charts import dose_changes, dumbbells
from clir_core.report.changes import changes, languages
from clir_core.report.training_charts import training_curves


@pytest.fixture(scope="module")
def page() -> str:
    return render_alignment(alignment(), audit(0), audit(1))


def rendered(**changed: object) -> str:
    return render_alignment(alignment(**changed), audit(0), audit(1))


def test_nothing_is_loaded_from_outside(page: str) -> None:
    for tag, attrs in Page(page).tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attrs.get(name) or "#").startswith("#")
        assert not [name for name in attrs if name.startswith("on")]
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]*)", page))


def test_a_badge_a_sentence_and_a_picture_come_first_and_all_else_folds(page: str) -> None:
    result = alignment()
    first, rest = sentences(result.decision.reason)
    assert f"{first} {rest}" == result.decision.reason and rest
    parts = ["✕</span> rejected</span>", f'<p class="lead">{escape(first)}</p>', "<svg", "<details>", escape(rest),
             escape(result.verdict[0]), "<table"]  # fmt: skip
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert page.count(str(escape(first))) == page.count(str(escape(rest))) == 1
    assert rendered(verdict=(*result.verdict, f"Rejected: {result.decision.reason}")).count(str(escape(rest))) == 1


def test_a_reason_s_first_sentence_ends_at_a_sentence_and_not_in_a_figure() -> None:
    assert sentences("A loses 0.083 of 1. B gains.") == ("A loses 0.083 of 1.", "B gains.")
    assert sentences("A loses more than 0.010: acc@1 0.884 to 0.801.") == (
        "A loses more than 0.010: acc@1 0.884 to 0.801.", "",
    )  # fmt: skip
    assert sentences("") == ("", "")


def test_the_headlines_of_both_audits_are_in_the_fold() -> None:
    before, after = (audit(at).model_copy(update={"verdict": (f"Headline {at}.",)}) for at in (0, 1))
    shown = render_alignment(alignment(), before, after)
    assert "The audit before: Headline 0." in shown and "The audit after: Headline 1." in shown


@pytest.mark.parametrize(("status", "sign"), [("promoted", "✓"), ("candidate", "?"), ("rejected", "✕")])
def test_the_decision_has_a_word_and_a_sign_beside_its_colour(status: str, sign: str) -> None:
    decision = alignment().decision.model_copy(update={"status": status})
    shown = rendered(decision=decision)
    assert f'<span class="badge {status}"><span aria-hidden="true">{sign}</span> {status}</span>' in shown
    assert f".badge.{status} {{ --hue" in shown


def test_every_figure_stands_in_the_tables(page: str) -> None:
    tables = page[page.index('id="tables"') : page.index('id="dose"')]
    for own, english, mono in FIGURES.values():
        for before, after in filter(None, (own, english, mono)):
            assert f"<td>{before:.3f}<small>" in tables and f"<td>{after:.3f}<small>" in tables
    # differences, their intervals and their p, with the signs of a printed page
    assert '<td class="gain">+0.905<small>+0.897 to +0.913</small></td><td class="p sure">&lt; 0.001</td>' in tables
    assert '<td class="fall">−0.083<small>−0.098 to −0.068</small></td><td class="p sure">&lt; 0.001</td>' in tables
    assert '<td class="even">−0.008<small>−0.027 to +0.011</small></td><td class="p">1.000</td>' in tables


def test_languages_say_whether_they_were_trained(page: str) -> None:
    assert languages(alignment(), audit(0)) == ("en", "ar", "de", "hi", "th", "zh", "el", "ru", "vi")
    tables = page[page.index('id="tables"') : page.index('id="dose"')]
    assert tables.count("560 triples") == 3 * len(TRAINED)
    assert tables.count("not trained</small>") == 3 * len(UNTRAINED)
    assert tables.count("in every triple") == 1  # English has no row in multi
    assert "not trained</text>" in re.sub(r"<!--.*?-->", "", page).replace("\n", "")


def test_a_difference_is_a_gain_only_beyond_chance_and_only_the_right_way() -> None:
    result = alignment(spec=alignment().spec.model_copy(update={"gate": GateSpec(metric="max_at_r")}))
    down = alignment().differences[2].model_copy(
        update={"scenario": "multi", "query_lang": "de", "lang": "de", "metric": "max_at_r", "difference": -3.0}
    )  # fmt: skip
    row = audit(0).metrics[0].model_copy(update={"scenario": "multi", "query_lang": "de", "metric": "max_at_r"})
    audits = [
        one.model_copy(update={"metrics": (row.model_copy(update={"lang": "de"}),)}) for one in (audit(0), audit(1))
    ]
    for p, difference, kind in ((0.01, -3.0, "gain"), (0.01, 3.0, "fall"), (0.2, -3.0, "even")):
        one = down.model_copy(update={"difference": difference, "p_holm": p})
        (table,) = changes(result.model_copy(update={"differences": (one,)}), *audits)
        # the gate's own metric has a table though it is none of the usual ones
        assert table.title == "What the gate asks for"
        assert table.rows[0][1][0].kind == kind


def test_the_dumbbells_show_both_sides_and_mono_with_the_gate_s_margin() -> None:
    tables = changes(alignment(), audit(0), audit(1))
    panels = dumbbells(tables, {"en", *TRAINED}, 0.01)
    assert [panel.title for panel in panels] == [
        "multi, X query: complete@10", "multi, en query: complete@10", "mono: acc@1",
    ]  # fmt: skip
    for panel in panels:
        assert ">Chinese</text>" in panel.svg and ">Russian</text>" in panel.svg
        assert "currentColor" in panel.svg and "var(--paper)" in panel.svg
        assert not re.findall(r"(?:fill|stroke): ?#(?:0{3,6}|f{3,6})\b", panel.svg)
    assert ">English</text>" in panels[2].svg
    # Arabic fell monolingually, and nothing did in the pools
    assert "var(--line-1)" in panels[2].svg and "var(--line-1)" not in panels[0].svg


def test_the_dose_response_has_a_panel_a_language_where_both_audits_have_it() -> None:
    panels, note = dose_changes(audit(0), audit(1))
    assert [panel.title for panel in panels] == [
        "Arabic", "German", "Greek", "Hindi", "Russian", "Thai", "Vietnamese", "Chinese",
    ]  # fmt: skip
    assert note == ""
    without = audit(1).model_copy(update={"metrics": tuple(r for r in audit(1).metrics if "share" not in r.scenario)})
    assert dose_changes(audit(0), without) == ((), "")
    assert 'id="dose"' not in render_alignment(alignment(), audit(0), without)


def test_the_curves_mark_the_best_step_and_show_every_part(page: str) -> None:
    panels = training_curves(training())
    assert [panel.title for panel in panels] == [
        "held-out max_at_r_norm, percent", "held-out mono acc@1", "loss, weighted sum", "distill_passages, unweighted",
        "distill_queries, unweighted", "info_nce, unweighted", "gradient before clipping", "learning rate",
    ]  # fmt: skip
    for panel in panels[:2]:
        assert ">best, step 66</text>" in panel.svg
    assert "kept is the checkpoint of step 66" in page


@pytest.mark.parametrize(
    "changed", [{"steps": (), "evaluations": ()}, {"evaluations": ()}, {"steps": training().steps[:1]}]
)
def test_a_training_without_some_curves(changed: dict[str, object]) -> None:
    trained: Trained = training().model_copy(update=changed)
    shown = rendered(trained=trained)
    Page(shown)
    assert ("No weight of the base was moved." in shown) == (not training_curves(trained))


def test_what_was_trained_on_and_how(page: str) -> None:
    for printed in ("2,800 triples of xquad:/data/xquad#train", "held out", "27 min 4 s in training steps",
                    "2 min 21 s around them", "distill_passages", "1e-05", "torch 2.13.0", "de" * 32, "5f" * 32,
                    "audit after done before", "train 1,765.2 s", "68e8f58"):  # fmt: skip
        assert printed.lower() in page.lower()
    assert "No query of xquad:/data/xquad#test, and no passage that answers one" in page
    assert "Trained on part of the test" not in page


def test_allowed_contamination_is_said_at_the_top_and_listed() -> None:
    shown = rendered(contamination=contamination())
    assert shown.index("Trained on part of the test") < shown.index("<table")
    listed = shown[shown.index('id="contamination"') :]
    for printed in ("q-56be4db0", "answered by p-12", "q_en, q_x", "Which NFL team", "160 groups of passages", "p-159"):
        assert printed in listed


def test_texts_are_escaped() -> None:
    changed = contamination(HOSTILE)
    hostile = changed.model_copy(update={"pool_only": (HOSTILE,)})
    shown = rendered(contamination=hostile, verdict=(HOSTILE, HOSTILE))
    assert HOSTILE not in shown and "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert not [tag for tag, _ in Page(shown).tags if tag in {"script", "img"}]


def test_the_page_can_be_read_aloud(page: str) -> None:
    tags = Page(page).tags
    assert all("scope" in attrs for tag, attrs in tags if tag == "th")
    assert all(attrs.get("aria-label") for tag, attrs in tags if tag == "svg")
    identifiers = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))  # a dozen charts, and none points into another
    used = {attrs["aria-labelledby"] for _, attrs in tags if "aria-labelledby" in attrs}
    used |= set(re.findall(r'(?:href="#|url\(#)([^")]+)', page))
    assert used <= set(identifiers)


class Align(AlignSpec):
    """As the console command has it."""


class Clir(BaseSettings):
    """As in flows/cli.py."""

    model_config = SettingsConfigDict(cli_prog_name="clir", cli_kebab_case=True, cli_avoid_json=True)
    align: CliSubCommand[Align]


@pytest.mark.parametrize(
    "spec",
    [
        AlignSpec(),
        alignment().spec,
        AlignSpec(
            base="/models/my own", loss=LossSpec.preset("clear"), allow_contamination=("a,b", "c d", "it's"), workers=2,
            optimiser=OptimiserSpec(batch=64, micro_batch=16, learning_rate=3e-5, merge=0.25),
            gate=GateSpec(metric="max_at_r_norm", languages=("de",), margin=0.0), seed=3,
        ),
        AlignSpec(loss=LossSpec(info_nce=0.5, normalize=False)),
        AlignSpec(adapter="lora"),
        AlignSpec(adapter={"rank": 8, "layers": ["q_proj", "v_proj"]}),
    ],
    ids=["defaults", "case", "everything", "own loss", "adapter", "own adapter"],
)  # fmt: skip
def test_the_command_asks_for_the_same_again(spec: AlignSpec) -> None:
    program, *arguments = shlex.split(command(spec))
    assert program == "clir"
    asked = get_subcommand(CliApp.run(Clir, cli_args=arguments))
    assert AlignSpec(**asked.model_dump()).identity() == spec.identity()


def test_the_checkpoint_can_be_loaded_by_what_the_page_says(page: str) -> None:
    assert "SentenceTransformer(&#34;/data/.clir/checkpoints/align-3f2a9c41d07b/checkpoint&#34;)" in page


def test_audits_without_the_figures_of_the_page() -> None:
    bare = audit_result(metrics=(), pools=(), skipped=())
    result: AlignResult = alignment(differences=(), contamination=Contamination(found=(), pool_only=()))
    shown = render_alignment(result, bare, bare)
    Page(shown)
    assert "Nothing to draw" in shown and "hold none of the figures" in shown


def test_numbers_for_people() -> None:
    assert [signed("acc@1", value) for value in (0.1234, -0.1234, 0.0004, -0.0004)] == [
        "+0.123", "−0.123", "0.000", "0.000",
    ]  # fmt: skip
    assert signed("max_at_r_norm", -12.34) == "−12.3" and signed("language_gap(acc@1)", 0.25) == "+0.250"
    assert [p_value(p) for p in (0.0004, 0.0312, 1.0)] == ["< 0.001", "0.031", "1.000"]
    assert [duration(taken) for taken in (3.21, 61, 7262)] == ["3.2 s", "1 min 1 s", "2 h 1 min"]


def test_all_differences_are_there(page: str) -> None:
    everything = page[page.index('id="all"') : page.index('id="provenance"')]
    assert everything.count("<tr><td") == len(alignment().differences)
    assert all(f'<span class="code">{lang}</span>' in page for lang in LANGS)
