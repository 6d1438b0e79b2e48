"""Corpora of another kind than XQuAD, from packages with human translations that Debian ships: `parquet:OUT/a`, `/b`.

python tests/bench/debian.py gnome|libreoffice|faq --languages de,ko,... --out OUT [--packages FOLDER]

A page's title asks for the page, without it. Pages stay that are translated into every language: title and most of the
text differ from the English ones. They are dealt to the halves a and b, so that what is fitted on one is in no pool of
the other. Packages are fetched by apt-get into FOLDER; nothing of them is kept in this repository.
"""

import argparse
import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import polars as pl

MALLARD = "{http://projectmallard.org/1.0/}"
SAME = 0.2  # of a page's paragraphs may be left in English
MOST = 1200  # characters of a page: the first paragraphs, as a passage has them
FEWEST = 80
FOOTER = "This page is:"  # and then its title, which is the question


class Page(NamedTuple):
    """A page of one language."""

    title: str
    paragraphs: tuple[str, ...]


Pages = dict[str, Page]


class Sections(HTMLParser):
    """Of HTML every heading with the paragraphs behind it, by the heading's anchor."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self.heading, self.found = heading, []  # type: ignore[var-annotated]
        self.texts: list[str] | None = None
        self.within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A heading begins a section; a paragraph begins in it."""
        known = dict(attrs)
        if tag == self.heading:
            self.found.append(["", "", []])
            self.within = "title"
        elif tag == "a" and self.within == "title" and not self.found[-1][0]:
            self.found[-1][0] = known.get("id") or known.get("name") or ""
        elif tag == "p" and self.found and "related" not in (known.get("class") or ""):
            self.found[-1][2].append("")
            self.within = "p"

    def handle_endtag(self, tag: str) -> None:
        """What comes between paragraphs is none."""
        if tag in (self.heading, "p"):
            self.within = ""

    def handle_data(self, data: str) -> None:
        """To the title or to the last paragraph."""
        if self.within == "title":
            self.found[-1][1] += data
        elif self.within == "p":
            self.found[-1][2][-1] += data


def tidy(text: str) -> str:
    """One line."""
    return re.sub(r"\s+", " ", text).strip()


def sections(path: Path, heading: str) -> Iterator[tuple[str, Page]]:
    """The sections of an HTML page by their anchors."""
    parser = Sections(heading)
    parser.feed(path.read_text("utf-8"))
    for anchor, title, paragraphs in parser.found:
        numberless = re.sub(r"^[\d.]+\s*", "", tidy(title))
        yield anchor, Page(numberless, tuple(filter(None, map(tidy, paragraphs))))


def gnome(lang: str, packages: Path) -> Pages:
    """The topics of GNOME's desktop help."""
    code = {"en": "C", "zh": "zh_CN", "pt": "pt_BR"}.get(lang, lang)
    folder = unpacked("gnome-user-docs", packages) / "usr/share/help" / code / "gnome-help"
    found = {}
    for path in sorted(folder.glob("*.page")):
        page = ElementTree.parse(path).getroot()
        title = page.find(f"{MALLARD}title")
        if page.get("type") == "topic" and title is not None:
            paragraphs = (tidy("".join(each.itertext())) for each in page.iter(f"{MALLARD}p"))
            found[path.stem] = Page(tidy("".join(title.itertext())), tuple(filter(None, paragraphs)))
    return found


def libreoffice(lang: str, packages: Path) -> Pages:
    """The pages of LibreOffice's help."""
    code = {"en": "en-us", "zh": "zh-cn", "pt": "pt-br"}.get(lang, lang)
    root = unpacked(f"libreoffice-help-{code}", packages) / "usr/share/libreoffice/help"
    folder = next(root.glob("*/text"))
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        first = next(sections(path, "h1"), None)
        if first:
            own = itertools.takewhile(lambda paragraph: not paragraph.startswith(FOOTER), first[1].paragraphs)
            pages[str(path.relative_to(folder))] = Page(first[1].title, tuple(own))
    return pages


def faq(lang: str, packages: Path) -> Pages:
    """The questions of Debian's FAQ."""
    code = {"en": "", "zh": "-zh-cn"}.get(lang, f"-{lang}")
    suffix = {"zh": "zh-cn"}.get(lang, lang)
    folder = unpacked(f"debian-faq{code}", packages) / "usr/share/doc/debian/FAQ"
    pages = {}
    for path in sorted(folder.rglob(f"*.{suffix}.html")):
        pages |= {anchor: page for anchor, page in sections(path, "h2") if anchor}
    return pages


KINDS: dict[str, Callable[[str, Path], Pages]] = {"gnome": gnome, "libreoffice": libreoffice, "faq": faq}


def unpacked(package: str, packages: Path) -> Path:
    """The files of a package, fetched once."""
    folder = packages / package
    if not folder.exists():
        packages.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-qq", "download", package], cwd=packages, check=True)
        subprocess.run(["dpkg-deb", "-x", str(next(packages.glob(f"{package}_*.deb"))), str(folder)], check=True)
    return folder


def text(page: Page) -> str:
    """What is read of it."""
    kept, size = [], 0
    for paragraph in page.paragraphs:
        if kept and size + len(paragraph) > MOST:
            break
        kept.append(paragraph[:MOST])
        size += len(paragraph)
    return "\n".join(kept)


def translated(page: Page, english: Page) -> bool:
    """Whether title and most of the text are no longer English."""
    same = sum(paragraph in english.paragraphs for paragraph in page.paragraphs)
    return page.title != english.title and same <= SAME * len(page.paragraphs)


def parallel(pages: dict[str, Pages]) -> list[str]:
    """The pages that every language has, translated, each title asked once a language."""
    english = pages["en"]
    names = sorted(set.intersection(*(set(found) for found in pages.values())))
    names = [
        name
        for name in names
        if len(text(english[name])) >= FEWEST
        and all(text(found[name]) for found in pages.values())
        and all(translated(found[name], english[name]) for lang, found in pages.items() if lang != "en")
    ]
    for found in pages.values():
        titles: dict[str, str] = {}
        names = [name for name in names if titles.setdefault(found[name].title.casefold(), name) == name]
    return names


def write(pages: dict[str, Pages], names: list[str], out: Path) -> None:
    """One half as our three tables."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [(lang, name, found[name]) for lang, found in pages.items() for name in names]
    ids = [f"{lang}/{name}" for lang, name, _ in rows]
    common = {"lang": [lang for lang, _, _ in rows], "group_id": [name for _, name, _ in rows]}
    pl.DataFrame({"doc_id": ids, "text": [text(page) for *_, page in rows], **common}).write_parquet(
        out / "documents.parquet"
    )
    pl.DataFrame({"query_id": ids, "text": [page.title for *_, page in rows], **common}).write_parquet(
        out / "queries.parquet"
    )
    pl.DataFrame({"query_id": ids, "group_id": common["group_id"]}).write_parquet(out / "qrels.parquet")


def halves(kind: str, languages: str, out: Path, packages: Path) -> None:
    """Write both halves, once, whole or not at all."""
    if out.exists():
        return
    scratch = out.with_name(f".{out.name}-unfinished")
    pages = {lang: KINDS[kind](lang, packages) for lang in ["en", *languages.split(",")]}
    names = parallel(pages)
    for half, taken in (("a", names[::2]), ("b", names[1::2])):
        write(pages, taken, scratch / half)
        print(f"parquet:{out / half}: {len(taken)} pages in {', '.join(pages)}")
    scratch.rename(out)


def main() -> None:
    """Write both halves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--languages", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=Path(".clir/debian"))
    asked = parser.parse_args()
    halves(asked.kind, asked.languages, asked.out, asked.packages)


if __name__ == "__main__":
    main()
