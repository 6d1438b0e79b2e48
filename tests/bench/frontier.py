"""The frontier: every way to mend a checkpoint, by what it gains, costs and needs. A table and a picture.

python tests/bench/frontier.py --xquad DIR --ntrex DIR [--packages FOLDER] [--only xquad,gnome,libreoffice]
    [--model REF] [--workspace .clir] [--docs docs/frontier.md --picture docs/frontier.svg] [--rows FILE]

Each corpus is asked in one half and everything is fitted on its other half, or on other data alone; judged in pools
without what any of them was fitted on. Heads are closed forms: no seed changes them. FILE keeps the rows of a corpus:
what stands there is not computed again.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "studies"), str(HERE.parent)]

import debian  # noqa: E402
from tables import put, table  # noqa: E402

from clir_core.align.spec import AlignSpec  # noqa: E402
from clir_core.audit.result import MetricRow  # noqa: E402
from clir_core.audit.spec import AuditSpec  # noqa: E402
from clir_core.measure import gate  # noqa: E402
from clir_core.measure.compare import compare_audits  # noqa: E402
from clir_core.measure.gate_spec import GateSpec  # noqa: E402
from clir_core.model.checkpoint import BUNDLED  # noqa: E402
from clir_core.runs.align import Aligned, align  # noqa: E402
from clir_core.runs.audit import Finished, audit  # noqa: E402
from clir_core.runs.here import Here  # noqa: E402
from clir_core.runs.runner import Runner  # noqa: E402

# of XQuAD's languages, those that a head may see where the others are left out; NTREX's codes of the others
SEEN = ("en", "zh", "ar", "th", "de")
SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)  # that the picture names
LEFT_OUT = ("vie", "ell", "spa", "hin", "ron", "rus", "tur")
HELP = {
    "gnome": ("GNOME's help", "de,fr,pl,hu,id,ko,ru,ca"),
    "libreoffice": ("LibreOffice's help", "zh,de,vi,ko"),
}


class Corpus(NamedTuple):
    """What is asked, and what may be fitted on: its own other half, and data of another kind."""

    title: str
    asked: str
    own: str
    other: tuple[str, ...]


class Row(NamedTuple):
    """A method on a corpus: differences to the plain checkpoint as mean over languages (and query sides), low, high."""

    corpus: str
    method: str
    fitted: str
    needs: str
    seconds: float
    complete: float
    with_seen: float | None  # the same in pools that hold the other half, too, where one corpus has both
    worst: str
    gain: tuple[float, float, float]
    mono: tuple[float, float, float]
    lost: str


def methods(
    corpus: Corpus, folder: Path, asked: argparse.Namespace
) -> Iterator[tuple[str, str, str, dict[str, object]]]:
    """Name, what it is fitted on, what a query needs, and fields of the audit or, with head_texts, of the alignment."""
    yield "none", "", "nothing", {}
    for name in ("centring", "mean", "mean+hub"):
        yield name, "its other half", "its language", {"correction": name, "correction_fit": corpus.own}
    hub = {"correction": "hub", "correction_fit": corpus.own, "correction_languages": "all"}
    yield "hub, one bank", "its other half", "nothing", hub
    yield "head", "its other half", "nothing", {"head_texts": (corpus.own,)}
    yield "head", "other data", "nothing", {"head_texts": corpus.other}
    if corpus.title == "XQuAD":
        yield "head", "both", "nothing", {"head_texts": (corpus.own, *corpus.other)}
        few = (
            f"xquad:{some(asked.xquad, folder / 'xquad', SEEN)}#train",
            f"bitext:{without(LEFT_OUT, asked.ntrex, folder / 'ntrex-without')}",
        )
        yield "head", "both, without seven languages", "nothing", {"head_texts": few}


def some(xquad: Path, folder: Path, langs: Sequence[str]) -> Path:
    """XQuAD's files of these languages."""
    folder.mkdir(parents=True, exist_ok=True)
    for lang in langs:
        link(folder / f"xquad.{lang}.json", xquad / f"xquad.{lang}.json")
    return folder


def without(langs: Sequence[str], ntrex: Path, folder: Path) -> Path:
    """NTREX's files of the languages that are not left out, one each: Spanish has two."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(ntrex.glob("newstest2019-*.txt")):
        lang, _, _ = file.name.split(".")[-2].partition("-")  # Mexican Spanish is Spanish
        if lang not in langs and "ref-2" not in file.name:
            link(folder / file.name, file)
    return folder


def link(place: Path, target: Path) -> None:
    """A symbolic link, once."""
    if not place.exists():
        place.symlink_to(target.resolve())


def rows(corpus: Corpus, folder: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """A row a method."""
    plain: Finished | None = None
    for method, fitted, needs, fields in methods(corpus, folder, asked):
        made = head(corpus, fields, asked) if "head_texts" in fields else None
        spec = {"model": made.entry.found.ref if made else asked.model, "corpus": corpus.asked}
        spec |= {"scenarios": ("mono", "multi"), "workspace": asked.workspace, "seen": (corpus.own,)}
        begun = time.monotonic()
        found = audit(AuditSpec.model_validate({**spec, **({} if made else fields)}), Here(), Runner())
        plain = plain or found
        # of a head that was fitted before, what it took then
        seconds = made.result.trained.seconds_around if made else time.monotonic() - begun
        yield row(corpus, method, fitted, needs, seconds, plain, found)
        print(corpus.title, method, fitted, f"{seconds:.0f} s", file=sys.stderr, flush=True)


def head(corpus: Corpus, fields: Mapping[str, object], asked: argparse.Namespace) -> Aligned:
    """The checkpoint with a head fitted to bare texts, and nothing else trained."""
    spec = AlignSpec.model_validate(
        {"base": asked.model, "loss": "none", "held_out": 0.0, "train": f"xquad:{asked.xquad}#train"}
        | {"evaluation": corpus.asked, "workspace": asked.workspace, **fields}
    )
    return align(spec, Here(), Runner(), lambda _, each: audit(each, Here(), Runner()).out)


def row(corpus: Corpus, method: str, fitted: str, needs: str, seconds: float, plain: Finished, found: Finished) -> Row:
    """What the gate would look at."""
    decision = gate.decide(compare_audits(plain.out, found.out), GateSpec())
    assert decision.gain
    acc = next(one for one in decision.cost if one.metric == "acc@1")
    worst = min(decision.primary, key=lambda one: one.after)
    lost = min((one for one in decision.mono if one.metric == "acc@1"), key=lambda one: one.difference)
    return Row(
        corpus.title, method, fitted, needs, seconds,
        mean(found.result.metrics), mean(found.result.metrics_with_seen) if found.result.metrics_with_seen else None,
        f"{share(worst.after)} {worst.lang}, asked in {worst.query_lang}",
        (decision.gain.difference, decision.gain.low, decision.gain.high),
        (acc.difference, acc.low, acc.high),
        f"{lost.difference:+.3f} {lost.lang}",
    )  # fmt: skip


def mean(metrics: Sequence[MetricRow]) -> float:
    """complete@10 over languages and query sides."""
    return fmean(
        one.value for one in metrics if (one.scenario, one.metric) == ("multi", "complete@10") and one.query_lang
    )


def share(value: float) -> str:
    """Three digits."""
    return f"{value:.3f}".lstrip("0") if value < 1 else "1"


def signed(found: Sequence[float]) -> str:
    """A difference with its interval."""
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*found)


def shown(found: Sequence[Row]) -> str:
    """The table."""
    header = (
        "method", "fitted on", "a query needs", "seconds", "complete@10", "in all pools", "worst", "gain [95 %]",
        "mono acc@1 [95 %]", "most lost",
    )  # fmt: skip
    cells = [
        (one.method, one.fitted, one.needs, f"{one.seconds:.0f}", share(one.complete),
         "" if one.with_seen is None else share(one.with_seen), one.worst,
         signed(one.gain), signed(one.mono), one.lost)
        for one in found
    ]  # fmt: skip
    return table(header, cells)


def draw(found: Sequence[Row], picture: Path) -> None:
    """A panel a corpus: what is gained across languages against what it costs within one."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    titles = list(dict.fromkeys(one.corpus for one in found))
    figure, axes = pyplot.subplots(1, len(titles), figsize=(4.6 * len(titles), 5.6), squeeze=False)
    for panel, title in zip(axes[0], titles, strict=True):
        mine = [one for one in found if one.corpus == title]
        for at, one in enumerate(mine):
            free = one.needs == "nothing"
            colour = "#1b6e53" if one.method.startswith("head") else "#555555" if one.method == "none" else "#b35c00"
            low, high = (abs(bound - one.mono[0]) for bound in one.mono[1:])
            panel.errorbar(
                one.mono[0], 1 - one.complete, xerr=[[low], [high]] if one.fitted else None, fmt="o", color=colour,
                mfc=colour if free else "white", elinewidth=0.8, markersize=6,
            )  # fmt: skip
            panel.annotate(str(at + 1), (one.mono[0], 1 - one.complete), (5, 4), textcoords="offset points", fontsize=9)
        panel.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
        panel.set_title(title, fontsize=11)
        panel.set_xlabel("monolingual acc@1, change (95 %)")
        # what is missed, on a scale that tells .97 from .98
        panel.set_yscale("log")
        panel.set_ylim(1, 0.01)
        panel.set_yticks([1 - share for share in SHARES], [f"{share:g}" for share in SHARES])
        panel.minorticks_off()
        told = "\n".join(
            f"{at + 1}  {one.method}{': ' if one.fitted else ''}{one.fitted}" for at, one in enumerate(mine)
        )
        panel.text(0, -0.16, told, transform=panel.transAxes, fontsize=8, va="top")
    axes[0][0].set_ylabel("complete@10, mean over languages and query sides")
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None}, bbox_inches="tight")


def corpora(asked: argparse.Namespace, folder: Path) -> Iterator[Corpus]:
    """Those that are asked for."""
    texts = f"bitext:{without((), asked.ntrex, folder / 'ntrex')}"
    xquad = f"xquad:{asked.xquad}"
    for name in asked.only.split(","):
        if name == "xquad":
            yield Corpus("XQuAD", f"{xquad}#test", f"{xquad}#train", (texts,))
        else:
            title, languages = HELP[name]
            place = folder / f"{name}-{languages.replace(',', '-')}"
            debian.halves(name, languages, place, asked.packages)
            yield Corpus(title, f"parquet:{place / 'b'}", f"parquet:{place / 'a'}", (f"{xquad}#train", texts))


def main() -> None:
    """Print the table, or put it into the docs with its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xquad", type=Path, required=True)
    parser.add_argument("--ntrex", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=Path(".clir/debian"))
    parser.add_argument("--only", default="xquad,gnome,libreoffice")
    parser.add_argument("--model", default=BUNDLED)
    parser.add_argument("--workspace", type=Path, default=Path(".clir"))
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--rows", type=Path, default=Path(".clir/frontier.jsonl"))
    asked = parser.parse_args()
    folder = asked.workspace.resolve() / "frontier"
    known = (
        [Row(*json.loads(line)) for line in asked.rows.read_text("utf-8").splitlines()] if asked.rows.exists() else []
    )
    every: list[Row] = []
    for corpus in corpora(asked, folder):
        found = [one for one in known if one.corpus == corpus.title] or list(rows(corpus, folder, asked))
        if not any(one.corpus == corpus.title for one in known):
            asked.rows.parent.mkdir(parents=True, exist_ok=True)
            with asked.rows.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(one) + "\n" for one in found)
        every += found
        if asked.docs:
            put(corpus.title, shown(found), asked.docs)
        else:
            print(corpus.title, shown(found), sep="\n", flush=True)
    if asked.picture:
        draw(every, asked.picture)


if __name__ == "__main__":
    main()
