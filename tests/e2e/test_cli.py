"""The console: its options are the fields of the spec, a bad value is one clear line, `make audit` says the same."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from clir_core.align.spec import AlignSpec, LossSpec
from clir_core.audit.spec import AuditSpec
from flows import cli
from flows.commands.align import Align
from flows.commands.audit import Audit
from flows.commands.console import spec_of

ROOT = Path(__file__).resolve().parents[2]


Asked = AuditSpec | AlignSpec


def field_names(spec: type[Asked]) -> set[str]:
    """Every field of the spec, those of its parts, also of one that may be left out, with a dot."""
    names = set()
    for name, field in spec.model_fields.items():
        parts = [kind for kind in (field.annotation, *get_args(field.annotation)) if hasattr(kind, "model_fields")]
        names |= {f"{name}.{part}" for kind in parts for part in kind.model_fields} or {name}
    return names


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `clir` in this process up to the flow itself. Returns exit code, output, errors and the spec, if any."""

    def run(*arguments: str) -> tuple[int, str, str, Asked | None]:
        specs: list[Asked] = []
        for kind, spec in ((Audit, AuditSpec), (Align, AlignSpec)):
            monkeypatch.setattr(kind, "cli_cmd", lambda asked, spec=spec: specs.append(spec_of(asked, spec)))
        monkeypatch.setattr(sys, "argv", ["clir", *arguments])
        monkeypatch.setenv("COLUMNS", "100")
        code, said = 0, ""
        try:
            cli.main()
        except SystemExit as end:
            # a message ends the process with 1, and stands on stderr
            code, said = (end.code or 0, "") if isinstance(end.code, int | None) else (1, str(end.code))
        shown = capsys.readouterr()
        return code, shown.out, shown.err + said, specs[0] if specs else None

    return run


@pytest.mark.parametrize(("name", "spec"), [("audit", AuditSpec), ("align", AlignSpec)])
def test_help_lists_every_field_of_the_spec(command, name, spec):
    code, out, _, _ = command(name, "--help")
    assert code == 0
    options = {found.replace("-", "_") for found in re.findall(r"^  --([a-z.-]+)", out, re.MULTILINE)}
    # what is no part of a spec: how the command reports
    assert options - {"server", "no_server"} == field_names(spec)
    words = " ".join(out.split())
    for field in spec.model_fields.values():
        assert field.description is None or " ".join(field.description.split()) in words


@pytest.mark.parametrize("name", ["audit", "align"])
def test_the_module_has_the_same_options_as_the_command(command, name):
    _, out, _, _ = command(name, "--help")
    module = subprocess.run(
        [sys.executable, "-m", f"flows.{name}", "--help"], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert module.returncode == 0, module.stderr
    assert module.stderr == ""
    assert module.stdout.split() == out.split()


def test_the_installed_command_is_there():
    script = Path(sys.executable).with_name("clir")
    if not script.exists():
        pytest.skip(f"no {script}: the project is not installed")
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0 and "audit" in shown.stdout


def test_options_become_the_spec(command):
    _, _, _, spec = command(
        *("audit", "--model", "m", "--corpus", "xquad:DIR", "--languages", "zh,de", "--cutoffs", "5,10", "--seed", "7"),
        *("--scenarios", "mono,multi", "--out", "o", "--encoding.max-tokens", "64", "--runtime.workers", "2"),
    )
    assert spec == AuditSpec.model_validate(
        {
            **{"model": "m", "corpus": "xquad:DIR", "languages": ("zh", "de"), "cutoffs": (5, 10), "seed": 7},
            **{"scenarios": ("mono", "multi"), "out": Path("o")},
            **{"encoding": {"max_tokens": 64}, "runtime": {"workers": 2}},
        }
    )


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("--correction lir", {"correction": "lir"}),
        ("--correction centring --correction-fit demo", {"correction": "centring", "correction_fit": "demo"}),
        ("--correction shift --correction-alpha 0.6", {"correction": "shift", "correction_alpha": 0.6}),
    ],
)
def test_a_correction_is_an_option_with_two_beside_it(command, arguments, asked):
    assert command("audit", *arguments.split())[3] == AuditSpec.model_validate(asked)


def test_no_options_are_the_default_spec(command):
    assert command("audit")[3] == AuditSpec()
    assert command("align")[3] == AlignSpec()


@pytest.mark.parametrize(
    ("loss", "meant"),
    [
        (["--loss", "paper"], "paper"),
        (["--loss", '{"jsd": 1, "info_nce": 1, "normalize": false}'], "paper"),
        (["--loss.jsd", "1", "--loss.info-nce", "1", "--loss.normalize", "false"], "paper"),
        ([], "best"),
    ],
)
def test_a_loss_is_a_preset_or_weights(command, loss, meant):
    spec = command("align", *loss, "--optimiser.batch", "8", "--gate.languages", "zh,de", "--triples", "64")[3]
    expected = {"loss": LossSpec.preset(meant), "optimiser": {"batch": 8}, "gate": {"languages": ("zh", "de")}}
    assert spec == AlignSpec.model_validate({**expected, "triples": 64})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "--seed", "x"], ["--seed", "integer"]),
        (["audit", "--scenarios", "mono,dup"], ["--scenarios", "'mono', 'cross', 'multi', 'distractor'"]),
        (["audit", "--min-retrieval", "3"], ["--min_retrieval", "less than or equal to 1"]),
        (["audit", "--runtime.workers", "-1"], ["--runtime.workers", "greater than or equal to 0"]),
        (["audit", "--encoding.max-tokens", "many"], ["--encoding.max", "tokens", "integer"]),
        (["audit", "--correction", "pca"], ["--correction", "'centring', 'mean', 'shift', 'lir', 'hub'"]),
        (["audit", "--correction", "lir", "--correction-alpha", "2"], ["--correction_alpha", "for shift alone"]),
        (["audit", "--corpora", "demo"], ["unrecognized arguments: --corpora demo"]),
        (["audit", "--model"], ["--model", "expected"]),
        (["align", "--loss", "papre"], ["--loss", "papre", "is no preset", "none, paper, infonce"]),
        (["align", "--optimiser.batch", "1"], ["--optimiser.batch", "greater than or equal to 2"]),
        (["align", "--triples", "8"], ["clir align:", "8 triples are fewer than a batch of 32"]),
        (["align", "--workers", "3"], ["clir align:", "3 workers cannot share batches of 32"]),
        (["audti"], ["invalid choice: 'audti'", "audit"]),
        ([], ["subcommand", "audit"]),
    ],
)
def test_a_bad_value_is_named_and_nothing_runs(command, arguments, words):
    code, out, said, spec = command(*arguments)
    assert code in (1, 2) and spec is None
    assert [word for word in words if word not in out + said] == [], said
    assert "Traceback" not in said and "pydantic.dev" not in said


@pytest.mark.parametrize("value", ["0", "-3", "10,0"])
def test_a_cutoff_below_one_is_refused(command, value):
    code, _, said, spec = command("audit", "--cutoffs", value)
    assert code == 1 and spec is None and "--cutoffs" in said


@pytest.mark.parametrize("asked", [{"cutoffs": ()}, {"cutoffs": (10, 10)}, {"seed": -1}])
def test_a_spec_that_cannot_be_carried_out_is_refused(asked):
    with pytest.raises(ValidationError):
        AuditSpec.model_validate(asked)


def made(*variables: str, target: str = "audit") -> list[str]:
    """What `make audit`, or another target, would run, as words, without the way to the command."""
    shown = subprocess.run(
        ["make", "-n", target, *variables], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    (line,) = (line for line in shown.stdout.splitlines() if f" flows.cli {target}" in line)
    *program, command = line.partition(" flows.cli ")
    # a script's first line would have to name the way to it, which may hold anything
    assert "".join(program) == ".venv/bin/python -m flows.cli "
    return shlex.split(command)


def test_make_audit_is_the_command_with_its_defaults(command):
    assert command(*made())[3] == AuditSpec()


def test_make_audit_passes_its_variables_on(command):
    arguments = made("CORPUS=xquad:DIR", "LANGS=zh,de", "MODEL=m", "OUT=o")
    expected = ["audit", "--model", "m", "--corpus", "xquad:DIR", "--languages", "zh,de", "--out", "o"]
    assert arguments == expected
    asked = {"corpus": "xquad:DIR", "languages": ("zh", "de"), "model": "m", "out": Path("o")}
    assert command(*arguments)[3] == AuditSpec.model_validate(asked)


def test_make_audit_takes_more_options_and_spaces(command):
    spec = command(*made("OUT=a folder", "ARGS=--seed 3 --encoding.max-tokens 64"))[3]
    assert (spec.out, spec.seed, spec.encoding.max_tokens) == (Path("a folder"), 3, 64)


def test_make_align_is_the_command_with_its_defaults(command):
    assert command(*made(target="align"))[3] == AlignSpec()


def test_make_align_passes_its_variables_on(command):
    variables = (
        "BASE=m",
        "TRAIN=xquad:DIR#train",
        "EVAL=xquad:DIR#test",
        "LANGS=zh,de",
        "OUT=a folder",
        "ARGS=--seed 3",
    )
    asked = {"base": "m", "train": "xquad:DIR#train", "evaluation": "xquad:DIR#test", "languages": ("zh", "de")}
    expected = AlignSpec.model_validate(asked | {"out": Path("a folder"), "seed": 3})
    assert command(*made(*variables, target="align"))[3] == expected
