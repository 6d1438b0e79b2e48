"""What every request and result holds to."""

import pytest
from pydantic import ValidationError

from clir_core.spec import MOST, Spec


class Count(Spec):
    n: int | None = None


@pytest.mark.parametrize("n", [MOST, -MOST, 0, None])
def test_a_number_that_can_be_counted_stays(n: int | None) -> None:
    assert Count.model_validate_json(Count(n=n).model_dump_json()).n == n


@pytest.mark.parametrize("n", [MOST + 1, -(10**30)])
def test_one_that_cannot_is_refused(n: int) -> None:
    with pytest.raises(ValidationError, match="most that can be counted"):
        Count(n=n)
