"""Audits of models in memory: the figures of `clir audit` for a SentenceTransformer, and any object that encodes."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from clir_core import audit_model, audit_vectors, load_audit
from clir_core.audit.spec import AuditSpec
from clir_core.errors import ModelError, SpecError
from clir_core.runs.audit import audit
from clir_core.runs.here import Here
from clir_core.runs.runner import Runner
from clir_core.sources import read_corpus


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_model), device="cpu")


def test_figures_are_those_of_the_command_to_the_last_bit(
    model: SentenceTransformer, tiny_model: Path, tmp_path: Path
) -> None:
    spec = AuditSpec(
        model=str(tiny_model), languages=("de", "zh"), workspace=tmp_path / "workspace", out=tmp_path / "out"
    )
    by_command = load_audit(audit(spec, Here(), Runner()).out)
    found = audit_model(model, "demo", languages=("de", "zh"), name="tiny")
    assert found.ranks.equals(by_command.ranks) and found.top.equals(by_command.top)
    assert found.metrics.equals(by_command.metrics) and found.verdict == by_command.verdict
    # and by the vectors that the command stored
    read = by_command.result.provenance
    import lancedb

    stored = {}
    for what, table in (("documents", read.documents_table), ("queries", read.queries_table)):
        assert table
        stored[what] = lancedb.connect(table.uri).open_table(table.table).to_arrow().select(["id", "vector"])
    again = audit_vectors("demo", languages=("de", "zh"), name="tiny", **stored)
    assert again.metrics.equals(by_command.metrics)


def test_the_model_is_afterwards_as_it_was(model: SentenceTransformer) -> None:
    model.train()
    model.default_prompt_name = "query"
    kinds = [type(module) for module in model.modules()]
    try:
        audit_model(model, "demo", languages=("de",), scenarios=("mono",))
        assert model.training and model.default_prompt_name == "query"
        assert [type(module) for module in model.modules()] == kinds and nn.Linear in kinds
    finally:
        model.default_prompt_name = None
        model.eval()


def test_what_a_model_in_memory_cuts_is_counted(tiny_model: Path) -> None:
    short = SentenceTransformer(str(tiny_model), device="cpu")
    short.max_seq_length = 64
    facts = audit_model(short, "demo", languages=("de",), scenarios=("mono",)).result.facts
    queries = read_corpus("demo", ("de",)).queries.to_pylist()
    # bytes, the prompt and two marks
    longer = [row["lang"] for row in queries if len(f"query: {row['text']}".encode()) + 2 > 64]
    assert facts is not None
    assert {row.lang: row.cut_queries for row in facts.languages} == {lang: longer.count(lang) for lang in ("en", "de")}


class Hashed:
    """Encodes a text as random numbers that its length decides: queries and documents otherwise."""

    def encode_query(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([np.random.default_rng(len(text)).normal(size=8) for text in texts])

    def encode_document(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.random.default_rng(len(text) + 1).normal(size=8) for text in texts]))


class Plain:
    """Encodes every text alike."""

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        return list(Hashed().encode_query(texts))


def test_any_object_that_encodes_is_audited() -> None:
    both, one = (audit_model(model, "demo", languages=("de",), scenarios=("mono",)) for model in (Hashed(), Plain()))
    assert both.result.spec.model == "Hashed" and not both.ranks["rank"].equals(one.ranks["rank"])


def test_an_object_that_encodes_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="dict: has neither encode_query"):
        audit_model({}, "demo")


def test_a_unit_that_the_corpus_lacks_is_refused_before_anything_is_encoded() -> None:
    with pytest.raises(SpecError, match="cluster 'article': the queries of corpus demo have no such column"):
        audit_model({}, "demo", cluster="article")


def test_a_similarity_that_no_audit_knows_is_refused(tiny_model: Path) -> None:
    other = SentenceTransformer(str(tiny_model), device="cpu", similarity_fn_name="manhattan")
    with pytest.raises(ModelError, match="ranks by 'manhattan'"):
        audit_model(other, "demo")


def test_neither_prefect_nor_ray_nor_lancedb_is_imported() -> None:
    code = (
        "import sys, numpy as np, clir_core\n"
        "class Model:\n"
        "    def encode(self, texts): return np.random.default_rng(0).normal(size=(len(texts), 4))\n"
        "clir_core.audit_model(Model(), 'demo', languages=('de',))\n"
        "print([name for name in ('prefect', 'ray', 'lancedb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
