"""A spec's identity names steps, tags and results of workspaces that are years old, and its fields stand in forms."""

import pytest
from pydantic import TypeAdapter, ValidationError

from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.correct.spec import Corrects
from clir_core.rank.index_spec import Indexes

CORRECTED = AuditSpec(
    corpus="xquad:/x#test",
    languages=("de", "zh"),
    cutoffs=(10, 100),
    correction="shift",
    correction_fit="demo",
    correction_alpha=0.5,
    seed=3,
)


@pytest.mark.parametrize(
    ("spec", "identity", "asked"),
    [  # where they change, nightly audits everything again
        (AuditSpec(), "2a50bec31c754da5aa160fce", "41060467b4965e025aa64044"),
        (CORRECTED, "1031826df427322f70ad731e", "51e0ccedb793efc1814db5a8"),
    ],
)
def test_an_identity_stays_what_it_is(spec: AuditSpec, identity: str, asked: str) -> None:
    assert (spec.identity()[:24], spec.asked("00")[:24]) == (identity, asked)


def test_clusters_are_part_of_an_identity() -> None:
    specs = [AuditSpec(cluster=unit) for unit in ("passage", "query", "topic")]
    assert len({spec.identity() for spec in specs}) == len({spec.asked("00") for spec in specs}) == 3
    assert [spec.model_dump()["cluster"] for spec in specs] == ["passage", "query", "topic"]
    with pytest.raises(ValidationError, match="at least 1 character"):
        AuditSpec(cluster="")


def test_codes_of_one_language_ask_one_thing() -> None:
    spec = AuditSpec(languages=("deu", "zho_Hans"), pivot="ENG")
    assert (spec.languages, spec.pivot) == (("de", "zh"), "en")
    assert spec.identity() == AuditSpec(languages=("de", "zh")).identity()
    with pytest.raises(ValidationError, match="stands there twice"):
        AuditSpec(languages=("de", "deu"))
    assert AuditSpec(languages=("german",)).languages == ("german",)  # the corpus says what was meant


def test_a_request_of_before_is_one_for_the_default() -> None:
    asked = AuditSpec().model_dump(mode="json", exclude={"cluster"})
    assert AuditSpec.model_validate(asked) == AuditSpec()


def test_forms_ask_what_is_audited_first_and_where_it_goes_last() -> None:
    reading = ["columns", "titles", "parallel", "pivot"]
    assert list(EmbedSpec.model_fields) == [
        "model",
        "corpus",
        "languages",
        *reading,
        "encoding",
        "runtime",
        "workspace",
    ]
    middle = ["scenarios", "cutoffs", *Indexes.model_fields, *Corrects.model_fields, "seen", "pools", "seed", "cluster"]
    middle += ["min_inclination", "min_retrieval"]
    first, last = ["model", "corpus", "languages"], [*reading, "encoding", "runtime", "workspace", "out"]
    assert list(AuditSpec.model_fields) == [*first, *middle, *last]


@pytest.mark.parametrize("spec", [EmbedSpec(), EmbedSpec(languages=("de",)), AuditSpec(), CORRECTED])
def test_a_request_of_a_job_comes_back_as_what_it_was(spec: EmbedSpec) -> None:
    either: TypeAdapter[EmbedSpec | AuditSpec] = TypeAdapter(EmbedSpec | AuditSpec)
    again = either.validate_json(either.dump_json(spec))
    assert again == spec and type(again) is type(spec)


@pytest.mark.parametrize("field", ["languages", "scenarios", "cutoffs"])
def test_what_is_named_twice_is_refused(field: str) -> None:
    value = {"languages": "de", "scenarios": "mono", "cutoffs": 5}[field]
    with pytest.raises(ValidationError, match=f"{value}, {value}: one of these stands there twice"):
        AuditSpec(**{field: (value, value)})
