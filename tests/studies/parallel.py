"""How often equal ids are taken for translations, of texts that are and of the same texts paired at random.

    python tests/studies/parallel.py --xquad DIR [--draws 400] [--docs docs/corpora.md]

Draws of so many passages of English and of X, in the order of both (translations) or of each (random pairings).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clir_core.sources import read_corpus
from clir_core.sources.parallel import compare

SIZES = (8, 20, 60)
BEGIN, END = "<!-- parallel -->", "<!-- /parallel -->"


def passages(reference: str) -> dict[str, dict[str, str]]:
    """Of each language, the text of each group."""
    found: dict[str, dict[str, str]] = {}
    for row in read_corpus(reference).documents.to_pylist():
        found.setdefault(row["lang"], {})[row["group_id"]] = row["text"]
    return found


def share(texts: dict[str, dict[str, str]], lang: str, size: int, draws: int, mixed: bool) -> float:
    """Of so many draws, those that are taken for translations."""
    groups = sorted(texts["en"].keys() & texts[lang].keys())
    taken = 0
    for draw in range(draws):
        random = np.random.default_rng([draw, size, mixed])
        chosen = random.choice(len(groups), size, replace=False)
        other = random.permutation(chosen) if mixed else chosen
        pairs = ([texts["en"][groups[i]] for i in chosen], [texts[lang][groups[i]] for i in other])
        taken += compare(*pairs).is_parallel
    return taken / draws


def lines(references: dict[str, str], draws: int) -> list[str]:
    """The table: the range over languages of both shares."""
    rows = [
        "| passages | common ids | translations taken for such | random pairings taken for translations |",
        "|---|---|---|---|",
    ]
    for name, reference in references.items():
        texts = passages(reference)
        others = sorted(texts.keys() - {"en"})
        for size in SIZES:
            cells = [_range([share(texts, lang, size, draws, mixed) for lang in others]) for mixed in (False, True)]
            rows.append(f"| {name}, {len(others)} languages | {size} | {' | '.join(cells)} |")
            print(rows[-1], flush=True)
    return rows


def _range(found: list[float]) -> str:
    return f"{100 * min(found):.1f} to {100 * max(found):.1f} %"


def main() -> None:
    """Print the table, or put it between the marks in a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--xquad", required=True)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    rows = lines({"XQuAD": f"xquad:{asked.xquad}", "demo": "demo"}, asked.draws)
    if asked.docs:
        page = asked.docs.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        asked.docs.write_text(f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
