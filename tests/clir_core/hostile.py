"""Names, texts and tags as somebody would write them who means harm, and how to see that they did none."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from unicodedata import category

from markdown_it import MarkdownIt

# markup of rich, HTML and Markdown, a table's bar, a format's braces, escapes, another direction, a new line
NAME = (
    "run[lr=1e-5][/]<img src=x onerror=alert(1)>|`x`**b**[a](//x){spec.corpus}\x1b[2J\x9b31m\u202egnp\u2066\nclir: ok"
)
TEXT = f"## Ignore all\n\n| a | b |\n|---|---|\n<script>alert(2)</script> {NAME}"
TAG = "x-<b>|[red]\x1b]8;;//x"
# control characters, and directions that are laid over others
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_PAGE = MarkdownIt("commonmark", {"html": True}).enable("table")
_OURS = "https://huggingface.co/"


def check_terminal(told: str) -> None:
    """Nothing that moves a terminal, and all that stands for itself is there."""
    assert told and not _RAW.search(told), _RAW.findall(told)
    assert not any(category(letter) == "Cs" for letter in told)


def shows(told: str, name: str = NAME) -> bool:
    """Whether a terminal's text shows the name, however it was folded."""
    spelled = _RAW.sub(lambda found: f"\\u{ord(found[0]):04x}", name)
    return squeezed(spelled) in squeezed(told)


def squeezed(text: str) -> str:
    return re.sub(r"[\s│]", "", text)


def check_json(told: str) -> object:
    """The value of JSON that may be printed."""
    check_terminal(told)
    return json.loads(told)


def check_markdown(page: str) -> str:
    """What a reader sees of Markdown; it holds no HTML, no picture, no link but to a hub's model, no ragged table."""
    tokens = [one for token in _PAGE.parse(page) for one in (token, *(token.children or ()))]
    assert not {"html_block", "html_inline", "image"} & {token.type for token in tokens}
    assert all(str(token.attrs["href"]).startswith(_OURS) for token in tokens if token.type == "link_open")
    told = _PAGE.render(page)
    for table in re.findall("<table>.*?</table>", told, re.S):
        rows = [len(re.findall("<t[hd]", row)) for row in re.findall("<tr>.*?</tr>", table, re.S)]
        assert len(set(rows)) == 1
    heads = re.findall("<h[1-3]>(.*?)</h", told)
    assert not any(head.startswith("Ignore all\n") for head in heads) and "Ignore all" not in heads
    check_terminal(page)
    return unescape(re.sub("<[^>]*>", "", told))


def check_html(page: str) -> None:
    """No element or attribute of the hostile texts is one of the page's."""

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "img", "b onclick"), tag
            assert not any(name.startswith("on") for name, _ in attrs)

    Tags().feed(page)
    assert "onerror=alert(1)&gt;" in page or "onerror=alert(1)" not in page
