"""Passages that were seen and answer nothing leave the pools; what they flatter is shown by what cannot help."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from corpus_case import write_corpus

from clir_core.audit.exposure import exposure, unseen
from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.reading import AS_IT_IS
from clir_core.runs.audit import audit
from clir_core.runs.here import Here
from clir_core.runs.runner import Runner
from clir_core.sources import frames, read_corpus
from clir_core.sources.seen import Seen

GROUPS, JUDGED, DIM = 60, 20, 48
QUESTIONS = 5  # a passage
Rows = list[dict[str, str]]


def passages(groups: range) -> Rows:
    return [
        {"doc_id": f"doc-{lang}-{group}", "group_id": f"g{group}", "lang": lang, "text": f"doc {lang} {group}"}
        for group in groups
        for lang in ("en", "de")
    ]


def questions(groups: range) -> Rows:
    return [
        {"query_id": f"ask-{lang}-{at}", "group_id": f"q{at}", "lang": lang, "text": f"ask {lang} {at}"}
        for group in groups
        for at in range(QUESTIONS * group, QUESTIONS * (group + 1))
        for lang in ("en", "de")
    ]


def corpus_in(folder: Path, documents: range, asked: range) -> str:
    queries = questions(asked)
    answers = [int(one["group_id"][1:]) // QUESTIONS for one in queries]
    qrels = [{"query_id": one["query_id"], "group_id": f"g{at}"} for one, at in zip(queries, answers, strict=True)]
    found = frames.read({"documents": passages(documents), "queries": queries, "qrels": qrels}, folder.name)
    return f"parquet:{write_corpus(found.validated(), folder)}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """60 passages, 20 of them answers. A vector is what its text is about and noise, and no language has a place."""
    place = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    about_GH = random.standard_normal((GROUPS, DIM))
    every = [("document", one["doc_id"], int(one["group_id"][1:]), 1.0) for one in passages(range(GROUPS))]
    every += [
        ("query", one["query_id"], int(one["group_id"][1:]) // QUESTIONS, 1.5) for one in questions(range(GROUPS))
    ]
    vectors = [
        {"kind": kind, "id": name, "vector": (about_GH[group] + noise * random.standard_normal(DIM)).tolist()}
        for kind, name, group, noise in every
    ]
    (place / "vectors").mkdir()
    pl.DataFrame(vectors).write_parquet(place / "vectors" / "vectors.parquet")
    return {
        "model": f"vectors:{place / 'vectors'}",
        "corpus": corpus_in(place / "asked", range(GROUPS), range(JUDGED)),
        "train": corpus_in(place / "train", range(JUDGED, GROUPS), range(JUDGED, GROUPS)),
        "workspace": str(place / "workspace"),
    }


def acc(metrics: tuple[MetricRow, ...]) -> float:
    """Mean over both languages."""
    return float(np.mean([row.value for row in metrics if (row.scenario, row.metric) == ("mono", "acc@1")]))


def test_the_trap(world: dict[str, str]) -> None:
    """A bank of the questions that distractors answer pushes down these alone: it seems to help, and does not."""
    asked = {
        "model": world["model"],
        "corpus": world["corpus"],
        "workspace": world["workspace"],
        "scenarios": ("mono",),
    }
    plain = audit(AuditSpec(**asked, seen=(world["train"],)), Here(), Runner()).result
    hub = audit(AuditSpec(**asked, correction="hub", correction_fit=world["train"]), Here(), Runner()).result
    assert plain.exposure and hub.exposure
    assert plain.exposure.distractors == hub.exposure.distractors and len(hub.exposure.distractors) == GROUPS - JUDGED
    assert {sum(pool.sizes.values()) for pool in hub.pools} == {JUDGED}
    flattered = acc(hub.metrics_with_seen) - acc(plain.metrics_with_seen)
    judged = acc(hub.metrics) - acc(plain.metrics)
    assert flattered >= 0.07 and judged <= 0.03
    # on request they are what is judged
    in_all = audit(AuditSpec(**asked, correction="hub", correction_fit=world["train"], pools="all"), Here(), Runner())
    assert in_all.result.metrics == hub.metrics_with_seen and in_all.result.metrics_with_seen == ()


def test_groups_are_known_by_id_or_by_text_in_any_language(tmp_path: Path) -> None:
    corpus = read_corpus(corpus_in(tmp_path / "all", range(6), range(2)))
    by_id = read_corpus(corpus_in(tmp_path / "some", range(1, 4), range(1, 4)))
    assert by_id.documents["group_id"].unique().to_pylist() == ["g1", "g2", "g3"]
    found = exposure(corpus, (Seen(f"parquet:{tmp_path / 'some'}", "documents"),), AS_IT_IS)
    assert found and found.distractors == ("g2", "g3") and found.answers == 1
    triples = pl.DataFrame({"group_id": ["x", "y"], "p_en": ["DOC  en 4!", "?"], "p_x": ["-", "doc de 0"]})
    triples.write_parquet(tmp_path / "triples.parquet")
    of_triples = exposure(corpus, (Seen(f"triples:{tmp_path / 'triples.parquet'}", "trained"),), AS_IT_IS)
    assert of_triples and of_triples.distractors == ("g4",) and of_triples.answers == 1
    rest = unseen(corpus, found)
    assert sorted(set(rest.documents["group_id"].to_pylist())) == ["g0", "g1", "g4", "g5"]
    assert rest.queries == corpus.queries and "left out of the pools" in rest.skipped[-1].reason
    # all documents of the corpus itself: its answers are among them, and no passage stands out
    own = f"parquet:{tmp_path / 'all'}"
    itself = exposure(corpus, (Seen(own, "documents"),), AS_IT_IS)
    assert itself and itself.distractors == () and itself.answers == 2
    # what answers the queries of a part does
    answers = exposure(corpus, (Seen(f"parquet:{tmp_path / 'some'}", "answers"),), AS_IT_IS)
    assert answers and answers.distractors == ("g2", "g3")
    assert exposure(corpus, (), AS_IT_IS) is None and unseen(corpus, None) is corpus
