"""Single values as others write them: 1, 1.0 and "1" are one id, a NaN is nothing, a grade is a whole number.

Every function raises ValueError with what is wrong and how to mend it.
"""

import math
from decimal import Decimal

_MOST_EXACT = 2**53  # from here on a float stands for several whole numbers
_MAX_GRADE = 2**31 - 1
_LONGEST = (
    10**1000
)  # whole numbers from here on are neither ids nor texts, and Python does not write those of 4,300 digits


def id_of(value: object) -> str | None:
    """An id as text; None where there is none."""
    number = _number(value)
    if number is None or isinstance(value, str):
        return value.strip() if isinstance(value, str) else None
    if isinstance(value, bool) or not number.is_integer() or (isinstance(value, float) and abs(number) >= _MOST_EXACT):
        raise ValueError(f"{shown_value(value)} is no id; write text or a whole number")
    return str(int(value))  # type: ignore[call-overload]


def text_of(value: object) -> str | None:
    """A text, or a number as it would be written; None where there is none."""
    number = _number(value)
    if number is None or isinstance(value, str):
        return value if isinstance(value, str) else None
    return str(int(number)) if isinstance(value, float) and number.is_integer() else str(value)


def grade_of(value: object) -> int | None:
    """A grade; None where there is none."""
    if isinstance(value, str) and not value.strip():
        return None
    try:
        number = _number(number_in(value) if isinstance(value, str) else value)
    except ValueError:
        number = 0.5  # as little whole as what is no number
    if number is None:
        return None
    if abs(number) > _MAX_GRADE:
        problem = f"is beyond {_MAX_GRADE:,}, the largest grade"
    elif not number.is_integer():
        problem = "is not a whole number"
    else:
        return int(number)
    raise ValueError(f"{shown_value(value)} {problem}; write 0 for not relevant, 1 and more for relevant")


def number_in(text: str) -> float:
    """The number that a text writes; Python alone takes 1_0 for 10."""
    if "_" in text:
        raise ValueError
    return float(text)


def _number(value: object) -> float | None:
    """A number; 0.0 for text, which is none; None for null and NaN."""
    if value is None or isinstance(value, str):
        return None if value is None else 0.0
    if not isinstance(value, int | float | Decimal):
        raise ValueError(f"{shown_value(value)} is neither text nor a number; write one of them")
    if isinstance(value, int) and abs(value) >= _LONGEST:
        raise ValueError("a number of more than 1,000 digits; write it as text")
    try:
        number = float(value)
    except OverflowError:
        return math.inf
    return None if math.isnan(number) else number


def shown_value(value: object) -> str:
    """What a value is, short enough to stand in a sentence."""
    try:
        shown = repr(value)
    except ValueError:  # a number within is too long to be written
        shown = type(value).__name__
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
