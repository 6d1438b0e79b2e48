"""Labels of pools: what files of before called them, and the way back to scenario and share."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_core.scenarios.label import label, name_in, share_in, with_share


@given(st.sampled_from(["mono", "share", "mirror_2"]), st.none() | st.integers(0, 10).map(lambda tenths: tenths / 10))
def test_name_and_share_are_found_again(name: str, share: float | None) -> None:
    assert (name_in(label(name, share), share), share_in(label(name, share))) == (name, share)


@pytest.mark.parametrize(("name", "share", "called"), [("mono", None, "mono"), ("share", 0.3, "share(0.3)")])
def test_labels_are_those_of_before(name: str, share: float | None, called: str) -> None:
    assert label(name, share) == called


def test_rows_of_before_get_their_share() -> None:
    rows = pl.DataFrame({"scenario": ["mono", "share(0.0)", "share(0.7)"]})
    assert with_share(rows)["share"].to_list() == [None, 0.0, 0.7]
    assert with_share(rows.head(1))["share"].dtype == pl.Float64
    new = rows.with_columns(share=pl.lit(0.5))
    assert with_share(new).equals(new)
