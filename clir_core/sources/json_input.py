"""What is wrong with a piece of JSON, in words: where, what, and what to do about it."""

from pydantic import ValidationError

from clir_core.sources.values import shown_value


def complaints(error: ValidationError) -> list[str]:
    """One line for each thing that pydantic did not like."""
    return [_complaint(tuple(found["loc"]), found["type"], found["msg"], found["input"]) for found in error.errors()]


def unreadable(message: str) -> str:
    """What pydantic's parser says of text that is no JSON."""
    if message.startswith("EOF"):
        return f"the JSON is cut off ({message}); fetch or write the file again"
    if message.startswith("invalid unicode code point"):
        return f"not UTF-8 ({message}); save the file as UTF-8"
    return f"not JSON ({message}); mend it there"


def _complaint(place: tuple[int | str, ...], kind: str, message: str, value: object) -> str:
    if kind == "json_invalid":
        return unreadable(message.removeprefix("Invalid JSON: "))
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    if kind == "missing":
        return f"{where!r} is missing; add it"
    return f"{where!r}: {message}, not {shown_value(value)}"
