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


@pytest.mark.parametrize("value", [0.5, "0.5", "high", 2**31, "inf", [1]])
def test_what_is_no_grade(value):
    with pytest.raises(ValueError, match="is not a whole number; write 0 for not relevant"):
        grade_of(value)
