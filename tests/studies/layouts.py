"""The table of layouts in docs/models.md: what was read, how, and how near to sentence-transformers' own vectors.

python tests/studies/layouts.py [--docs docs/models.md]
"""

import argparse
import logging
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "clir_core"), str(HERE.parents[1] / "clir_core" / "model")]

from test_layouts import ALL, apart, found  # noqa: E402

from clir_core.model.encoder import load_encoder, reading_with  # noqa: E402

BEGIN, END = "<!-- layouts -->", "<!-- /layouts -->"


def row(name: str, folder: Path) -> str:
    """A line of the table."""
    path = ALL[name](folder)
    checkpoint = found(path, folder / "cache")
    reading = reading_with(checkpoint, load_encoder(checkpoint))
    prompts = " / ".join(
        f"`{prompt}`" if prompt else "none" for prompt in (reading.query_prompt, reading.document_prompt)
    )
    pooling = f"{reading.pooling} ({reading.pooling_from})" if reading.pooling else "none"
    lengths = [str(tokens) if tokens else "any" for tokens in (reading.query_tokens, reading.document_tokens)]
    tokens = lengths[0] if len(set(lengths)) == 1 else " / ".join(lengths)
    cells = (name, prompts, pooling, tokens, str(reading.dimension), f"{apart(checkpoint, path):.0e}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, or put it between the marks in a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    lines = [
        "| layout | prompts | pooling | tokens | dimensions | apart |",
        "|---|---|---|---|---|---|",
    ]
    for name in ALL:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(row(name, Path(folder)))
            print(lines[-1], flush=True)
    if asked.docs:
        page = asked.docs.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        asked.docs.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
