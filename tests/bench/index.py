"""What approximate indexes return of the exact result, of a checkpoint as it is, corrected, and with heads.

python tests/bench/index.py --corpus xquad:DIR#test [--fit REFERENCE] [--heads NAME=CHECKPOINT ...]
    [--languages zh,...] [--indexes ivf_flat,ivf_pq,hnsw_sq] [--model REF] [--workspace .clir]
    [--docs docs/search_index.md --picture docs/search_index.svg]
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "studies")]

from tables import put, table  # noqa: E402

from clir_core.audit.index import FEWEST, RETURNED  # noqa: E402
from clir_core.audit.result import AuditResult  # noqa: E402
from clir_core.audit.spec import AuditSpec  # noqa: E402
from clir_core.correct.data import fit_reference  # noqa: E402
from clir_core.correct.spec import Corrects  # noqa: E402
from clir_core.model.checkpoint import BUNDLED  # noqa: E402
from clir_core.runs.audit import audit  # noqa: E402
from clir_core.runs.here import Here  # noqa: E402
from clir_core.runs.runner import Runner  # noqa: E402

K = 10
COLOURS = ("#555555", "#b35c00", "#8a3b12", "#1b6e53", "#3b5ba5", "#7a4fa3", "#a03050", "#000000")
CORRECTIONS = {"none": None, "mean": "mean", "mean + hub": "mean+hub"}


class Row(NamedTuple):
    """One method, index and effort: shares of the exact first ten that come back, means over languages."""

    method: str
    index: str
    effort: int
    own: float
    english: float
    worst: float
    worst_lang: str
    of_english: float


def methods(asked: argparse.Namespace) -> Iterator[tuple[str, dict[str, object]]]:
    """Name, and fields of the audit."""
    for name, correction in CORRECTIONS.items():
        yield name, {"correction": correction, "correction_fit": asked.fit} if correction else {}
    for one in asked.heads:
        name, _, checkpoint = one.partition("=")
        yield name, {"model": checkpoint}


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Every method in every index."""
    seen = asked.fit or fit_reference(Corrects(correction="mean"), asked.corpus)
    for name, fields in methods(asked):
        for index in asked.indexes.split(","):
            spec = {
                **{"model": asked.model, "corpus": asked.corpus, "workspace": asked.workspace, "seen": (seen,)},
                **{
                    "scenarios": ("nway",),
                    "index": index,
                    "languages": tuple(filter(None, asked.languages.split(","))),
                },
                **fields,
            }
            yield from _of(name, index, audit(AuditSpec.model_validate(spec), Here(), Runner()).result)
            print(name, index, "done", file=sys.stderr, flush=True)


def _of(name: str, index: str, result: AuditResult) -> Iterator[Row]:
    assert result.searched
    pivot = result.spec.pivot
    others = [lang for lang in result.languages if lang != pivot]
    found = {
        (row.effort, row.query_lang, row.lang): row for row in result.searched.rows if row.metric == RETURNED.format(K)
    }
    for effort in sorted({effort for effort, *_ in found}):
        own, english, of_english = (
            [row for lang in others if (row := found.get((effort, asked(lang), of(lang))))]
            for asked, of in (
                (lambda lang: lang, lambda lang: lang),
                (lambda lang: lang, lambda _: pivot),
                (lambda _: pivot, lambda lang: lang),
            )
        )
        least = min((row.value, row.query_lang) for row in english if row.n >= FEWEST)
        means = (fmean(row.value for row in rows) for rows in (own, english))
        yield Row(name, index, effort, *means, *least, fmean(row.value for row in of_english))


def shown(found: Sequence[Row]) -> str:
    """The table."""
    header = ("vectors", "index", "effort", "own language", "English for X", "least", "X for English")
    cells = [
        (one.method, one.index, str(one.effort), *(f"{value:.3f}" for value in (one.own, one.english)),
         f"{one.worst:.3f} {one.worst_lang}", f"{one.of_english:.3f}")
        for one in found
    ]  # fmt: skip
    return table(header, cells)


def draw(found: Sequence[Row], picture: Path) -> None:
    """A panel an index: what comes back against effort, of one's own language and of English."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    indexes = list(dict.fromkeys(one.index for one in found))
    figure, axes = pyplot.subplots(1, len(indexes), figsize=(4.2 * len(indexes), 3.6), squeeze=False, sharey=True)
    colours = dict(zip(dict.fromkeys(one.method for one in found), COLOURS, strict=False))
    for panel, index in zip(axes[0], indexes, strict=True):
        for method, colour in colours.items():
            mine = [one for one in found if (one.method, one.index) == (method, index)]
            efforts = [one.effort for one in mine]
            panel.plot(efforts, [one.own for one in mine], color=colour, linestyle=":", linewidth=1.2)
            panel.plot(efforts, [one.english for one in mine], color=colour, marker="o", markersize=4, label=method)
        panel.set_xscale("log", base=2)
        panel.set_title(index, fontsize=11)
        panel.set_xlabel("candidates (ef)" if index.startswith("hnsw") else "partitions looked into")
    axes[0][0].set_ylabel(f"share of the exact first {K} that comes back")
    axes[0][0].legend(fontsize=8, frameon=False, title="English for X; dotted: own language", title_fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})


def main() -> None:
    """Print the table, or put it into the docs with its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--fit")
    parser.add_argument("--heads", nargs="*", default=[])
    parser.add_argument("--languages", default="")
    parser.add_argument("--indexes", default="ivf_flat,ivf_pq,hnsw_sq")
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--workspace", type=Path, default=Path(".clir"))
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    found = list(rows(asked))
    if asked.docs:
        put("index", shown(found), asked.docs)
    else:
        print(shown(found))
    if asked.picture:
        draw(found, asked.picture)


if __name__ == "__main__":
    main()
