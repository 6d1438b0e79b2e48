"""The study of docs/alignment.md: one line a method, trained on XQuAD's train articles, measured on its test ones.

Trains in this process, without Ray and Prefect, and ranks with the audit's own parts.
    python tests/bench/study.py best infonce [--triples 1120] [--train fit --test dev] [--out DIR]
    python tests/bench/study.py --table [--out DIR]
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from clir_core.align.data import training_triples
from clir_core.align.spec import AlignSpec
from clir_core.align.train.finish import finish
from clir_core.align.train.kept import finished, kept
from clir_core.align.train.loop import Trainer
from clir_core.align.train.objective import needs
from clir_core.align.train.parts import tokens
from clir_core.align.train.run import run
from clir_core.align.train.teacher import teacher
from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.correct.fit import fit_correction
from clir_core.measure.metrics import per_query, units
from clir_core.measure.stats import aggregate
from clir_core.model.checkpoint import BUNDLED, Checkpoint, EncodingSpec, resolve
from clir_core.model.encoder import load_encoder
from clir_core.rank.plan import make_plan
from clir_core.rank.ranking import in_threads, rank_plan
from clir_core.rank.store import VectorTable, rows
from clir_core.sources import read_corpus

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))
TRAINED, UNTRAINED = ("zh", "de", "ar", "hi", "th"), ("ru", "vi", "el")
CORRECTIONS: Mapping[str, dict[str, Any]] = {
    "centring": {"correction": "centring"},
    "LIR": {"correction": "lir"},
    **{f"SHIFT {alpha}": {"correction": "shift", "correction_alpha": alpha} for alpha in (0.8, 1.0, 1.2)},
}
TRAININGS: Mapping[str, dict[str, Any]] = {
    "best": {},
    "head": {"loss": "none"},
    "infonce": {"loss": "infonce", "head": False},
    "passage": {"loss": "passage", "head": False},
    "jsd-raw": {"loss": "paper", "head": False},
    "jsd-normalised": {"loss": {"jsd": 1.0, "info_nce": 1.0}, "head": False},
    "jsd-raw-0.02": {"loss": {"jsd": 1.0, "info_nce": 1.0, "normalize": False, "temperature": 0.02}, "head": False},
    "clear": {"loss": "clear", "head": False},
    "distil": {"loss": "distil", "head": False},
    "distil-infonce": {"loss": {"distill_passages": 10.0, "distill_queries": 10.0, "info_nce": 1.0}, "head": False},
}
MERGES = (0.0, 0.3, 0.5)  # of the default recipe, beside its own
PLAIN = {
    "learning_rate": 2e-5,
    "embedding_rate_factor": 1.0,
    "merge": 0.0,
}  # what the published recipes are compared with
Vectors = dict[str, np.ndarray]


def trained(name: str, spec: AlignSpec, base: Checkpoint, directory: Path, of: Path | None) -> tuple[Path, float]:
    """The checkpoint of a method, and the seconds that it took; steps are those of another directory where given."""
    started = time.monotonic()
    if of:
        shutil.copytree(of / "states", directory / "states", dirs_exist_ok=True)
    triples = pl.DataFrame(pl.from_arrow(training_triples(spec.train, spec.languages, spec.triples, spec.seed)))
    frozen = teacher(base, tokens(spec.optimiser), triples, needs(spec.loss).teacher, directory / "teacher")
    trainer = Trainer(base, spec, triples, frozen)
    step = trainer.run_step

    def said() -> Any:
        found = step()
        print(f"{name}: step {found.step} of {trainer.steps}, loss {found.loss:.3f}", flush=True)
        return found

    trainer.run_step = said  # type: ignore[method-assign]
    run(trainer, None, directory)
    if spec.head:
        finish(base, spec.optimiser, triples, None, directory)
    checkpoint = (finished(directory) or (kept(directory), None))[0]
    assert checkpoint
    return checkpoint, time.monotonic() - started


def embedded(checkpoint: Checkpoint, corpus: Corpus) -> tuple[Vectors, Vectors]:
    """Vectors by id of the corpus's documents and queries."""
    encoder, found = load_encoder(checkpoint), []
    for texts, kind in ((document_texts(corpus), "document"), (query_texts(corpus), "query")):
        found.append(dict(zip(texts["id"], encoder.encode(texts["text"].to_list(), kind), strict=True)))
    return found[0], found[1]


def measured(corpus: Corpus, documents: Vectors, queries: Vectors) -> list[MetricRow]:
    """The audit's aggregates in the scenarios that the table shows."""
    plan = make_plan(corpus, corpus.languages, ("mono", "multi"), 10, 0)
    of_documents = {lang: np.stack([documents[i] for i in found.doc_id]) for lang, found in plan.documents.items()}
    of_queries = {lang: np.stack([queries[i] for i in found.query_id]) for lang, found in plan.queries.items()}

    def read(lang: str, numbers: np.ndarray) -> np.ndarray:
        return of_documents[lang][numbers]

    with tempfile.TemporaryDirectory() as folder:
        rank_plan(plan, of_queries, read, in_threads(read, 2), Path(folder), lambda done, todo: None)
        ranks, top = (pl.read_parquet(Path(folder) / name) for name in ("ranks.parquet", "topk.parquet"))
    table = per_query(ranks, top, pl.DataFrame(pl.from_arrow(corpus.queries)), (10,))
    return list(aggregate(table, units((10,)), 1000, 0))


def corrected(fields: dict[str, Any], fit: Corpus, test: Corpus, vectors: tuple[Vectors, Vectors], place: Path) -> Any:
    """The base's vectors with a correction of the audit's."""
    texts = document_texts(fit)
    name = f"fit-{time.time_ns()}"
    table = VectorTable.create(str(place), name, len(next(iter(vectors[0].values()))))
    table.append(rows(texts.drop("text"), np.stack([vectors[0][i] for i in texts["id"]])))
    found = fit_correction(AuditSpec(**fields, correction_fit="x"), fit, VectorTable(str(place), name), None, True)
    lang_of = (
        dict(document_texts(test).select("id", "lang").iter_rows()),
        dict(query_texts(test).select("id", "lang").iter_rows()),
    )
    documents = {i: found.of_documents(lang_of[0][i], v[None])[0] for i, v in vectors[0].items()}
    queries = {i: found.of_queries(lang_of[1][i], v[None])[0] for i, v in vectors[1].items()}
    return measured(test, documents, queries)


def line(name: str, seconds: float, found: list[dict[str, Any]]) -> str:
    """A row of the table in docs/alignment.md: languages that were trained, then the others."""
    value = {(row["scenario"], row["query_lang"], row["lang"], row["metric"]): row["value"] for row in found}

    def cell(scenario: str, metric: str, english: bool, first: tuple[str, ...] = ()) -> str:
        digits = 0 if metric == "max_at_r_norm" else 3
        return "<br>".join(
            " ".join(f"{value[scenario, 'en' if english else x, x, metric]:.{digits}f}".lstrip("0") for x in languages)
            for languages in ((*first, *TRAINED), UNTRAINED)
        )

    cells = [cell("multi", metric, english) for metric in ("complete@10", "max_at_r_norm") for english in (False, True)]
    cells.append(cell("mono", "acc@1", False, ("en",)))
    return f"| {name} | {' | '.join(cells)} | {f'{seconds / 60:.0f} min' if seconds else ''} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", help=f"base, corrections, {', '.join(TRAININGS)}")
    parser.add_argument("--xquad", type=Path, default=XQUAD)
    parser.add_argument("--train", default="train")
    parser.add_argument("--test", default="test")
    parser.add_argument("--triples", type=int, default=AlignSpec().triples)
    parser.add_argument("--out", type=Path, default=Path(".clir/study"))
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    results = asked.out / f"{asked.train}-{asked.test}"
    results.mkdir(parents=True, exist_ok=True)
    corpus = f"xquad:{asked.xquad}"
    base = resolve(BUNDLED, EncodingSpec(), asked.out / "models", "float32")
    torch.set_num_threads(len(os.sched_getaffinity(0)))

    def keep(name: str, seconds: float, found: list[MetricRow]) -> None:
        text = json.dumps({"seconds": seconds, "rows": [row.model_dump() for row in found]})
        (results / f"{name}.json").write_text(text, "utf-8")
        print(line(name, seconds, [row.model_dump() for row in found]), flush=True)

    test = read_corpus(f"{corpus}#{asked.test}", (*TRAINED, *UNTRAINED))
    for name in asked.methods:
        if name in ("base", "corrections"):
            vectors = embedded(base, test)
            keep("base", 0.0, measured(test, *vectors))
            fit = read_corpus(f"{corpus}#{asked.train}", (*TRAINED, *UNTRAINED))
            for label, fields in CORRECTIONS.items() if name == "corrections" else ():
                keep(label, 0.0, corrected(fields, fit, test, vectors, asked.out / "lancedb"))
            continue
        plain = {} if name in ("best", "head") else {"optimiser": PLAIN}
        fields = {"train": f"{corpus}#{asked.train}", "languages": TRAINED, "triples": asked.triples, **plain}
        steps = None
        for label, more in [(name, {})] + [(f"best, merge {m}", {"merge": m}) for m in MERGES if name == "best"]:
            spec = AlignSpec.model_validate({**fields, **TRAININGS[name], **({"optimiser": more} if more else {})})
            directory = (asked.out / f"{name}-{spec.identity()[:8]}").resolve()
            path, seconds = trained(label, spec, base, directory, steps)
            steps = directory
            after = resolve(str(path), EncodingSpec(), asked.out / "models", "float32")
            keep(label, 0.0 if more else seconds, measured(test, *embedded(after, test)))
    if asked.table:
        for file in sorted(results.glob("*.json")):
            found = json.loads(file.read_text("utf-8"))
            print(line(file.stem, found["seconds"], found["rows"]))


if __name__ == "__main__":
    main()
