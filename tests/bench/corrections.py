"""Every correction of a checkpoint's stored vectors, in pools without what it was fitted on and in those with it.

python tests/bench/corrections.py --corpus xquad:DIR#test [--fit REFERENCE] [--bank REFERENCE] [--languages zh,ar,...]
    [--model REF] [--workspace .clir] [--docs docs/corrections.md --marker NAME]
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "studies")]

from tables import put, table  # noqa: E402

from clir_core.audit.result import AuditResult, MetricRow  # noqa: E402
from clir_core.audit.spec import AuditSpec  # noqa: E402
from clir_core.correct.data import fit_reference  # noqa: E402
from clir_core.correct.spec import Corrects  # noqa: E402
from clir_core.model.checkpoint import BUNDLED  # noqa: E402
from clir_core.runs.audit import audit  # noqa: E402
from clir_core.runs.here import Here  # noqa: E402
from clir_core.runs.runner import Runner  # noqa: E402

METHODS: dict[str, dict[str, object]] = {
    "none": {},
    "centring": {"correction": "centring"},
    "LIR": {"correction": "lir"},
    "SHIFT 1": {"correction": "shift"},
    "mean": {"correction": "mean"},
    "hub": {"correction": "hub"},
    "centring + hub": {"correction": "centring+hub"},
    "mean + hub": {"correction": "mean+hub"},
    "mean + hub, one bank for all": {"correction": "mean+hub", "correction_languages": "all"},
}


def audited(asked: argparse.Namespace) -> Iterator[tuple[str, AuditResult]]:
    """Each method's audit, the plain one in the same pools."""
    fitted = {"correction_fit": asked.fit, "correction_bank": asked.bank}
    seen = (fit_reference(Corrects.model_validate({"correction": "mean+hub", **fitted}), asked.corpus),)
    for name, method in METHODS.items():
        parts = Corrects.model_validate(method)
        own = {key: value for key, value in fitted.items() if parts.reads_queries or key == "correction_fit"}
        spec = AuditSpec.model_validate(
            {
                **{"model": asked.model, "corpus": asked.corpus, "languages": tuple(asked.languages.split(","))},
                **{"scenarios": ("mono", "multi"), "workspace": asked.workspace, "seen": seen},
                **(method | own if method else {}),
            }
        )
        yield name, audit(spec, Here(), Runner()).result
        print(name, "done", file=sys.stderr, flush=True)


def rows(name: str, result: AuditResult) -> Iterator[tuple[str, ...]]:
    """One row for the pools that are judged, and one for those with what was seen."""
    others = [lang for lang in result.languages if lang != result.spec.pivot]
    for where, metrics in (("unseen", result.metrics), ("all", result.metrics_with_seen)):
        if metrics:
            yield (
                name,
                where,
                *(figures(metrics, "multi", "complete@10", lang, others) for lang in ("x", result.spec.pivot)),
                figures(metrics, "mono", "acc@1", "own", [result.spec.pivot, *others]),
                figures(metrics, "mono", "ndcg@10", "own", [result.spec.pivot, *others]),
            )


def figures(metrics: Sequence[MetricRow], scenario: str, metric: str, asked: str, langs: Sequence[str]) -> str:
    """A figure a language: of its own queries, or of the pivot's."""
    found = {
        (row.lang, row.query_lang): row.value for row in metrics if (row.scenario, row.metric) == (scenario, metric)
    }
    values = [found[lang, asked if asked not in ("x", "own") else lang] for lang in langs]
    return " / ".join(f"{value:.3f}".lstrip("0") if value < 1 else "1" for value in values)


def main() -> None:
    """Print the table, or put it into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--fit")
    parser.add_argument("--bank")
    parser.add_argument("--languages", default="zh,ar,th,de,vi")
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--workspace", type=Path, default=Path(".clir"))
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--marker", default="corrections")
    asked = parser.parse_args()
    results = list(audited(asked))
    others = [lang for lang in results[0][1].languages if lang != results[0][1].spec.pivot]
    head = " / ".join(others)
    header = (
        "correction",
        "pools",
        f"complete@10, X query: {head}",
        "complete@10, en query",
        f"mono acc@1: en / {head}",
        "mono ndcg@10",
    )
    text = table(header, [row for name, result in results for row in rows(name, result)])
    if asked.docs:
        put(asked.marker, text, asked.docs)
    else:
        print(text)


if __name__ == "__main__":
    main()
