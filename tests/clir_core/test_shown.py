"""A stranger's text shows itself: in a terminal without control characters, in Markdown without markup."""

import json
import re
from html import unescape
from unicodedata import bidirectional, category

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from clir_core.shown import as_code, in_markdown, on_terminal, one_line

# what Prefect's UI reads: with tables, and with HTML where nothing keeps it out
PAGE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SIGNS = st.sampled_from(
    [*"\\`*_{}[]<>()#+-.!|~&:/='\" 1\n\x1b\u202e", "&lt;", "<b>", "</code>", "](x)", "http://", "a"]
)
TEXTS = st.lists(SIGNS, max_size=12).map("".join) | st.text(max_size=12)


def seen(page: str) -> str:
    """What a reader sees of Markdown, its elements gone."""
    return unescape(re.sub(r"</?(p|code|h2|li|ul|td|tr|table|thead|tbody|th)>", "", PAGE.render(page))).strip()


def is_plain(text: str) -> bool:
    return not any(category(c) in ("Cc", "Cs", "Zl", "Zp") or bidirectional(c)[:2] in ("LR", "RL") for c in text)


@given(TEXTS)
def test_no_control_reaches_a_terminal(text: str) -> None:
    assert is_plain(re.sub(r"[\n\t]", "", on_terminal(text)))
    assert is_plain(one_line(text))


@given(st.text("abc é語م\u200d🙂\n\t[](){}", max_size=20))
def test_what_needs_no_escaping_stays_as_it_is(text: str) -> None:
    assert on_terminal(text) == text


@given(st.recursive(TEXTS, lambda inside: st.lists(inside) | st.dictionaries(TEXTS, inside)))
def test_json_stays_json_of_the_same_value(value: object) -> None:
    for told in (json.dumps(value, ensure_ascii=False), json.dumps(value, ensure_ascii=False, indent=1)):
        assert json.loads(on_terminal(told)) == value


@given(TEXTS)
@example("\\ #")
@example("a ##")
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    told = in_markdown(text)
    assert "\n" not in told
    wanted = one_line(text)
    assert seen(told) == wanted
    assert seen(f"## {told}") == wanted
    assert seen(f"- {told}") == wanted
    table = PAGE.render(f"| a | b |\n|---|---|\n| {told} | {told} |\n")
    assert [unescape(cell) for cell in re.findall("<td>(.*?)</td>", table, re.S)] == [wanted, wanted]


@given(TEXTS)
def test_code_shows_the_text_and_nothing_else(text: str) -> None:
    wanted = one_line(text)
    page = PAGE.render(f"a {as_code(text)} b")
    if wanted:
        assert [unescape(code) for code in re.findall("<code>(.*?)</code>", page, re.S)] == [wanted]
        assert page.startswith("<p>a <code>") and page.endswith("</code> b</p>\n")
