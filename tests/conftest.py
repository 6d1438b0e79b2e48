"""What several tests need: data, within the repository and outside, checkpoints large and small, a Ray cluster."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clir_core import telemetry

# before anything imports them: no hub is asked, nothing is reported
os.environ |= {**telemetry.OFF, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from embeddings_server import Server

# a machine that is shared is slow at times: how long an example takes says nothing of what it shows
settings.register_profile("shared machine", deadline=None, max_examples=40)
# a night's work: CLIR_HYPOTHESIS=long
settings.register_profile("long", deadline=None, max_examples=100_000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("CLIR_HYPOTHESIS", "shared machine"))

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = _ROOT.parent / "shared" / "data"
_TOGETHER = ("deployments", "e2e")  # each folder shares a server, which takes half a minute to start


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests, one does a file, or a folder that shares a server."""
    from xdist.scheduler import LoadFileScheduling

    class ByServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = nodeid.split("/")[1]
            return folder if folder in _TOGETHER else super()._split_scope(nodeid)

    return ByServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These folders take longest, so they begin."""
    items.sort(key=lambda item: item.path.relative_to(_ROOT / "tests").parts[0] not in _TOGETHER)


@pytest.fixture(scope="session")
def xquad_dir() -> Path:
    """XQuAD's folder: CLIR_XQUAD, or shared/data/xquad beside the repository."""
    directory = Path(os.environ.get("CLIR_XQUAD", _SHARED / "xquad"))
    if not (directory / "xquad.en.json").exists():
        pytest.skip(f"XQuAD is not at {directory}; set CLIR_XQUAD to the folder that holds xquad.en.json")
    return directory


@pytest.fixture(scope="session")
def demo_part() -> Callable[..., Path]:
    """`corpus_case.write_demo_part`: some groups of the demo corpus, in some languages, as a Parquet corpus."""
    from corpus_case import write_demo_part

    return write_demo_part


@pytest.fixture(scope="session")
def bundled_checkpoint() -> Path:
    """The bundled model, unpacked once and kept for later runs, until what unpacks it changes.

    Below CLIR_TEST_CACHE, or .clir/test.
    """
    from clir_core.model import bundled, packed

    cache = Path(os.environ.get("CLIR_TEST_CACHE", _ROOT / ".clir" / "test"))
    code = hashlib.sha256(Path(packed.__file__).read_bytes()).hexdigest()
    return bundled.unpack(cache / f"models-{code[:12]}")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers and 32 dimensions that reads any text as bytes, in the layout of a real checkpoint.

    Always the same weights. 128 positions; prompts `query: ` and `passage: `; mean pooling, normalised.
    """
    from tiny_case import write_tiny

    return write_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local Ray cluster for the whole session: starting one takes seconds."""
    from clir_core.jobs.cluster import cluster

    with cluster(None):
        yield


@pytest.fixture(scope="session")
def _embeddings_server(tiny_model: Path) -> Iterator["Server"]:
    from embeddings_server import serving

    with serving(tiny_model) as server:
        yield server


@pytest.fixture
def embeddings_server(_embeddings_server: "Server", monkeypatch: pytest.MonkeyPatch) -> "Server":
    """The tiny model, served by a process of its own, which answers well until a test has it behave otherwise."""
    for name in ("CLIR_EMBEDDINGS_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID"):
        monkeypatch.delenv(name, raising=False)
    _embeddings_server.behave()
    return _embeddings_server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk of so many KiB and return where it is; a test that may not mount is skipped."""
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        directory = tmp_path / f"disk{len(mounted)}"
        directory.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(directory)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small disk cannot be mounted here: {getattr(error, 'stderr', error)}".strip())
        mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        subprocess.run(["umount", "-l", str(directory)], check=True)
