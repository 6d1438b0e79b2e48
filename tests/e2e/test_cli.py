"""The console: its options are the fields of the spec, a bad value is one clear line, `make audit` says the same."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from clir_core.audit import AuditSpec
from flows import cli

ROOT = Path(__file__).resolve().parents[2]


def field_names() -> set[str]:
    """Every field of the spec, those of its parts with a dot."""
    names = set(AuditSpec.model_fields) - {"encoding", "runtime"}
    for part in ("encoding", "runtime"):
        names |= {f"{part}.{name}" for name in AuditSpec.model_fields[part].annotation.model_fields}
    return names


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `clir` in this process up to the audit itself. Returns exit code, output, errors and the spec, if any."""

    def run(*arguments: str) -> tuple[int, str, str, AuditSpec | None]:
        specs: list[AuditSpec] = []
        monkeypatch.setattr(cli, "run_audit", specs.append)
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


def test_help_lists_every_field_of_the_spec(command):
    code, out, _, _ = command("audit", "--help")
    assert code == 0
    options = {found.replace("-", "_") for found in re.findall(r"^  --([a-z.-]+)", out, re.MULTILINE)}
    assert options == field_names()
    words = " ".join(out.split())
    for field in AuditSpec.model_fields.values():
        assert field.description is None or " ".join(field.description.split()) in words


def test_the_module_has_the_same_options_as_the_command(command):
    _, out, _, _ = command("audit", "--help")
    module = subprocess.run(
        [sys.executable, "-m", "flows.audit", "--help"], capture_output=True, text=True, cwd=ROOT, timeout=120
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


def test_no_options_are_the_default_spec(command):
    assert command("audit")[3] == AuditSpec()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "--seed", "x"], ["--seed", "integer"]),
        (["audit", "--scenarios", "mono,dup"], ["--scenarios", "'mono', 'cross', 'multi', 'distractor'"]),
        (["audit", "--resamples", "3"], ["--resamples", "greater than or equal to 100"]),
        (["audit", "--runtime.workers", "-1"], ["--runtime.workers", "greater than or equal to 0"]),
        (["audit", "--encoding.max-tokens", "many"], ["--encoding.max", "tokens", "integer"]),
        (["audit", "--corpora", "demo"], ["unrecognized arguments: --corpora demo"]),
        (["audit", "--model"], ["--model", "expected"]),
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


def made(*variables: str) -> list[str]:
    """What `make audit` would run, as words, without the way to the command."""
    shown = subprocess.run(
        ["make", "-n", "audit", *variables], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    (line,) = (line for line in shown.stdout.splitlines() if "/clir audit" in line)
    program, *arguments = shlex.split(line)
    assert program == ".venv/bin/clir"
    return arguments


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
