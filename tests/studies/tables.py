"""Tables of the studies: in Markdown, printed and put into the page that explains them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, figures to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def put(marker: str, text: str, page: Path = PAGE) -> None:
    """Print it, and write it between a page's lines `<!-- marker -->` and `<!-- end of marker -->`."""
    print(f"\n{marker}\n{text}", flush=True)
    first, last = f"<!-- {marker} -->\n", f"<!-- end of {marker} -->"
    head, found, rest = page.read_text("utf-8").partition(first)
    _, ended, tail = rest.partition(last)
    if not (found and ended):
        raise SystemExit(f"{page}: no lines {first.strip()} and {last}; put them where the table belongs")
    page.write_text(f"{head}{first}\n{text}\n\n{last}{tail}", "utf-8")
