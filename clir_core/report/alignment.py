"""The page of an alignment run: what was gained and what it cost, and everything that it rests on, in one HTML file.

Texts of the corpus are untrusted: they reach the page through Jinja's autoescape and never as Markup.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel

from clir_core.align.result import AlignResult
from clir_core.align.spec import LORA, AdapterSpec, AlignSpec, LossSpec, OptimiserSpec
from clir_core.audit.result import AuditResult
from clir_core.measure.figures import p_value, signed
from clir_core.report.alignment_charts import dose_changes, dumbbells
from clir_core.report.changes import changes, is_trained, languages
from clir_core.report.html import HERE, environment, seconds, short_name
from clir_core.report.training_charts import training_curves

STATUS = {"promoted": "✓", "candidate": "?", "rejected": "✕"}
# where a run happens, not what it is
PLACES = {"runtime", "workspace", "out"}
Setting = tuple[str, str, str]


def render_alignment(result: AlignResult, before: AuditResult, after: AuditResult) -> str:
    """The whole page; `before` and `after` are the audits that the result names."""
    tables = changes(result, before, after)
    trained = {lang for lang in before.languages if is_trained(result, lang)}
    doses, dose_note = dose_changes(before, after)
    first, rest = sentences(result.decision.reason)
    page = environment()
    page.globals.update(signed=signed, p_value=p_value, status_sign=STATUS)
    return page.get_template("alignment.html.j2").render(
        result=result,
        css=Markup("".join((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "alignment.css"))),
        base=short_name(result.spec.base),
        train=short_name(result.spec.train),
        evaluation=short_name(result.spec.evaluation),
        languages=languages(result, before),
        trained=trained,
        first_reason=first,
        other_reasons=rest,
        # the decision stands by itself, with the same reason
        told=[sentence for sentence in result.verdict if result.decision.reason not in sentence],
        audits=[(when, audit.verdict[0]) for when, audit in (("before", before), ("after", after)) if audit.verdict],
        tables=tables,
        dumbbells=dumbbells(tables, trained, result.spec.gate.margin),
        doses=doses,
        dose_note=dose_note,
        curves=training_curves(result.trained),
        kept_without=next((e for e in result.trained.evaluations if e.step == result.trained.best_step), None),
        loss=_loss(result.spec.loss),
        optimiser=_settings(result.spec.optimiser),
        duration=duration,
        checkpoint=json.dumps(str(result.trained.checkpoint), ensure_ascii=False),
        audit_command=shlex.join(
            ["clir", "audit", "--model", str(result.trained.checkpoint), "--corpus", result.spec.evaluation]
        ),
        command=command(result.spec),
        provenance=_provenance(result, before, after),
    )  # fmt: skip


def command(spec: AlignSpec) -> str:
    """The command line that asks for the same again: all that is not a default."""
    return shlex.join(["clir", "align", *_flags(spec, "")])


def sentences(reason: str) -> tuple[str, str]:
    """A decision's first sentence, which the page opens with, and the others."""
    first, *rest = re.split(r"(?<=\.)\s+(?=[^\W\d_])", reason, maxsplit=1)
    return first, "".join(rest)


def duration(taken: float) -> str:
    """'27 min 4 s' for a person."""
    if taken < 60:
        return f"{taken:.1f} s"
    hours, rest = divmod(round(taken), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def _flags(spec: BaseModel, above: str) -> Iterator[str]:
    for name, field in type(spec).model_fields.items():
        value, default = getattr(spec, name), field.get_default(call_default_factory=True)
        if (not above and name in PLACES) or value == default:
            continue
        flag = f"{above}{name.replace('_', '-')}"
        if isinstance(value, LossSpec):
            yield from (f"--{flag}", value.model_dump_json(exclude_defaults=True))
        elif value == AdapterSpec():
            yield from (f"--{flag}", LORA)
        elif isinstance(value, BaseModel):
            yield from _flags(value, f"{flag}.")
        else:
            yield from (f"--{flag}", _listed(value) if isinstance(value, tuple) else str(value))


def _listed(values: tuple[str, ...]) -> str:
    return json.dumps(values, ensure_ascii=False) if any("," in value for value in values) else ",".join(values)


def _loss(loss: LossSpec) -> list[Setting]:
    """Every term that counts, with its weight, and then what they share."""
    shared = [_setting(loss, name) for name in ("temperature", "normalize")]
    return [*(_setting(loss, term) for term in loss.weights()), *shared]


def _settings(optimiser: OptimiserSpec) -> list[Setting]:
    return [_setting(optimiser, name) for name in type(optimiser).model_fields]


def _setting(spec: BaseModel, name: str) -> Setting:
    """Name, value, meaning."""
    value = getattr(spec, name)
    text = f"{value:g}" if isinstance(value, float) else str(value).lower()
    return name, text, type(spec).model_fields[name].description or ""


def _provenance(result: AlignResult, before: AuditResult, after: AuditResult) -> list[tuple[str, Any]]:
    """Label and value of everything that made the figures."""
    spec = result.spec
    return [
        ("alignment", f"{result.name}, spec {spec.identity()}"),
        ("training run", result.trained.name),
        ("base", f"{spec.base}, fingerprint {result.base_digest}"),
        ("new checkpoint", f"{result.trained.checkpoint}, fingerprint {result.digest}"),
        ("audit before", f"{result.audit_before}, of model {before.provenance.checkpoint}"),
        ("audit after", f"{result.audit_after}, of model {after.provenance.checkpoint}"),
        ("evaluation corpus", f"{spec.evaluation}, fingerprint {after.provenance.corpus_fingerprint}"),
        ("git commit", result.git_commit or "unknown"),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))),
        ("timings", ", ".join(f"{step} {seconds(taken)}" for step, taken in result.timings.items()) or "none"),
        ("seed", f"{spec.seed}, of sampling, order, dropout and the audits"),
        ("statistics", "95 % intervals of paired differences, over groups of questions, and their p, corrected by Holm "
                       "over the languages of a metric and query side"),
        ("finished", result.finished.isoformat(timespec="seconds")),
    ]  # fmt: skip
