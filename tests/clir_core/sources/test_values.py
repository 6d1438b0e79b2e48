"""Single values as others write them: what they are, and what has no meaning."""

from decimal import Decimal

import pytest

from clir_core.sources.values import grade_of, id_of, text_of

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", "1"),
        (1, "1"),
        (1.0, "1"),
        (Decimal("3"), "3"),
        (2**70, str(2**70)),
        ("1.0", "1.0"),
        (None, None),
        (NAN, None),
    ],
)
def test_ids(value, expected):
    assert id_of(value) == expected


@pytest.mark.parametrize("value", [1.5, True, [1], {"a": 1}, 2.0**60, float("inf")])
def test_what_is_no_id(value):
    with pytest.raises(ValueError, match="write"):
        id_of(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), (1984, "1984"), (1984.0, "1984"), (0.5, "0.5"), (None, None), (NAN, None)]
)
def test_texts(value, expected):
    assert text_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2),
        ("2", 2),
        ("1.0", 1),
        (1.0, 1),
        (" -1 ", -1),
        (True, 1),
        (None, None),
        ("", None),
        (NAN, None),
        ("nan", None),
    ],
)
def test_grades(value, expected):
    assert grade_of(value) == expected


@pytest.mark.parametrize("value", [0.5, "0.5", "high", [1]])
def test_what_is_no_grade(value):
    with pytest.raises(ValueError, match="is not a whole number; write 0 for not relevant"):
        grade_of(value)


@pytest.mark.parametrize("value", [2**31, -(2**31), "2147483648", 1e300, "1e400", 10**400, "inf", float("-inf")])
def test_a_grade_that_is_too_large_is_called_so(value):
    assert grade_of(2**31 - 1) == 2**31 - 1
    with pytest.raises(ValueError, match=r"is beyond 2,147,483,647, the largest grade; write 0 for"):
        grade_of(value)
