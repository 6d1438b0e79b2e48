"""The bundled model on XQuAD, against figures of an independent reference: all 1,190 questions, 240 paragraphs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.model.checkpoint import BUNDLED

# per language X: mono acc@1; X query in the English pool, acc@1; multi: mean max_at_r and complete@10, X then en query
REFERENCE = {
    "zh": (0.897, 0.685, 186.9, 0.019, 53.2, 0.259),
    "de": (0.909, 0.839, 16.0, 0.751, 8.9, 0.855),
    "th": (0.879, 0.734, 48.3, 0.373, 22.1, 0.594),
}
ENGLISH_MONO = 0.931


@pytest.fixture(scope="module")
def audit(
    bundled_checkpoint: Path, xquad_dir: Path, run_flow: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], AuditResult]:
    """Audit the bundled model on XQuAD in one language, English's vectors kept between."""
    workspace = tmp_path_factory.mktemp("xquad")
    (workspace / "models").symlink_to(bundled_checkpoint.parent.resolve(), target_is_directory=True)

    def audit(lang: str) -> AuditResult:
        spec = AuditSpec(
            model=BUNDLED,
            corpus=f"xquad:{xquad_dir}",
            languages=(lang,),
            workspace=workspace,
            out=workspace / lang,
        )
        state = run_flow(spec)
        assert state.is_completed(), state.message
        return AuditResult.model_validate_json((workspace / lang / "audit.json").read_text("utf-8"))

    return audit


def check(result: AuditResult, lang: str) -> None:
    """Rates within 0.005, mean ranks within 1 %, over all the questions."""
    figures = {(row.scenario, row.query_lang, row.lang, row.metric): row for row in result.metrics}
    names = [
        ("mono", lang, lang, "acc@1"),
        ("cross", lang, lang, "acc@1"),
        ("multi", lang, lang, "max_at_r"),
        ("multi", lang, lang, "complete@10"),
        ("multi", "en", lang, "max_at_r"),
        ("multi", "en", lang, "complete@10"),
    ]
    found = {name: figures[name].value for name in names}
    assert {figures[name].n for name in names} == {1190}
    for (name, value), expected in zip(found.items(), REFERENCE[lang], strict=True):
        tolerance = {"rel": 0.01} if name[-1] == "max_at_r" else {"abs": 0.005}
        assert value == pytest.approx(expected, **tolerance), found
    assert figures["mono", "en", "en", "acc@1"].value == pytest.approx(ENGLISH_MONO, abs=0.005)
    assert result.skipped == ()
    sizes = {pool.scenario: pool.sizes for pool in result.pools if pool.query_lang == lang}
    assert sizes["multi"] == {"en": 240, lang: 240}


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["zh", "de", "th"])
def test_every_figure_is_the_references(audit, lang):
    check(audit(lang), lang)
