"""Names and texts of strangers where they are shown: as themselves, whatever a terminal or Markdown would make of them.

A checkpoint's name is that of a directory, and anybody may have made that; so it is escaped at each place of output.
"""

import re

# what moves a terminal's cursor or turns the direction of what follows: controls but tab and newline, bidi overrides
# and isolates, separators of lines that only some tools know, and what is no text
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# within a word an underscore means nothing
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)")
_LISTS = re.compile(r"^(\d*)([.)]|[-+=#]+)(?= |$)")
_CLOSING = re.compile(r"(?<= )#+$")  # of a heading


def on_terminal(text: str) -> str:
    r"""The text with its control characters spelled out (\u001b): of JSON, still JSON of the same value."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """The same in one line."""
    return on_terminal(" ".join(text.split()))


def in_markdown(text: str) -> str:
    """One line of Markdown, also in a table's cell, that shows the text and is nothing else: no HTML, no link."""
    told = _LISTS.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\g<0>", one_line(text)))
    return _CLOSING.sub(r"\\\g<0>", told)


def as_code(text: str) -> str:
    """The text as code in Markdown, outside of tables."""
    line = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    # a backtick at an end would lengthen the fence
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"
