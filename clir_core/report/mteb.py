"""An audit's scenarios of one gold language as mteb result files, so that they load beside a leaderboard's.

Measures follow trec_eval, as mteb's do. mteb itself is neither needed nor imported.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from clir_core.audit.result import AuditResult
from clir_core.corpus.lang import mteb_code
from clir_core.model import served, vectors_ref
from clir_core.scenarios import every_scenario
from clir_core.scenarios.metric import ndcg
from clir_core.workspace.atomic import write_text

# the release whose format this is; TaskResult.from_disk reads files without one as those of before 1.11
MTEB_VERSION = "2.26.24"
CUTOFFS = (1, 3, 5, 10, 20, 100, 1000)
MAIN_SCORE = "ndcg_at_10"
QUERY = ("query_lang", "gold_lang", "query_id")


def write_mteb(result: AuditResult, ranks: pl.DataFrame | pl.LazyFrame, directory: Path) -> list[Path]:
    """Write <directory>/<model>/<revision>/: a file for each scenario that is a task and was asked, and the model's."""
    # a corrected model is another model, and must not take the place of the plain one
    name = result.spec.corrected(model_name(result.spec.model)).replace(" + ", "-").replace(" ", "-")
    revision = model_revision(result)
    folder = directory / name.replace("/", "__") / revision.replace("/", "__")
    written = []
    for scenario in every_scenario():
        if scenario.mteb_task and (subsets := _subsets(scenario.name, ranks.lazy())):
            path = folder / f"{scenario.mteb_task}.json"
            written.append(_write(path, _task_result(result, scenario.mteb_task, subsets)))
    written.append(_write(folder / "model_meta.json", _model_meta(result, name, revision)))
    return written


def model_name(ref: str) -> str:
    """organization/name, which mteb demands: what has no organization gets its kind for one."""
    if ref.startswith(vectors_ref.SCHEME):
        return f"vectors/{vectors_ref.name_of(ref)}"
    if ref.startswith(served.SCHEMES):
        return f"served/{served.parse(ref).model.replace('/', '__')}"
    kind, _, rest = ref.rpartition(":")
    name = rest.partition("@")[0]
    if kind == "hf":
        return name if "/" in name else f"hf/{name}"
    return f"bundled/{name}" if kind == "bundled" else f"local/{Path(ref).expanduser().resolve().name}"


def model_revision(result: AuditResult) -> str:
    """The hub's revision, else the checkpoint's fingerprint."""
    ref = result.spec.model
    return (ref.startswith("hf:") and ref.partition("@")[2]) or result.provenance.model_fingerprint


def query_scores(ranks: pl.DataFrame) -> pl.DataFrame:
    """One row a query: every measure at every cutoff. A gold's gain is its grade, as in trec_eval."""
    golds = (
        ranks.filter(pl.col("grade") > 0)
        .sort(*QUERY, "rank")
        # golds at or above this one, itself included
        .with_columns(found=pl.int_range(1, pl.len() + 1).over(QUERY))
    )
    measures = [expression for k in CUTOFFS for expression in _measures(k)]
    return golds.group_by(QUERY, maintain_order=True).agg(measures)


def _measures(k: int) -> Iterator[pl.Expr]:
    rank, within = pl.col("rank"), pl.col("rank") <= k
    yield ndcg(k).value.alias(f"ndcg_at_{k}")
    yield ((pl.col("found") / rank).filter(within).sum() / pl.len()).alias(f"map_at_{k}")
    yield (within.sum() / pl.len()).alias(f"recall_at_{k}")
    yield (within.sum() / k).alias(f"precision_at_{k}")
    yield pl.when(rank.min() <= k).then(1 / rank.min()).otherwise(0.0).alias(f"mrr_at_{k}")
    yield within.any().cast(pl.Float64).alias(f"hit_rate_at_{k}")


def _subsets(scenario: str, ranks: pl.LazyFrame) -> list[dict[str, Any]]:
    """One entry a language pair: means over queries."""
    scores = query_scores(ranks.filter(pl.col("scenario") == scenario).select(*QUERY, "rank", "grade").collect())
    # golds come sorted by these: the order of the sums, and so their last bit, stays
    means = scores.drop("query_id").group_by("query_lang", "gold_lang", maintain_order=True).mean()
    return [_subset(row.pop("query_lang"), row.pop("gold_lang"), row) for row in means.to_dicts()]


def _subset(query_lang: str, gold_lang: str, means: dict[str, float]) -> dict[str, Any]:
    mono = query_lang == gold_lang
    return {
        "hf_subset": query_lang if mono else f"{query_lang}-{gold_lang}",
        "languages": [mteb_code(lang) for lang in ((query_lang,) if mono else (query_lang, gold_lang))],
        "main_score": means[MAIN_SCORE],
        "accuracy": means["recall_at_1"],  # as mteb calls it
        **means,
    }


def _task_result(result: AuditResult, task: str, subsets: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "dataset_revision": result.provenance.corpus_fingerprint,
        "task_name": task,
        "mteb_version": MTEB_VERSION,
        "scores": {"test": subsets},
        # of the whole audit: one pass over the vectors serves every scenario
        "evaluation_time": sum(result.provenance.timings.values()),
        "kg_co2_emissions": None,
        "date": result.provenance.finished.timestamp(),
    }


def _model_meta(result: AuditResult, name: str, revision: str) -> dict[str, Any]:
    """What an audit knows of its model; the rest is null, which mteb takes for unknown."""
    unknown = (
        "loader", "release_date", "languages", "n_parameters", "memory_usage_mb", "license", "open_weights",
        "public_training_code", "public_training_data", "similarity_fn_name", "use_instructions", "training_datasets",
    )  # fmt: skip
    encoding, ref = result.spec.encoding, result.spec.model
    is_ours = not ref.startswith((vectors_ref.SCHEME, *served.SCHEMES))
    framework = ["Sentence Transformers"] if is_ours else ["API"] if ref.startswith(served.SCHEMES) else []
    return {
        "name": name,
        "revision": revision,
        **dict.fromkeys(unknown),
        "embed_dim": encoding.truncate_dim,
        "max_tokens": encoding.max_tokens if is_ours else None,
        "framework": framework,
        "modalities": ["text"],
    }


def _write(path: Path, value: dict[str, Any]) -> Path:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    return path
