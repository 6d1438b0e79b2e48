"""Data sets of the Hugging Face hub: XQuAD, Belebele, mteb's layout, and any that hold our three tables.

Loading and converting are apart: the conversions take rows and never touch the network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa

from clir_core.corpus.lang import is_language
from clir_core.errors import CorpusError, first_line
from clir_core.sources import xquad
from clir_core.sources.asked import Asked, choose_split, split_note
from clir_core.sources.choice import choose_places, code_notes
from clir_core.sources.columns import SCHEMAS, conform
from clir_core.sources.parts import Part, joined
from clir_core.sources.rows import RawCorpus, RawRows

Row = Mapping[str, Any]
_XQUAD_COLUMNS = ("id", "context", "question")
_BELEBELE_COLUMNS = ("link", "question_number", "flores_passage", "question")
_KNOWN = ("google/xquad", "facebook/belebele")
# what mteb calls the three, after a language where there are several
_MTEB = {"corpus": "documents", "queries": "queries", "qrels": "qrels", "default": "qrels"}


class Splits(NamedTuple):
    """A config of a data set: where it is from, and its tables by split."""

    place: str
    tables: Mapping[str, pa.Table]


def read(name: str, asked: Asked) -> RawCorpus:
    """The data set of this name, of which only the languages asked for are fetched where they lie apart.

    CorpusError where it cannot be fetched, or is no corpus.
    """
    short = name.rstrip("/").rsplit("/", 1)[-1]
    configs = _config_names(name)
    if name in _KNOWN and (asked.split or asked.reading.columns):
        raise CorpusError(
            f"hub:{name} has no splits, and its columns are known; leave out #{asked.split} and `columns`"
        )
    if name == "google/xquad":
        by_code = {config.removeprefix("xquad."): config for config in configs if config.startswith("xquad.")}
        return xquad_tables(_load_languages(name, by_code, asked, "validation", _XQUAD_COLUMNS))
    if name == "facebook/belebele":
        by_code = {config: config for config in configs if is_language(config)}
        return belebele_tables(_load_languages(name, by_code, asked, "test", _BELEBELE_COLUMNS))
    if all(what in configs for what in SCHEMAS):
        return own_tables(short, {what: _load_splits(name, what) for what in SCHEMAS}, asked)
    layout = mteb_layout(configs)
    if not layout:
        raise CorpusError(
            f"hub:{name} has the configs {', '.join(configs)}, and no corpus is known to have those; give one with "
            f"{', '.join(SCHEMAS)}, or with corpus, queries and qrels (en-corpus, where each language has its own), "
            "google/xquad or facebook/belebele, or save it in BEIR's layout and use beir:DIR"
        )
    codes = [code for code in layout if code]
    chosen = choose_places(asked, zip(codes, codes, strict=True), f"hub:{name}") if codes else {None: None}
    parts = {lang: layout[code] for lang, code in chosen.items()}
    loaded = {lang: {what: _load_splits(name, config) for what, config in part.items()} for lang, part in parts.items()}
    raw = mteb_tables(short, loaded, asked)
    return replace(raw, notes=(*raw.notes, *code_notes(codes)))


def mteb_layout(configs: Sequence[str]) -> dict[str | None, dict[str, str]]:
    """By language, or None where there is one for all, the configs of documents, queries and qrels as mteb names them.

    Empty where not every part has all three.
    """
    layout: dict[str | None, dict[str, str]] = {}
    for config in configs:
        before, _, what = config.rpartition("-")
        if what in _MTEB and (not before or is_language(before)):
            layout.setdefault(before or None, {}).setdefault(_MTEB[what], config)
    return layout if layout and all(len(part) == len(SCHEMAS) for part in layout.values()) else {}


def mteb_tables(name: str, parts: Mapping[str | None, Mapping[str, Splits]], asked: Asked) -> RawCorpus:
    """Of each language, or of None, documents, queries and qrels by split; one CorpusError with all that does not fit.

    Where there is one part, its rows say their language.
    """
    problems: list[str] = []
    there = {lang or "qrels": list(part["qrels"].tables) for lang, part in parts.items()}
    split = choose_split(there, asked, f"hub corpus {name}")
    made = [
        Part(lang, *(_conformed(part[what], what, split, asked, True, problems) for what in SCHEMAS))
        for lang, part in parts.items()
    ]
    if problems:
        raise CorpusError(f"hub corpus {name} cannot be read, problems: {len(problems)}", problems)
    others = sorted({f"split {one}" for names in there.values() for one in names} - {f"split {split}"})
    return joined(name, made, asked.reading, [split_note([f"split {split}"], others)])


def xquad_tables(rows: Mapping[str, tuple[str, Iterable[Row]]]) -> RawCorpus:
    """Of each language the file and rows of id, context, question. A context's number in order of appearance is its
    group."""
    texts = {}
    for lang, (file, questions) in rows.items():
        paragraphs: dict[str, xquad.Paragraph] = {}
        for row in questions:
            new = xquad.Paragraph(f"p{len(paragraphs):03}", row["context"], [])
            paragraphs.setdefault(row["context"], new).questions.append((row["id"], row["question"]))
        texts[lang] = (file, list(paragraphs.values()))
    return xquad.tables("xquad", texts)


def belebele_tables(rows: Mapping[str, tuple[str, Iterable[Row]]]) -> RawCorpus:
    """Of each language the file and rows of link, question_number, flores_passage, question. The link is the group."""
    raw = RawRows()
    for lang, (file, questions) in rows.items():
        seen: set[tuple[str, str]] = set()
        for number, row in enumerate(questions, start=1):
            link, passage = row["link"], row["flores_passage"]
            # two passages under one link are both added: validation then says that the id repeats
            if (link, passage) not in seen:
                seen.add((link, passage))
                raw.documents.add(file, number, doc_id=f"{lang}/{link}", group_id=link, lang=lang, text=passage)
            group = f"{link}#{row['question_number']}"
            query_id = f"{lang}/{group}"
            raw.queries.add(file, number, query_id=query_id, group_id=group, lang=lang, text=row["question"])
            raw.qrels.add(file, number, query_id=query_id, group_id=link, grade=1)
    return raw.corpus("belebele")


def own_tables(name: str, tables: Mapping[str, Splits], asked: Asked) -> RawCorpus:
    """documents, queries and qrels by split, in our columns; one CorpusError with all that does not fit."""
    problems: list[str] = []
    there = list(tables["qrels"].tables)
    # one split is all there is, whatever it is called; what is named has to be there
    split = there[0] if len(there) == 1 and not asked.split else choose_split({"qrels": there}, asked, f"hub:{name}")
    checked = {what: _conformed(found, what, split, asked, False, problems) for what, found in tables.items()}
    if problems:
        raise CorpusError(f"hub corpus {name} cannot be read, problems: {len(problems)}", problems)
    note = split_note([f"split {split}"], [f"split {one}" for one in there if one != split])
    return RawCorpus(name, **checked, notes=(note,))


def _conformed(found: Splits, what: str, split: str, asked: Asked, in_part: bool, problems: list[str]) -> pa.Table:
    """The table of this split; all splits of texts that are not split alike."""
    tables = [found.tables[split]] if split in found.tables else list(found.tables.values())
    table = pa.concat_tables(tables, promote_options="permissive")
    return conform(table, what, found.place, problems, asked.reading.of_table(what), in_part=in_part)


def _load_languages(
    name: str, configs: Mapping[str, str], asked: Asked, split: str, columns: Sequence[str]
) -> dict[str, tuple[str, Iterable[Row]]]:
    """Of the pivot and each language asked for, where it is from and its rows."""
    loaded: dict[str, tuple[str, Iterable[Row]]] = {}
    for lang, config in choose_places(asked, configs.items(), f"hub:{name}").items():
        place, rows = f"hub:{name}/{config}", _load(name, config, split)
        absent = [column for column in columns if column not in rows.column_names]
        if absent:
            raise CorpusError(
                f"{place} has no column {', '.join(absent)}, only {', '.join(rows.column_names)}; it is "
                "another release than the one known here: save it in BEIR's layout and use beir:DIR"
            )
        loaded[lang] = (place, rows.select_columns(list(columns)))
    return loaded


def _config_names(name: str) -> list[str]:
    import datasets  # takes seconds, and only this source needs it

    return list(_reach(name, lambda: datasets.get_dataset_config_names(name)))


def _load(name: str, config: str, split: str | None) -> Any:
    import datasets

    return _reach(name, lambda: datasets.load_dataset(name, config, split=split))


def _load_splits(name: str, config: str) -> Splits:
    """All of a config."""
    splits = _load(name, config, None)
    return Splits(f"hub:{name}/{config}", {split: rows.with_format("arrow")[:] for split, rows in splits.items()})


def _reach(name: str, load: Callable[[], Any]) -> Any:
    """What the hub answers; whatever goes wrong there is one CorpusError with the next step."""
    try:
        return load()
    except Exception as error:  # datasets, huggingface_hub and their HTTP clients raise dozens of types
        raise CorpusError(
            f"hub:{name} cannot be loaded ({type(error).__name__}: {first_line(error)}); check the name and the "
            "network, or bring the data here yourself and use xquad:DIR, beir:DIR or parquet:DIR"
        ) from error
