"""The demo corpus in three languages, embedded once with Ray and the tiny model, for the tests of both jobs."""

from pathlib import Path

import pytest

from clir_core.audit.result import Embedded
from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.jobs.workers import encoders
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.runs.embed import embed_corpus
from clir_core.sources import read_corpus
from clir_core.workspace.progress import unseen


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return read_corpus("demo", ("de", "zh"))


@pytest.fixture(scope="session")
def checkpoint(tiny_model: Path) -> Checkpoint:
    return resolve(str(tiny_model), EncodingSpec(), Path("/dev/null"), "float32")


@pytest.fixture(scope="session")
def spec(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> AuditSpec:
    runtime = RuntimeSpec(workers=1, block_documents=50)
    return AuditSpec(
        model=checkpoint.ref, languages=("de", "zh"), runtime=runtime, workspace=tmp_path_factory.mktemp("workspace")
    )


@pytest.fixture(scope="session")
def embedded(ray_cluster: None, corpus: Corpus, checkpoint: Checkpoint, spec: AuditSpec) -> Embedded:
    """What the first audit of this workspace stored."""
    return embed_corpus(corpus, checkpoint, spec, unseen, encoders=encoders)
