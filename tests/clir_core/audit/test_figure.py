"""A row's place in a result: its key, its scenario and share, also in results of before."""

import json

import pytest
from pydantic import ValidationError
from report_case import metric, result

from clir_core.audit.figure import by_key
from clir_core.audit.result import AuditResult, MetricRow


def test_a_key_finds_its_row() -> None:
    rows = result().metrics
    found = by_key(rows)
    assert len(found) == len(rows)
    assert found["multi", None, "de", "language_gap(complete@10)"].value == 0.24
    assert all(found[row.key] is row for row in rows)


def test_a_result_of_before_gets_its_shares_when_it_is_read() -> None:
    written = result()
    before = json.loads(written.model_dump_json())
    for row in before["metrics"]:
        del row["share"]
    read = AuditResult.model_validate_json(json.dumps(before))
    assert read == written
    shares = {row.scenario: row.share for row in read.metrics if row.share is not None}
    assert shares == {f"share(0.{tenths})": tenths / 10 for tenths in range(10)}
    assert {row.scenario_name for row in read.metrics} == {"mono", "cross", "multi", "distractor", "share"}


def test_a_share_that_is_written_is_not_read_out_of_the_label() -> None:
    row = metric("mono", "de", "de", "mrr", 0.5).model_dump()
    assert MetricRow(**row | {"scenario": "share(0.3)", "share": 0.25}).share == 0.25
    with pytest.raises(ValidationError, match="scenario"):
        MetricRow(**{name: value for name, value in row.items() if name not in ("scenario", "share")})
