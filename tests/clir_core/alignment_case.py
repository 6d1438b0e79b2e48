"""An alignment run made by hand: five trained languages, three that were not, figures like those of a real run."""

import math
from datetime import UTC, datetime
from pathlib import Path

from report_case import result as audit_result

from clir_core.align.contamination import Contamination, Finding
from clir_core.align.result import AlignResult, Evaluated, Progressed, Trained
from clir_core.align.spec import AlignSpec
from clir_core.audit.result import AuditResult, MetricRow
from clir_core.corpus.pivot import pivot_first
from clir_core.measure.compare import Difference
from clir_core.measure.evidence import Average
from clir_core.measure.gate import MONO, Decision
from clir_core.measure.gate_spec import GateSpec

TRAINED = ("zh", "ar", "de", "hi", "th")
UNTRAINED = ("ru", "vi", "el")
LANGS = ("en", "ar", "de", "el", "hi", "ru", "th", "vi", "zh")
N = 1190
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
# complete@10 with X and with English queries, mono acc@1: before and after
FIGURES = {
    "en": ((), (), (0.947, 0.941)),
    "zh": ((0.014, 0.919), (0.238, 0.972), (0.921, 0.918)),
    "ar": ((0.289, 0.914), (0.537, 0.979), (0.884, 0.801)),
    "th": ((0.380, 0.891), (0.627, 0.975), (0.903, 0.905)),
    "de": ((0.806, 0.979), (0.877, 0.988), (0.919, 0.910)),
    "hi": ((0.452, 0.902), (0.688, 0.968), (0.861, 0.862)),
    "ru": ((0.534, 0.931), (0.702, 0.965), (0.909, 0.901)),
    "vi": ((0.611, 0.942), (0.748, 0.971), (0.902, 0.909)),
    "el": ((0.318, 0.310), (0.574, 0.581), (0.893, 0.890)),
}
Key = tuple[str, str | None, str | None, str]


def figures(at: int) -> dict[Key, float]:
    """Every figure of the audit before (0) or after (1)."""
    found: dict[Key, float] = {}
    for lang, (own, english, mono) in FIGURES.items():
        found["mono", lang, lang, "acc@1"] = mono[at]
        found["mono", lang, lang, "ndcg@10"] = mono[at] + 0.04
        for query, sides in ((lang, own), ("en", english)):
            if sides:
                found["multi", query, lang, "complete@10"] = sides[at]
                found["multi", query, lang, "max_at_r_norm"] = 42 + 54 * sides[at]
        if lang != "en":
            # English documents are the easier competition before, as easy as X's after
            rise = (1 - mono[at]) * (0.8, 0.45)[at]
            found |= {(f"share({p / 10:.1f})", lang, lang, "acc@1"): mono[at] + rise * p / 9 for p in range(10)}
    return found


def audit(at: int) -> AuditResult:
    """The audit before (0) or after (1)."""
    rows = []
    for (scenario, query, lang, metric), value in figures(at).items():
        scale, unit = (100, "percent") if metric == "max_at_r_norm" else (1, "rate")
        rate = value / scale
        half = 1.96 * math.sqrt(max(rate * (1 - rate), 1e-4) / N) * scale
        low, high = max(0.0, value - half), min(float(scale), value + half)
        row = MetricRow(
            scenario=scenario,
            query_lang=query,
            lang=lang,
            metric=metric,
            value=value,
            low=low,
            high=high,
            n=N,
            unit=unit,
        )
        rows.append(row)
    return audit_result(langs=LANGS, metrics=tuple(rows), pools=(), skipped=())


def differences() -> tuple[Difference, ...]:
    """After minus before; p as a test of proportions would have it."""
    found = []
    before, after = figures(0), figures(1)
    for (scenario, query, lang, metric), old in before.items():
        new = after[scenario, query, lang, metric]
        scale, unit = (100, "percent") if metric == "max_at_r_norm" else (1, "rate")
        # pairs agree mostly: half of the spread of unpaired ones
        spread = 0.5 * math.sqrt(sum(max(v / scale * (1 - v / scale), 1e-3) for v in (old, new)) / N) * scale
        p = math.erfc(abs(new - old) / spread / math.sqrt(2))
        difference = Difference(
            scenario=scenario, query_lang=query, lang=lang, metric=metric, before=old, after=new, difference=new - old,
            low=new - old - 1.96 * spread, high=new - old + 1.96 * spread, p=p, p_holm=min(1.0, 8 * p), n=N, unit=unit,
        )  # fmt: skip
        found.append(difference)
    return tuple(found)


def decision() -> Decision:
    """Arabic lost too much; languages that were not trained are no business of the gate's but there."""
    primary = [row for row in differences() if row.metric == "complete@10" and row.lang in TRAINED]
    mono = [row for row in differences() if row.scenario == "mono" and row.metric in MONO]
    lost = [row for row in mono if row.lang == "ar"]

    def average(rows: list[Difference]) -> Average:
        mean = sum(row.difference for row in rows) / len(rows)
        return Average(
            scenario=rows[0].scenario, metric=rows[0].metric, languages=pivot_first(str(row.lang) for row in rows),
            difference=mean, low=mean - 0.01, high=mean + 0.01, p=2e-5, n=N, clusters=240,
        )  # fmt: skip

    gain, costs = average(primary), tuple(average([row for row in mono if row.metric == name]) for name in MONO)
    return Decision(
        status="rejected",
        reason=(
            "Monolingual retrieval loses more than 0.010, beyond chance: acc@1 in Arabic 0.884 to 0.801 (-0.083, "
            "interval -0.095 to -0.071, 1,190 questions in 240 groups). Complete@10 in multi improves beyond chance on "
            f"average over Chinese, Arabic, German, Hindi and Thai, both query sides: {gain.difference:+.3f}."
        ),
        primary=tuple(primary), mono=tuple(mono), lost=tuple(lost), gained=tuple(primary), gain=gain, cost=costs,
    )  # fmt: skip


def training(steps: int = 88) -> Trained:
    progressed = tuple(
        Progressed(
            step=step,
            loss=0.4 + 2.2 * math.exp(-step / 18) + 0.12 * math.sin(12.9898 * step * step),
            parts={
                "info_nce": 0.3 + 1.6 * math.exp(-step / 18) + 0.1 * math.sin(12.9898 * step * step),
                "distill_passages": 0.004 + 0.03 * math.exp(-step / 25) + 0.002 * math.sin(78.233 * step * step),
                "distill_queries": 0.003 + 0.02 * math.exp(-step / 30) + 0.001 * math.sin(37.719 * step * step),
            },
            rate=2e-5 * min(step / 9, (steps - step) / (steps - 9)),
            gradient=1.1 + 3 * math.exp(-step / 10) + 0.3 * math.sin(7.1 * step * step),
        )
        for step in range(1, steps + 1)
    )
    evaluations = tuple(
        Evaluated(step=step, max_at_r_norm=shown, mono_acc=mono, score=(shown / 100 + mono) / 2)
        for step, shown, mono in (
            (0, 71.3, 0.934),
            (22, 88.9, 0.929),
            (44, 92.6, 0.931),
            (66, 94.4, 0.932),
            (88, 94.5, 0.928),
        )
    )
    return Trained(
        name="align-3f2a9c41d07b", checkpoint=Path("/data/.clir/checkpoints/align-3f2a9c41d07b/checkpoint"),
        steps=progressed, evaluations=evaluations, best_step=66, triples=2800, held_out=18,
        languages=dict.fromkeys(TRAINED, 560), seconds=1624.2, seconds_around=141.0,
    )  # fmt: skip


def contamination(example: str = "Which NFL team represented the AFC at Super Bowl 50?") -> Contamination:
    finding = Finding(
        kind="query", group_id="q-56be4db0", answers=("p-12",), same_id=5, same_text=5, columns=("q_en", "q_x"),
        example=example,
    )  # fmt: skip
    return Contamination(found=(finding,), allowed=(finding,), pool_only=tuple(f"p-{at}" for at in range(160)))


def alignment(**changes: object) -> AlignResult:
    """A run whose Arabic lost too much monolingually, unless `changes` say otherwise."""
    gate = GateSpec(languages=TRAINED)
    made = AlignResult(
        name="multilingual-e5-small-q4-on-xquad-3f2a9c41",
        spec=AlignSpec(
            train="xquad:/data/xquad#train",
            evaluation="xquad:/data/xquad#test",
            languages=TRAINED,
            loss={"distill_passages": 10.0, "distill_queries": 10.0, "info_nce": 1.0},
            gate=gate,
            seed=7,
        ),
        verdict=(
            "Both versions are now within the first 10 for 92 % of the X queries of trained languages (39 % before), "
            "at the cost of 2 points of monolingual acc@1, 8 of them in Arabic.",
            "Languages that were not trained gain as well: Russian +0.397, Vietnamese +0.331; Greek does not.",
            "English monolingual acc@1 falls from 0.947 to 0.941.",
        ),
        decision=decision(),
        foresight="1,190 questions in 240 groups, 9 languages: a mean monolingual loss of 0.010 can be excluded.",
        differences=differences(), trained=training(), contamination=Contamination(found=(), pool_only=()),
        base_digest="de" * 32, base_fingerprint="ab" * 32, digest="5f" * 32, model_fingerprint="9c" * 32,
        audit_before=Path("/data/.clir/audits/base"), audit_after=Path("/data/.clir/audits/aligned"),
        versions={"torch": "2.13.0", "ray": "2.60.0"}, git_commit="68e8f58",
        timings={"audit before": 212.4, "triples": 1.2, "train": 1765.2, "audit after": 0.0},
        finished=datetime(2026, 11, 22, 17, 9, tzinfo=UTC),
    )  # fmt: skip
    return made.model_copy(update=changes)
