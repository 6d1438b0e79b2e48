"""Every output with one hostile name, text and language tag: each shows it, and none obeys it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alignment_case import alignment, audit, contamination
from checkpoint_files import PLAIN, as_json, write
from hostile import NAME, TAG, TEXT, check_html, check_json, check_markdown, check_terminal, shows, squeezed
from prefect.logging import disable_run_logger
from report_case import LANGS, corpus, metrics, ranks, result, topk

from clir_core.align.result import AlignResult
from clir_core.align.spec import AlignSpec
from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.errors import NightlyError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.comparison import Compared
from clir_core.registry.discovery import Discovered, Problem
from clir_core.registry.facts import Audited, Decided, Found
from clir_core.registry.nightly import Judged, NightlySpec, NightlySummary, as_markdown
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList
from clir_core.report.alignment import render_alignment
from clir_core.report.alignment_table import as_markdown as alignment_markdown
from clir_core.report.card import model_card
from clir_core.report.html import render_report
from clir_core.report.mteb import write_mteb
from clir_core.report.table import as_markdown as table_markdown
from flows import cli
from flows.commands import COMMANDS, align, console
from flows.commands import audit as audit_command
from flows.commands.compare import Compare
from flows.commands.corpus import Corpus
from flows.commands.models import Models
from flows.commands.nightly import Nightly
from flows.commands.registry import History, Promote, Show, Watch
from tasks import artifacts
from tasks import compare as compare_task
from tasks import nightly as nightly_task

FOLDER = NAME.replace("/", ":")
CHECKPOINT = "c" * 64
Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: capsys.readouterr().out


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A registry that knows one checkpoint, all of whose words are hostile."""
    registry = Registry(tmp_path)
    registry.add(Found(checkpoint=CHECKPOINT, name=NAME, ref=f"/in/{NAME}", family=NAME, source=TEXT))
    failed = {"checkpoint": CHECKPOINT, "asked": "q", "corpus": NAME, "outcome": "failed", "reason": TEXT}
    registry.add(Audited.model_validate({**failed, "verdict": TEXT, "pivot": "de", "by": NAME}))
    registry.add(Decided(checkpoint=CHECKPOINT, status="rejected", reason=TEXT, by=NAME))
    return tmp_path


def hostile_audit(**changes: object) -> AuditResult:
    langs = (*LANGS, TAG)
    spec = AuditSpec(corpus=f"xquad:/data/{NAME}", model=f"/in/{FOLDER}")
    made = result(langs=langs, metrics=tuple(metrics(langs)), verdict=(TEXT, NAME), spec=spec, name=NAME)
    return made.model_copy(update=changes)


def hostile_alignment(tag: str = TAG) -> AlignResult:
    spec = alignment().spec.model_copy(update={"base": f"/in/{NAME}", "train": f"beir:/{NAME}", "evaluation": NAME})
    found = contamination(TEXT)
    finding = found.found[0].model_copy(update={"group_id": NAME})
    trained = alignment().trained.model_copy(update={"name": NAME, "languages": {"de": 5, tag: 5}})
    changes = {"contamination": found.model_copy(update={"found": (finding,)}), "trained": trained, "name": NAME}
    others = [row.model_copy(update={"lang": tag}) if row.lang == "el" else row for row in alignment().differences]
    return alignment(spec=spec, verdict=(TEXT, NAME), differences=tuple(others), **changes)


# commands


@pytest.mark.parametrize("command", [History, Show])
def test_what_is_known_is_shown(command: Any, workspace: Path, said: Said) -> None:
    asked = {"workspace": workspace} | ({"checkpoint": CHECKPOINT} if command is Show else {})
    command(**asked).cli_cmd()
    told = said()
    check_terminal(told)
    assert shows(told)
    command(**asked, format="json").cli_cmd()
    assert json.dumps(NAME)[1:-1] in json.dumps(check_json(said()))


def test_a_status_is_given(workspace: Path, said: Said) -> None:
    for form in ("table", "json"):
        Promote(checkpoint=CHECKPOINT, reason=f"{TEXT} {form}", workspace=workspace, format=form).cli_cmd()
        told = said()
        check_terminal(told)
        assert form == "json" or (shows(told) and not re.search(r"^clir: ok \(c+\)", told, re.M))


def test_a_watched_place_is_looked_at(tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.commands.registry.WIDTH", 5000)  # folded, cells of a row stand between each other
    write(tmp_path / "in" / FOLDER, PLAIN)
    write(tmp_path / "in" / f"half{FOLDER}", {"config.json": b"{}"})
    sources = [{"kind": "directory", "path": str(tmp_path / "in")}, {"kind": "directory", "path": f"/{NAME}"}]
    watched = {"version": 1, "families": [{"name": "one", "sources": sources}]}
    (tmp_path / "watch.yaml").write_text(json.dumps(watched), "utf-8")
    asked = {"watch": tmp_path / "watch.yaml", "workspace": tmp_path / "ws"}
    Watch(**asked).cli_cmd()
    told = said()
    check_terminal(told)
    assert all(shows(told, name) for name in (FOLDER, f"half{FOLDER}", NAME))
    Watch(**asked, format="json").cli_cmd()
    found = check_json(said())
    assert isinstance(found, dict) and found["seen"][0]["label"] == FOLDER


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_model_is_looked_at(form: str, tiny_model: Path, tmp_path: Path, said: Said) -> None:
    prompts = as_json({"prompts": {"query": TEXT, NAME: NAME}, "similarity_fn_name": "cosine"})
    there = {file.name: file.read_bytes() for file in tiny_model.iterdir() if file.is_file()}
    pooling = {f"1_Pooling/{file.name}": file.read_bytes() for file in (tiny_model / "1_Pooling").iterdir()}
    write(tmp_path / "in" / FOLDER, {**there, **pooling, "config_sentence_transformers.json": prompts})
    write(
        tmp_path / "in" / f"half{FOLDER}", PLAIN | {"config.json": as_json({"architectures": [f"{NAME}ForMaskedLM"]})}
    )
    Models(model=str(tmp_path / "in"), workspace=tmp_path / "ws", format=form).cli_cmd()
    told = said()
    for line in told.splitlines() if form == "json" else [told]:
        (check_json if form == "json" else check_terminal)(line)
    assert form == "json" or shows(told, FOLDER)


def test_a_corpus_is_looked_at(demo_part: Callable[..., Path], tmp_path: Path, said: Said) -> None:
    Corpus(corpus=f"parquet:{demo_part(tmp_path / FOLDER, ('de',), 3)}").cli_cmd()
    told = said()
    check_terminal(told)
    assert shows(told, FOLDER)


def called(monkeypatch: pytest.MonkeyPatch, flow: str, answer: object) -> None:
    """A flow's module that answers at once, and no server."""
    module = ModuleType(f"flows.{flow}")
    setattr(module, flow, lambda spec: answer)
    monkeypatch.setitem(sys.modules, f"flows.{flow}", module)
    monkeypatch.setattr("flows.server.prefect_server", lambda workspace: nullcontext())


def compared() -> Compared:
    decision = alignment().decision.model_copy(update={"reason": TEXT})
    places = (Path(f"/in/{FOLDER}"), Path("/after"))
    return Compared(before=NAME, after=NAME, corpus=NAME, audits=places, outcome="improved", decision=decision)


def summary() -> NightlySummary:
    judged = Judged(checkpoint="c", name=NAME, family=NAME, outcome="failed", reason=TEXT, out=Path(f"/{FOLDER}"))
    problem = Problem(place=NAME, reason=TEXT)
    return NightlySummary(judged=(judged,), known=0, waiting=(problem,), problems=(problem,))


def test_a_comparison_is_printed(workspace: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    called(monkeypatch, "compare", compared())
    Compare(workspace=workspace).cli_cmd()
    told = said()
    check_terminal(told)
    assert shows(told) and not re.search("^clir: ok against", told, re.M)


def test_a_night_is_printed(workspace: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    called(monkeypatch, "nightly", summary())
    monkeypatch.setattr("clir_core.runs.nightly.read_night", lambda spec: None)
    Nightly(workspace=workspace).cli_cmd()
    told = said()
    check_terminal(told)
    assert shows(told) and not re.search("^clir: ok: failed", told, re.M)


def test_an_audit_is_printed(tmp_path: Path, said: Said) -> None:
    (tmp_path / "audit.json").write_text(hostile_audit().model_dump_json(), "utf-8")
    audit_command._print(tmp_path)
    told = said()
    check_terminal(told)
    assert all(shows(told, name) for name in (NAME, TAG))


def test_an_alignment_is_printed(tmp_path: Path, said: Said) -> None:
    (tmp_path / "align.json").write_text(hostile_alignment().model_dump_json(), "utf-8")
    align._print(AlignSpec(workspace=tmp_path), tmp_path)
    told = said()
    check_terminal(told)
    assert all(shows(told, name) for name in (NAME, TAG))


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "--model", f"/nowhere/{NAME}"),
        ("audit", "--languages", f"en,{TAG}"),
        ("audit", "--corpus", NAME),
        ("show", NAME),
        ("watch", "--watch", f"/nowhere/{FOLDER}"),
        ("verify", f"/nowhere/{FOLDER}"),
    ],
)
def test_what_is_refused_is_named(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["clir"])
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--workspace", str(tmp_path)])
    check_terminal(str(ended.value.code))
    assert str(ended.value.code).startswith(("clir", "--"))


def test_every_command_prints_in_this_way() -> None:
    """Those that are not called here too."""
    for path in Path(console.__file__).parent.glob("*.py"):
        found = re.findall(r"(?<![\w.])print\(", path.read_text("utf-8"))
        assert len(found) == (path.name == "console.py"), path
    assert set(COMMANDS) == {
        "align", "audit", "compare", "corpus", "correct", "doctor", "embed", "history", "models", "nightly", "promote",
        "show", "verify", "watch",
    }  # fmt: skip


def test_what_is_logged_is_printed_in_this_way() -> None:
    code = (
        "import logging\nfrom flows.commands.console import say_steps\nsay_steps()\n"
        f"log = logging.getLogger('clir_core.x')\nlog.info('%s', {NAME!r})\n"
        f"try:\n    raise ValueError({NAME!r})\nexcept ValueError:\n    log.exception('%s', {TEXT!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    check_terminal(done.stderr)
    assert done.stderr.count("run[lr=1e-5]") == 3


ROOT = Path(__file__).parents[2]

# what Prefect's UI shows


class Kept:
    """The artifacts that were made, Markdown and tables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages: list[str] = []
        self.tables: list[Any] = []
        for module in (artifacts, compare_task, nightly_task):
            monkeypatch.setattr(module, "create_markdown_artifact", lambda page, **_: self.pages.append(page))
            monkeypatch.setattr(module, "create_table_artifact", lambda rows, **_: self.tables.append(rows))
        monkeypatch.setattr(artifacts, "create_link_artifact", lambda *_, **__: None)

    def check(self, *names: str) -> None:
        assert self.pages
        for page in self.pages:
            seen = squeezed(check_markdown(page))
            assert all(shows(seen, one_lined(name)) for name in names), seen
        json.dumps(self.tables)


def one_lined(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(monkeypatch)


def test_an_audits_artifacts(kept: Kept) -> None:
    artifacts.publish(hostile_audit(), Path(f"/{FOLDER}"))
    kept.check(NAME, TAG, FOLDER)


def test_an_alignments_artifacts(kept: Kept, workspace: Path) -> None:
    entry = Registry(workspace).entries()[0]
    artifacts.publish_alignment(hostile_alignment(), entry, Path(f"/{FOLDER}"))
    kept.check(NAME, TAG, FOLDER)


def test_a_comparisons_artifacts(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_task, "compare_checkpoints", lambda spec: compared())
    with disable_run_logger():
        compare_task.compare.fn(CompareSpec())
    kept.check(NAME, FOLDER)


def test_a_nights_artifacts(kept: Kept, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly_task, "judged_before", lambda *_: [])
    told = summary()
    found = Discovered(seen=(), waiting=told.waiting, problems=told.problems)
    watch = WatchList(version=1, families=[{"name": "one", "sources": [{"kind": "aligned"}]}])
    family = watch.families[0].model_copy(update={"name": NAME})  # a watch list refuses such a name
    watch = watch.model_copy(update={"families": (family,)})
    with disable_run_logger(), pytest.raises(NightlyError):
        nightly_task.publish.fn(NightlySpec(workspace=workspace), watch, "q", found, told.judged, 0)
    assert len(kept.pages) == 2
    kept.check(NAME)
    assert as_markdown(told) == kept.pages[0]


# files


def test_the_tables_of_pages_and_cards() -> None:
    for page in (table_markdown(hostile_audit()), alignment_markdown(hostile_alignment())):
        assert shows(squeezed(check_markdown(page)), TAG)


def test_the_model_card(tmp_path: Path) -> None:
    write(
        tmp_path / "base",
        {**PLAIN, "README.md": f"---\nlicense: {json.dumps(NAME)}\nbase_model: {json.dumps(NAME)}\n---\n".encode()},
    )
    base = resolve(str(tmp_path / "base"), EncodingSpec(query_prompt=TEXT, document_prompt=NAME), tmp_path, "float32")
    # its front matter takes no tag that is none, and nor does a corpus
    card = model_card(hostile_alignment("el"), base, audit(0), audit(1).model_copy(update={"verdict": (TEXT,)}))
    front, _, page = card.removeprefix("---\n").partition("\n---\n")
    assert "license" in front
    seen = squeezed(check_markdown(page))
    assert all(shows(seen, one_lined(name)) for name in (NAME, TEXT))


def test_the_pages() -> None:
    check_html(render_report(hostile_audit(), ranks(), topk(), corpus(hostile=True)))
    check_html(render_alignment(hostile_alignment(), audit(0), audit(1).model_copy(update={"verdict": (TEXT,)})))


def test_mtebs_files(tmp_path: Path) -> None:
    written = write_mteb(hostile_audit(), ranks(), tmp_path / "mteb")
    assert written and all(file.resolve().is_relative_to(tmp_path / "mteb") for file in written)
    assert all(json.loads(file.read_text("utf-8")) for file in written)
