"""Whatever a request holds, as JSON or on the command line: a spec that JSON keeps as it is, or what is wrong."""

import io
import json
from contextlib import redirect_stderr, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.measure.gate_spec import GateSpec
from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.health import HealthSpec
from clir_core.registry.nightly import NightlySpec
from clir_core.spec import Spec
from flows.cli import command

SPECS: tuple[type[Spec], ...] = (AuditSpec, EmbedSpec, AlignSpec, NightlySpec, CompareSpec, GateSpec, HealthSpec)
TEXTS = st.sampled_from(
    (
        "", " ", "en", "de", "xx", "paper", "none", "lora", "{}", '{"jsd":1}', '{"jsd":', "[", "[1,", "null",
        "shift", "mono", "multi", "acc@1", "complete@10", "1", "-1", "0.5", "nan", "inf", "1e400", "1_0", "9" * 5_000,
        '{"a":' * 20_000, "[" * 20_000, "\ud800", "\udcff", "\x00", "a\x00b", "x" * 300, "~nobody", "http://u:p@h/v1#m",
        "http://[", "vectors:", "hf:", "run:", "bundled:x", "documents.text=body", "documents.text=\udcff", "#", "--",
    )
) | st.text(max_size=4)  # fmt: skip
NUMBERS = st.sampled_from((0, 1, -1, 2, 10, 2**31, 2**63, 10**30, 0.5, 1e308)) | st.integers() | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS


def names_of(spec: type[Spec]) -> list[tuple[str, ...]]:
    """Every field, those of inner specs by their paths."""
    inner = {name: type(value.default) for name, value in spec.model_fields.items() if isinstance(value.default, Spec)}
    inside = [(name, *rest) for name, kind in inner.items() for rest in names_of(kind)]
    return [*((name,) for name in spec.model_fields), *inside]


def values(spec: type[Spec]) -> st.SearchStrategy[dict[str, Any]]:
    """Fields with values of any kind."""
    return st.dictionaries(
        st.sampled_from(sorted({name for path in names_of(spec) for name in path})) | TEXTS,
        st.recursive(
            LEAVES, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS | NAMES, inside, max_size=3)
        ),
        max_size=3,
    )


NAMES = st.sampled_from(sorted({name for spec in SPECS for path in names_of(spec) for name in path}))


@given(st.sampled_from(SPECS).flatmap(lambda spec: st.tuples(st.just(spec), values(spec))))
def test_values_are_a_spec_that_json_keeps_or_refused(asked: tuple[type[Spec], dict[str, Any]]) -> None:
    kind, fields = asked
    with suppress(ValidationError):
        check(kind.model_validate(fields))
    with suppress(ValidationError):
        check(kind.model_validate_json(json.dumps(fields)))


@given(st.sampled_from(SPECS), st.binary() | st.text(alphabet='{}[]",:1e-nul ').map(str.encode))
def test_so_is_any_json(kind: type[Spec], data: bytes) -> None:
    with suppress(ValidationError):
        check(kind.model_validate_json(data))


def check(spec: Spec) -> None:
    again = type(spec).model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()
    assert type(spec).model_validate(spec.model_dump(mode="json")).fingerprint() == spec.fingerprint()


COMMANDS: dict[str, type[Spec]] = {
    "audit": AuditSpec,
    "embed": EmbedSpec,
    "align": AlignSpec,
    "nightly": NightlySpec,
    "compare": CompareSpec,
}
OPTIONS = {name: [".".join(path).replace("_", "-") for path in names_of(spec)] for name, spec in COMMANDS.items()}


@given(st.sampled_from(sorted(COMMANDS)), st.data())
def test_a_command_line_is_a_command_or_one_message(name: str, data: st.DataObject) -> None:
    option = st.sampled_from(OPTIONS[name]).map("--{}".format)
    chosen = data.draw(st.lists(st.tuples(option, TEXTS | NUMBERS.map(str)), min_size=1, max_size=2))
    arguments = [name, *(part for pair in chosen for part in pair)]
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            spec = command(arguments)
    except SystemExit as ended:
        told = ended.code if isinstance(ended.code, str) else said.getvalue()
        assert told and "Traceback" not in told
    else:
        check(COMMANDS[name].model_validate({field: getattr(spec, field) for field in COMMANDS[name].model_fields}))


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_a_value_without_bottom_is_one_message(opening: str) -> None:
    with pytest.raises(SystemExit, match=r"clir audit: a value .*; ") as ended:
        command(["audit", "--encoding", opening * 100_000])
    assert "\n" not in str(ended.value.code)
