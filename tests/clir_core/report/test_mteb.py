"""mteb's result files: the values are trec_eval's, the format is the one that mteb 2.26.24 was seen to load."""

import json
import random
from pathlib import Path

import polars as pl
import pytest
import pytrec_eval
from report_case import result

from clir_core.report.mteb import CUTOFFS, model_name, query_scores, write_mteb

TASK_KEYS = {
    "dataset_revision", "task_name", "mteb_version", "scores", "evaluation_time", "kg_co2_emissions", "date",
}  # fmt: skip
MEASURES = {
    "ndcg_at": "ndcg_cut", "map_at": "map_cut", "recall_at": "recall", "precision_at": "P", "hit_rate_at": "success",
}  # fmt: skip
# fields of mteb.models.ModelMeta without a default, all of which its JSON must have
META_KEYS = {
    "loader", "name", "revision", "release_date", "languages", "n_parameters", "memory_usage_mb", "max_tokens",
    "embed_dim", "license", "open_weights", "public_training_code", "public_training_data", "framework",
    "similarity_fn_name", "use_instructions", "training_datasets",
}  # fmt: skip
# scenario, query's language, gold's language
PAIRS = [("mono", "de", "de"), ("mono", "en", "en"), ("cross", "de", "en"), ("cross", "en", "de")]


@pytest.fixture(scope="module")
def ranks() -> pl.DataFrame:
    """Queries with one to four graded golds anywhere in pools of 150."""
    draw = random.Random(7)
    return pl.DataFrame(
        {
            "scenario": scenario, "query_lang": query_lang, "gold_lang": gold_lang, "rank": rank,
            "query_id": f"{query_lang}-q{number}", "doc_id": f"{gold_lang}-{number}-{at}",
            "grade": draw.choice([1, 1, 2, 3]),
        }
        for scenario, query_lang, gold_lang in PAIRS
        for number in range(40)
        for at, rank in enumerate(draw.sample(range(1, draw.choice([6, 30, 150])), draw.randint(1, 4)))
    )  # fmt: skip


def as_run(rows: pl.DataFrame) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """qrels and a run of 150 documents a query that give the golds their ranks."""
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for row in rows.to_dicts():
        query = row["query_id"]
        qrels.setdefault(query, {})[row["doc_id"]] = row["grade"]
        places = run.setdefault(query, {f"filler-{place}": float(-place) for place in range(1, 151)})
        del places[f"filler-{row['rank']}"]
        places[row["doc_id"]] = float(-row["rank"])
    return qrels, run


@pytest.mark.parametrize("pair", PAIRS)
def test_values_are_trec_eval_s(ranks: pl.DataFrame, pair: tuple[str, str, str]) -> None:
    rows = ranks.filter(scenario=pair[0], query_lang=pair[1])
    qrels, run = as_run(rows)
    cuts = ",".join(map(str, CUTOFFS))
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {f"{name}.{cuts}" for name in MEASURES.values()}).evaluate(run)
    ours = query_scores(rows)
    assert len(ours) == len(theirs) == 40
    for row in ours.to_dicts():
        for name, trec in MEASURES.items():
            for k in CUTOFFS:
                assert row[f"{name}_{k}"] == pytest.approx(theirs[row["query_id"]][f"{trec}_{k}"], abs=1e-12)


def test_reciprocal_rank_is_that_of_the_first_gold_within_k(ranks: pl.DataFrame) -> None:
    first = ranks.filter(scenario="mono", query_lang="de").group_by("query_id").agg(pl.col("rank").min())
    ours = query_scores(ranks.filter(scenario="mono", query_lang="de")).join(first, on="query_id")
    for row in ours.to_dicts():
        for k in CUTOFFS:
            assert row[f"mrr_at_{k}"] == pytest.approx(1 / row["rank"] if row["rank"] <= k else 0)


def test_files_and_keys_are_mteb_s(ranks: pl.DataFrame, tmp_path: Path) -> None:
    written = write_mteb(result(), ranks, tmp_path)
    folder = tmp_path / "bundled__multilingual-e5-small-q4" / ("ab" * 32)
    assert written == [folder / f"{name}.json" for name in ("ClirMonoRetrieval", "ClirCrossRetrieval", "model_meta")]
    mono, cross, meta = (json.loads(path.read_text("utf-8")) for path in written)
    for task, subsets, languages in (
        (mono, ["de", "en"], [["deu-Latn"], ["eng-Latn"]]),
        (cross, ["de-en", "en-de"], [["deu-Latn", "eng-Latn"], ["eng-Latn", "deu-Latn"]]),
    ):
        assert set(task) == TASK_KEYS
        assert (
            task["dataset_revision"] == "cd" * 32
            and task["kg_co2_emissions"] is None
            and task["evaluation_time"] == 2.5
        )
        scores = task["scores"]["test"]
        assert [entry["hf_subset"] for entry in scores] == subsets
        assert [entry["languages"] for entry in scores] == languages
        for entry in scores:
            assert entry["main_score"] == entry["ndcg_at_10"] and entry["accuracy"] == entry["recall_at_1"]
            assert {f"{name}_{k}" for name in (*MEASURES, "mrr_at") for k in CUTOFFS} < set(entry)
    assert mono["task_name"] == "ClirMonoRetrieval" and cross["task_name"] == "ClirCrossRetrieval"
    assert set(meta) >= META_KEYS
    assert (meta["name"], meta["revision"]) == ("bundled/multilingual-e5-small-q4", "ab" * 32)


def test_subsets_are_means_over_queries(ranks: pl.DataFrame, tmp_path: Path) -> None:
    path = write_mteb(result(), ranks, tmp_path)[0]
    german = json.loads(path.read_text("utf-8"))["scores"]["test"][0]
    qrels, run = as_run(ranks.filter(scenario="mono", query_lang="de"))
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    assert german["main_score"] == pytest.approx(sum(row["ndcg_cut_10"] for row in theirs.values()) / 40)


def test_a_scenario_without_ranks_has_no_file(ranks: pl.DataFrame, tmp_path: Path) -> None:
    written = write_mteb(result(scenarios=("mono",)), ranks.filter(scenario="mono"), tmp_path)
    assert [path.stem for path in written] == ["ClirMonoRetrieval", "model_meta"]
    assert [path.stem for path in write_mteb(result(), ranks.clear(), tmp_path / "none")] == ["model_meta"]


def test_a_model_of_the_hub_keeps_its_name_and_revision(ranks: pl.DataFrame, tmp_path: Path) -> None:
    hub = result(spec=result().spec.model_copy(update={"model": "hf:intfloat/multilingual-e5-base@refs/pr/3"}))
    folder = write_mteb(hub, ranks, tmp_path)[0].parent
    assert folder == tmp_path / "intfloat__multilingual-e5-base" / "refs__pr__3"


def test_a_corrected_model_has_a_folder_of_its_own(ranks: pl.DataFrame, tmp_path: Path) -> None:
    spec = result().spec.model_copy(update={"correction": "shift", "correction_alpha": 0.6})
    folder = write_mteb(result(spec=spec), ranks, tmp_path)[0].parent
    assert folder.parent == tmp_path / "bundled__multilingual-e5-small-q4-SHIFT-0.6"


def test_every_reference_has_an_organization() -> None:
    assert model_name("hf:intfloat/multilingual-e5-base@v1") == "intfloat/multilingual-e5-base"
    assert model_name("hf:LaBSE") == "hf/LaBSE"
    assert model_name("/models/mine/") == "local/mine"
    assert model_name("vectors:/x/run7?table=t") == "vectors/run7-t"
    assert model_name("http://h:8000/v1#BAAI/bge-m3") == "served/BAAI__bge-m3"
    assert model_name("bundled:multilingual-e5-small-q4") == "bundled/multilingual-e5-small-q4"
