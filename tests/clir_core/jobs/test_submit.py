"""Heavy steps as jobs of a standing cluster: the same bits as here, done once whatever happens to who asked."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient
from safetensors.torch import load_file

from clir_core.align.data import training_triples
from clir_core.align.result import Trained
from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.audit.result import Embedded
from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.correct.fit import fit_correction
from clir_core.errors import AlignError, CorpusError, ModelError, SpecError
from clir_core.jobs import entry, submit
from clir_core.jobs.cluster import may_pass
from clir_core.jobs.rank import in_tasks
from clir_core.jobs.requests import EmbedRequest, RankRequest, Request, TrainRequest
from clir_core.jobs.submit import do_by_job
from clir_core.jobs.token import authorization
from clir_core.jobs.train import fit
from clir_core.jobs.workers import encoders, ray_workers
from clir_core.model.checkpoint import Checkpoint
from clir_core.rank.plan import make_plan
from clir_core.rank.ranked import Ranked
from clir_core.runs.embed import count_missing, embed_corpus
from clir_core.runs.rank import open_read, rank_corpus
from clir_core.runs.train import run_directory, train
from clir_core.workspace import processes
from clir_core.workspace.steps import RESULT, read_result

PATIENCE = 120
LANGUAGES = ("de", "zh")
# as a flow's process: Prefect turns SIGTERM into an exception
RUN = """
    import sys
    from pathlib import Path
    from prefect.utilities.engine import capture_sigterm
    from clir_core.jobs import requests
    from clir_core.jobs.submit import do_by_job

    request = getattr(requests, sys.argv[2]).model_validate_json(Path(sys.argv[3]).read_text("utf-8"))
    with capture_sigterm():
        do_by_job(sys.argv[1], request, lambda: True, lambda name: print, print)
"""


class Asked:
    """What a run is told while it follows a job."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.told: list[tuple[str, int, int]] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self.told.append((name, done, total))


def until(found: Callable[[], Any]) -> Any:
    """The first answer that is not empty."""
    for _ in range(PATIENCE * 10):
        if answer := found():
            return answer
        time.sleep(0.1)
    raise TimeoutError


def free_ports(n: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


@pytest.fixture(scope="module")
def address(head: tuple[str, "subprocess.Popen[bytes]"]) -> str:
    """Of the head's dashboard."""
    return head[0]


@pytest.fixture(scope="module")
def head(ray_cluster: None) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A standing head that asks for the token, which the local cluster has made where it was missing; its dashboard.

    As many processors as the local one has: with other threads a vector may differ in its last bit.
    """
    gcs, dashboard, client, agent = free_ports(4)
    # short, as it holds sockets
    with tempfile.TemporaryDirectory(prefix="clir-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        options = {
            "--node-ip-address": "127.0.0.1",
            "--port": gcs,
            "--dashboard-host": "127.0.0.1",
            "--dashboard-port": dashboard,
            "--ray-client-server-port": client,
            "--dashboard-agent-listen-port": agent,
            "--object-store-memory": 200_000_000,
            "--num-cpus": os.cpu_count(),
            "--temp-dir": directory,
        }
        command = [sys.executable, "-m", "clir_core.jobs.node", "--head"]
        command += [str(part) for option in options.items() for part in option]
        environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_worker_niceness": "0"}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as started:
            try:
                found = f"http://127.0.0.1:{dashboard}"
                until(lambda: started.poll() is None and answers(found))
                yield found, started
            finally:
                started.terminate()


def answers(address: str) -> bool:
    try:
        submit.has_gpu(address)
    except SpecError:
        return False
    return True


def jobs(address: str, request: Request) -> list[JobDetails]:
    """All jobs that were ever submitted for a request."""
    found = JobSubmissionClient(address, headers=authorization()).list_jobs()
    return [job for job in found if (job.submission_id or "").startswith(request.job)]


def embed_request(spec: AuditSpec, checkpoint: Checkpoint, corpus: Corpus) -> EmbedRequest:
    return EmbedRequest(spec=spec, checkpoint=checkpoint, corpus=corpus.fingerprint(), fit=corpus.fingerprint())


@pytest.fixture(scope="module")
def remote(spec: AuditSpec, tmp_path_factory: pytest.TempPathFactory) -> AuditSpec:
    """The audit of the other tests, in a workspace of its own, with a correction that is fitted on what it corrects."""
    workspace = tmp_path_factory.mktemp("remote")
    return spec.model_copy(update={"workspace": workspace, "correction": "centring", "correction_fit": "demo"})


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Request], subprocess.Popen[str]]:
    """Ask for a job in a process of its own; returns when the job runs."""

    def start(request: Request) -> subprocess.Popen[str]:
        file = tmp_path_factory.mktemp("asked") / "request.json"
        file.write_text(request.model_dump_json(), "utf-8")
        command = [sys.executable, "-c", textwrap.dedent(RUN), address, type(request).__name__, str(file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        until(lambda: any(job.status == JobStatus.RUNNING for job in jobs(address, request)))
        return process

    return start


@pytest.fixture(scope="module")
def by_job(
    address: str, client: Any, remote: AuditSpec, checkpoint: Checkpoint, corpus: Corpus
) -> tuple[Embedded, Asked]:
    """Vectors that a job made; whoever asked for it first was killed meanwhile."""
    request = embed_request(remote, checkpoint, corpus)
    process = client(request)
    process.kill()
    process.communicate()
    asked = Asked()
    do_by_job(
        address, request, lambda: not count_missing(corpus, checkpoint, remote, corpus), asked.progress, asked.say
    )
    return embed_corpus(corpus, checkpoint, remote, asked.progress, corpus, encoders=encoders), asked


def test_a_job_whose_asker_was_killed_is_followed_and_runs_once(
    address: str, by_job: tuple[Embedded, Asked], remote: AuditSpec, checkpoint: Checkpoint, corpus: Corpus
) -> None:
    found, asked = by_job
    (job,) = jobs(address, embed_request(remote, checkpoint, corpus))
    assert job.status == JobStatus.SUCCEEDED and job.submission_id and job.submission_id.startswith("embed-")
    assert asked.lines[0].startswith(f"job {job.submission_id}: under way") and "embed on " in asked.lines[-1]
    passed_on = (job.runtime_env or {})["env_vars"]
    assert passed_on["HF_HUB_OFFLINE"] == passed_on["DO_NOT_TRACK"] == "1"
    n_documents, n_queries = len(corpus.documents), len(corpus.queries)
    assert {(name, total) for name, done, total in asked.told if done == total} == {
        ("embed-document", n_documents),
        ("embed-query", n_queries),
    }
    assert found.encoded == 0 and found.reused == 2 * n_documents + n_queries


def test_vectors_are_the_same_to_the_bit(by_job: tuple[Embedded, Asked], embedded: Embedded, corpus: Corpus) -> None:
    for texts, here, there in (
        (document_texts(corpus), embedded.documents, by_job[0].documents),
        (query_texts(corpus), embedded.queries, by_job[0].queries),
    ):
        tables = open_read(here), open_read(there)
        one, other = (table.vectors(table.find(texts)["row_id"].to_numpy()) for table in tables)
        assert here.uri != there.uri and len(one) == len(texts) and np.array_equal(one, other)


@pytest.mark.slow  # test_service_runs has two runs for one audit
def test_two_runs_that_wait_for_the_same_ranks_get_the_same_as_here(
    address: str,
    by_job: tuple[Embedded, Asked],
    embedded: Embedded,
    remote: AuditSpec,
    checkpoint: Checkpoint,
    corpus: Corpus,
    tmp_path: Path,
) -> None:
    ranks = remote.workspace / "steps" / "ranks-0123456789abcdef"
    request = RankRequest(
        spec=remote,
        normalize=checkpoint.normalize,
        embedded=by_job[0],
        corpus=corpus.fingerprint(),
        ranks=ranks,
    )
    both = Asked(), Asked()
    with ThreadPoolExecutor() as threads:
        asked = [
            threads.submit(do_by_job, address, request, (ranks / RESULT).exists, one.progress, one.say) for one in both
        ]
        for one in asked:
            one.result(PATIENCE)
    assert len(jobs(address, request)) == 1
    name, done, total = both[0].told[-1]
    assert both[0].told == both[1].told and name == "rank" and done == total > 0
    plan = make_plan(corpus, corpus.languages, remote.scenarios, max(remote.cutoffs), remote.seed)
    correction = fit_correction(remote, corpus, open_read(embedded.documents), None, checkpoint.normalize)
    here = rank_corpus(plan, corpus, embedded, tmp_path, lambda done, total: None, correction, in_tasks)
    assert read_result(ranks / RESULT, Ranked) == here
    for file in ("ranks.parquet", "topk.parquet"):
        assert pl.read_parquet(ranks / file).equals(pl.read_parquet(tmp_path / file))


OPTIMISER = OptimiserSpec(batch=8, learning_rate=1e-3, query_tokens=32, passage_tokens=32)


def train_request(checkpoint: Checkpoint, workspace: Path, epochs: int = 1, held_out: float = 0.1) -> TrainRequest:
    spec = AlignSpec(
        base=checkpoint.ref,
        triples=60,
        head=False,
        held_out=held_out,
        optimiser=OPTIMISER.model_copy(update={"epochs": epochs}),
        languages=LANGUAGES,
        workspace=workspace,
    )
    return TrainRequest(spec=spec, base=checkpoint, run=run_directory(spec, checkpoint, triples_of(spec)))


def triples_of(spec: AlignSpec) -> pa.Table:
    return training_triples(spec.train, spec.languages, spec.triples, spec.seed)


def test_an_error_of_the_step_arrives_as_it_was(address: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    request, asked = train_request(checkpoint, tmp_path, held_out=0.95), Asked()
    with pytest.raises(AlignError, match="groups are held out") as here:
        train(request.spec, checkpoint, triples_of(request.spec), tmp_path / "here", lambda done, total: None, fit)
    with pytest.raises(AlignError) as there:
        do_by_job(address, request, lambda: False, asked.progress, asked.say)
    assert str(there.value) == str(here.value) and not may_pass(there.value)


def driver(file: Path) -> int | None:
    """The process that does what this request asks."""
    found = subprocess.run(["ps", "-eo", "pid,args", "-ww"], capture_output=True, text=True)
    entries = [line.split() for line in found.stdout.splitlines() if "clir_core.jobs.entry" in line]
    return next((int(pid) for pid, *words in entries if words[1] == "-m" and words[-1] == str(file)), None)


def test_a_cancelled_run_stops_its_job_and_a_lost_one_may_be_tried_again(
    address: str, client: Any, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    request = train_request(checkpoint, tmp_path, epochs=100_000)
    process = client(request)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    until(lambda: [job.status for job in jobs(address, request)] == [JobStatus.STOPPED])
    # the next job has another name: Ray would mix the two up. This one is killed, as where memory runs out
    asked = Asked()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(do_by_job, address, request, lambda: False, asked.progress, asked.say)
        file = request.spec.workspace / "jobs" / f"{request.job}-2.json"
        os.kill(until(lambda: driver(file)), signal.SIGKILL)
        error = waiting.exception(PATIENCE)
    assert isinstance(error, RayError) and may_pass(error) and f"job {request.job}-2" in str(error)


@pytest.mark.slow
def test_a_stopped_training_goes_on_in_the_next_job_with_the_same_outcome(
    address: str, client: Any, ray_cluster: None, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    request = train_request(checkpoint, tmp_path / "there", epochs=60)
    process = client(request)
    until(lambda: (request.run / "states").exists() and list((request.run / "states").glob("step-*")))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    until(lambda: [job.status for job in jobs(address, request)] == [JobStatus.STOPPED])
    asked = Asked()
    do_by_job(address, request, (request.run / RESULT).exists, asked.progress, asked.say)
    there = read_result(request.run / RESULT, Trained)
    assert there and {(name, total) for name, _, total in asked.told} == {("train", len(there.steps))}
    here, _ = train(
        request.spec, checkpoint, triples_of(request.spec), tmp_path / "here", lambda done, total: None, fit
    )
    one, other = (load_file(found.checkpoint / "model.safetensors") for found in (here, there))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [step.loss for step in here.steps] == [step.loss for step in there.steps]


class TestWithoutAnswer:
    """What is wrong with the address or the token is said."""

    def says(self, address: str, *words: str) -> None:
        with pytest.raises(SpecError) as error:
            submit.has_gpu(address)
        assert all(word in str(error.value) for word in (f"ray_jobs {address!r}", "CLIR_RAY_JOBS", *words))

    def test_nothing_listens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(submit, "PATIENCE_SECONDS", 1.0)
        (port,) = free_ports(1)
        self.says(f"http://127.0.0.1:{port}", "refused")

    def test_something_else_listens(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
                self.says(f"http://127.0.0.1:{port}", "404")
            finally:
                server.terminate()

    def test_the_address_of_something_else(self) -> None:
        self.says("127.0.0.1:6379", "http://")

    def test_a_wrong_token(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        self.says(address, "Authentication failed")

    def test_another_address_that_ray_would_prefer(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_ADDRESS", address.replace("127.0.0.1", "localhost"))
        self.says(address, "RAY_ADDRESS")


def test_a_cluster_without_a_gpu(address: str) -> None:
    assert not submit.has_gpu(address)


def test_a_workspace_that_the_cluster_does_not_see(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="volume") as error:
        entry.work("embed", tmp_path / "request.json")
    assert str(tmp_path / "request.json") in str(error.value)


def test_a_checkpoint_that_is_another_on_the_cluster(remote: AuditSpec, checkpoint: Checkpoint, corpus: Corpus) -> None:
    other = checkpoint.model_copy(update={"vectors": "0" * 64})
    with pytest.raises(ModelError, match="changed meanwhile"):
        embed_request(remote, other, corpus).work(Asked().progress)


def test_every_problem_of_a_corpus_crosses(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    raised = CorpusError("corpus x: cannot be used", [f"row {row}" for row in range(30)])

    def fail(step: str, file: Path) -> None:
        raise raised

    monkeypatch.setattr(entry, "work", fail)
    monkeypatch.setattr(sys, "argv", ["entry", "embed", "request.json"])
    with pytest.raises(SystemExit):
        entry.main()
    event = json.loads(capsys.readouterr().out.removeprefix(entry.MARK))
    found = submit._error("embed-x", event)
    assert isinstance(found, CorpusError) and str(found) == str(raised) and found.problems == raised.problems


def test_requests_cross_as_they_are(remote: AuditSpec, checkpoint: Checkpoint, corpus: Corpus, tmp_path: Path) -> None:
    embedding = embed_request(remote, checkpoint, corpus)
    training = train_request(checkpoint, tmp_path, epochs=1)
    for request in (embedding, training):
        assert type(request).model_validate_json(request.model_dump_json()) == request
    # what another audit asks of the same vectors changes nothing for who makes them
    other = embedding.spec.model_copy(update={"cutoffs": (1, 5), "runtime": RuntimeSpec(workers=2)})
    assert embedding.model_copy(update={"spec": other}).job == embedding.job
    elsewhere = embedding.spec.model_copy(update={"workspace": tmp_path / "other"})
    assert embedding.model_copy(update={"spec": elsewhere}).job != embedding.job


class TestSetting:
    """Where heavy steps run is a setting of the runtime, and of nothing else."""

    ADDRESS = "http://127.0.0.1:8265"

    def test_the_environment_speaks_where_the_spec_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CLIR_RAY_JOBS", raising=False)
        assert RuntimeSpec().jobs is None and RuntimeSpec(ray_jobs=self.ADDRESS).jobs == self.ADDRESS
        monkeypatch.setenv("CLIR_RAY_JOBS", "http://127.0.0.1:1")
        assert RuntimeSpec().jobs == "http://127.0.0.1:1" and RuntimeSpec(ray_jobs=self.ADDRESS).jobs == self.ADDRESS
        assert RuntimeSpec(ray_address="127.0.0.1:6379").jobs is None
        monkeypatch.setenv("CLIR_RAY_JOBS", "")
        assert RuntimeSpec().jobs is None

    def test_it_is_no_part_of_what_names_a_result(self) -> None:
        runtime = RuntimeSpec(ray_jobs=self.ADDRESS)
        assert AuditSpec(runtime=runtime).identity() == AuditSpec().identity()
        assert AlignSpec(runtime=runtime).identity() == AlignSpec().identity()

    def test_another_kind_of_address_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="ray_jobs"):
            RuntimeSpec(ray_jobs="127.0.0.1:6379")

    def test_a_run_starts_no_cluster_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("clir_core.jobs.cluster.ray.init", partial(pytest.fail, "started"))
        with ray_workers(RuntimeSpec(ray_jobs=self.ADDRESS), print):
            pass


def test_a_node_ends_with_its_raylet_which_ends_with_any_agent(head: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    """The last test here: afterwards nothing takes jobs."""
    _, node = head
    (raylet,) = (pid for pid, command in processes.children(node.pid).items() if "raylet/raylet" in command)
    agent = next(pid for pid, command in processes.children(raylet).items() if "RuntimeEnvAgent" in command)
    os.kill(agent, signal.SIGKILL)
    assert node.wait(PATIENCE) == 1
