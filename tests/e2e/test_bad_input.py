"""Bad input: one clear message, a failed flow run that shows it, exit code 1, and the earlier result as it was."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from message_case import Snapshot, says, snapshot

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.errors import ClirError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, demo_part: Callable[..., Path]) -> Path:
    """A good corpus in English and German."""
    return demo_part(tmp_path_factory.mktemp("good") / "corpus", ("de",), 8)


@pytest.fixture(scope="module")
def good(corpus: Path, tiny_model: Path, run_flow: Callable[..., Any]) -> AuditSpec:
    """An audit that went well."""
    folder = corpus.parent
    spec = AuditSpec(
        model=str(tiny_model),
        corpus=f"parquet:{corpus}",
        languages=("de",),
        scenarios=("mono", "multi", "distractor"),
        workspace=folder / "workspace",
        out=folder / "out",
    )
    state = run_flow(spec)
    assert state.is_completed(), state.message
    return spec


@pytest.fixture
def earlier(good: AuditSpec, tmp_path: Path) -> Path:
    """A directory with an earlier good result."""
    return Path(shutil.copytree(good.out, tmp_path / "out"))


@pytest.fixture
def fails(good: AuditSpec, run_flow: Callable[..., Any], earlier: Path, prefect_api: str) -> Callable[..., str]:
    """Ask for what cannot be done. Returns the one message, having checked all that holds for every failure."""

    def run(**asked: Any) -> str:
        from prefect.client.orchestration import get_client

        spec = AuditSpec.model_validate(good.model_dump() | {"out": earlier} | asked)
        before = snapshot(spec.out)
        state = run_flow(spec)
        error = state.result(raise_on_failure=False)
        assert isinstance(error, ClirError), repr(error)
        message = str(error)
        with get_client(sync_client=True) as client:
            shown = client.read_flow_run(state.state_details.flow_run_id).state
        assert shown.type.value == "FAILED"
        assert shown.message == f"Flow run encountered an exception: {type(error).__name__}: {message}"
        assert snapshot(spec.out) == before
        return message

    return run


@pytest.fixture(scope="module", autouse=True)
def unreachable(good: AuditSpec, prefect_api: str) -> Iterator[tuple[subprocess.Popen[str], Path, Snapshot]]:
    """The console, asked for a cluster that is not there: Ray gives up after half a minute, the other tests go on."""
    out = Path(shutil.copytree(good.out, good.out.with_name("unreachable")))
    command = [sys.executable, "-m", "flows.cli", *asked(good, out=out, **{"runtime.ray-address": "ray://127.0.0.1:1"})]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PREFECT_API_URL": prefect_api},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, out, snapshot(out)
    process.kill()


def test_an_unknown_language(fails, corpus):
    says(fails(languages=("klingon",)), "corpus corpus", "'klingon' is not a BCP-47 code", "it has documents in de, en")


def test_a_language_that_the_corpus_lacks(fails):
    message = fails(languages=("de", "fr"))
    says(message, "'fr' is not in the corpus", "it has documents in de, en", "ask for one of these")
    assert "BCP-47" not in message


def rewritten(corpus: Path, target: Path, change: Callable[[pa.Table], pa.Table]) -> str:
    """A copy of the corpus whose three tables went through `change`."""
    shutil.copytree(corpus, target)
    for file in target.glob("*.parquet"):
        pq.write_table(change(pq.read_table(file)), file)
    return f"parquet:{target}"


def test_an_empty_corpus(fails, corpus, tmp_path):
    empty = rewritten(corpus, tmp_path / "empty", lambda table: table.slice(0, 0))
    says(fails(corpus=empty), "corpus empty", "there are no documents", "there are no queries", "a corpus needs some")


def test_an_empty_directory(fails, tmp_path):
    (tmp_path / "nothing").mkdir()
    for kind, file in {"parquet": "documents.parquet", "xquad": "xquad.en.json", "beir": "corpus.jsonl"}.items():
        says(fails(corpus=f"{kind}:{tmp_path / 'nothing'}"), tmp_path / "nothing", file)


def test_no_directory_at_all(fails, tmp_path):
    says(fails(corpus=f"beir:{tmp_path / 'gone'}"), tmp_path / "gone", "does not exist", "give the folder")


def test_parquet_cut_in_the_middle(fails, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "cut")
    file = tmp_path / "cut" / "documents.parquet"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    says(fails(corpus=f"parquet:{tmp_path / 'cut'}"), file, "cannot be read as Parquet", "write or fetch it again")


def xquad(directory: Path) -> Path:
    """Two paragraphs of XQuAD's form in English and German."""
    directory.mkdir()
    for lang, words in {"en": ("moon", "sun"), "de": ("Mond", "Sonne")}.items():
        paragraphs = [
            {"context": f"{word} {lang}", "qas": [{"id": f"q{i}", "question": f"{word}?"}]}
            for i, word in enumerate(words)
        ]
        (directory / f"xquad.{lang}.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), "utf-8")
    return directory


def test_json_cut_in_the_middle(fails, tmp_path):
    file = xquad(tmp_path / "xquad") / "xquad.de.json"
    file.write_text(file.read_text("utf-8")[:100], "utf-8")
    says(fails(corpus=f"xquad:{file.parent}"), file, "JSON", "fetch")


def test_json_lines_cut_in_the_middle(fails, tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "en/1", "text": "moon"}\n{"_id": "en/2", "te', "utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "moon?"}\n', "utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ten/1\t1\n", "utf-8")
    says(fails(corpus=f"beir:{folder}"), folder / "corpus.jsonl", "row 2", "JSON")


def test_every_problem_of_a_corpus_is_said_at_once(fails, corpus, tmp_path):
    def spoil(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        if "doc_id" in table.column_names and "text" in table.column_names:
            rows[1]["text"], rows[2]["doc_id"] = " ", rows[0]["doc_id"]
        return pa.Table.from_pylist(rows, table.schema)

    message = fails(corpus=rewritten(corpus, tmp_path / "spoilt", spoil))
    says(message, "documents.parquet, row 2", "is empty", "documents.parquet, row 3", "was used before")


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be spoilt."""
    return Path(shutil.copytree(tiny_model, tmp_path / "spoilt-model"))


def test_a_checkpoint_without_weights(fails, model):
    (model / "model.safetensors").unlink()
    says(fails(model=str(model)), model, "has no weights (*.safetensors)", "is this the checkpoint's own directory?")


def test_pickled_weights(fails, model):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    says(fails(model=str(model)), model, "pytorch_model.bin", "pickles can run code", "save_pretrained")


def test_a_model_that_is_not_there(fails, tmp_path):
    says(fails(model=str(tmp_path / "no-model")), tmp_path / "no-model", "no such directory", "hf:org/name@revision")


def spoil_weights(model: Path) -> None:
    """Write NaN into every weight."""
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    save_file({name: weight * float("nan") for name, weight in weights.items()}, model / "model.safetensors")


def vectors_of(tables: Path) -> Snapshot:
    """The files that hold rows, of every table below a directory."""
    return {name: digest for name, digest in snapshot(tables).items() if "/data/" in name}


def test_a_dimension_that_does_not_fit_the_table(fails, good, tmp_path):
    from clir_core.rank.store import VectorTable

    name = AuditResult.model_validate_json(
        (good.out / "audit.json").read_text("utf-8")
    ).provenance.documents_table.table
    uri = str(tmp_path / "workspace" / "lancedb")
    VectorTable.create(uri, name, 48)
    message = fails(workspace=tmp_path / "workspace")
    says(message, uri, name, "vectors of 48 dimensions", "the model gives 32", "delete it, or choose another workspace")
    assert VectorTable(uri, name).dim == 48


PAGE = 4096


def pages(directory: Path) -> int:
    """Pages that the files below a directory take on a small disk."""
    return sum(-(-path.stat().st_size // PAGE) for path in directory.rglob("*") if path.is_file())


def fill(disk: Path, leave: int) -> None:
    """Fill a disk but for so many pages."""
    (disk / "filler").write_bytes(b"x" * PAGE * (shutil.disk_usage(disk).free // PAGE - leave))


FULL = ("no space left", "free some or set `workspace` to another disk", "then run again")


def test_a_full_disk_under_the_vectors(fails, small_disk):
    disk = small_disk(48)
    says(fails(workspace=disk / "workspace"), disk, *FULL)


@pytest.mark.parametrize(
    "part", [0.0, pytest.param(0.3, marks=pytest.mark.slow), pytest.param(0.6, marks=pytest.mark.slow), 0.9]
)
def test_a_full_disk_under_the_ranks_and_metrics(fails, good, small_disk, part):
    """The vectors are there, and stay; what comes after them has room in part."""
    disk = small_disk(4096)
    vectors = shutil.copytree(good.workspace / "lancedb", disk / "workspace" / "lancedb")
    (disk / "workspace" / "steps").mkdir()
    before = vectors_of(vectors)
    fill(disk, int(part * pages(good.workspace / "steps")))
    says(fails(workspace=disk / "workspace"), disk / "workspace", *FULL)
    assert vectors_of(vectors) == before


@pytest.mark.parametrize(
    "part", [0.0, pytest.param(0.3, marks=pytest.mark.slow), pytest.param(0.6, marks=pytest.mark.slow), 0.9]
)
def test_a_full_disk_under_the_result(fails, good, small_disk, part):
    disk = small_disk(4096)
    shutil.copytree(good.out, disk / "out")
    fill(disk, int(part * pages(good.out)))
    message = fails(out=disk / "out")
    says(message, disk / "out", "No space left on device", "set `out` to another place", "as it was")
    assert {path.name for path in (disk / "out").iterdir()} == {path.name for path in good.out.iterdir()}


def test_a_result_where_a_file_is_in_the_way(good, run_flow, tmp_path):
    (tmp_path / "taken").write_text("mine")
    state = run_flow(good.model_copy(update={"out": tmp_path / "taken"}))
    says(str(state.result(raise_on_failure=False)), tmp_path / "taken", "cannot be written", "set `out`")
    assert (tmp_path / "taken").read_text() == "mine"


def asked(spec: AuditSpec, **changed: object) -> list[str]:
    """The console's arguments for a spec."""
    values = {
        "model": spec.model,
        "corpus": spec.corpus,
        "languages": ",".join(spec.languages),
        "workspace": spec.workspace,
        "out": spec.out,
        **changed,
    }
    return ["audit", *(part for name, value in values.items() for part in (f"--{name}", str(value)))]


def flow_run_into(out: Path) -> Any:
    """The flow run that was to write into a directory, as the Prefect API knows it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        newest = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=100)
    return next(run for run in newest if run.parameters["spec"]["out"] == str(out))


def check_console(code: int, stdout: str, stderr: str, out: Path, *words: object) -> None:
    """Exit code 1, the message once on stderr, no traceback, and a failed flow run that shows it as well."""
    assert (code, stdout) == (1, "")
    assert "Traceback" not in stderr
    assert stderr.count("clir: ") == 1
    says(stderr.partition("clir: ")[2], *words)
    state = flow_run_into(out).state
    assert state.type.value == "FAILED"
    for word in words:
        assert (stderr.count(str(word)), state.message.count(str(word))) == (1, 1)


def test_the_console_prints_the_message_once_and_exits_with_1(clir, good, earlier):
    before = snapshot(earlier)
    done = clir(*asked(good, languages="klingon", out=earlier))
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr
    assert done.stderr.startswith("clir: ")  # nor Prefect nor Ray had started, to say anything before
    says(done.stderr, "corpus corpus", "'klingon' is not a BCP-47 code", "it has documents in de, en")
    assert snapshot(earlier) == before


def test_a_model_whose_vectors_are_nan(fails, model):
    """The error comes out of a Ray worker."""
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    save_file({name: weight * float("nan") for name, weight in weights.items()}, model / "model.safetensors")
    words = (model, "vectors hold NaN", "the checkpoint is damaged or overflows in float32")
    says(fails(model=str(model)), *words)


def test_an_unreachable_ray_cluster(unreachable, prefect_api):
    process, out, before = unreachable
    stdout, stderr = process.communicate(timeout=120)
    words = ("ray_address 'ray://127.0.0.1:1'", "no Ray cluster answers there", "empty starts a local one")
    check_console(process.returncode, stdout, stderr, out, *words)
    assert snapshot(out) == before


def test_a_full_disk_with_a_prefect_server_of_its_own(clir, good, small_disk):
    """Without a configured server the run's history needs room as well; there is none to show a failed run."""
    disk = small_disk(4096)
    done = clir(*asked(good, workspace=disk / "workspace"), env={"PREFECT_API_URL": ""})
    assert done.returncode == 1
    assert done.stderr.count("no space left") == 1
    assert str(disk / "workspace") in done.stderr and "set `workspace` to another disk" in done.stderr
    assert "Traceback" not in done.stderr
