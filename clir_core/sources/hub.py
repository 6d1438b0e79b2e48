"""Data sets of the Hugging Face hub: XQuAD, Belebele, and any that hold our three tables.

Loading and converting are apart: the conversions take rows and never touch the network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from clir_core.corpus.lang import from_flores, is_language
from clir_core.errors import CorpusError, first_line
from clir_core.sources import xquad
from clir_core.sources.choice import choose_languages
from clir_core.sources.columns import SCHEMAS, conform
from clir_core.sources.rows import RawCorpus, RawRows

Row = Mapping[str, Any]
_XQUAD_COLUMNS = ("id", "context", "question")
_BELEBELE_COLUMNS = ("link", "question_number", "flores_passage", "question")


def read(name: str, languages: Sequence[str]) -> RawCorpus:
    """The data set of this name; of XQuAD and Belebele only the languages asked for are fetched.

    CorpusError where it cannot be fetched, or is no corpus.
    """
    short = name.rstrip("/").rsplit("/", 1)[-1]
    configs = _config_names(name)
    if name == "google/xquad":
        by_lang = {config.removeprefix("xquad."): config for config in configs if config.startswith("xquad.")}
        return xquad_tables(_load_languages(name, by_lang, languages, "validation", _XQUAD_COLUMNS))
    if name == "facebook/belebele":
        by_lang = {from_flores(config): config for config in configs if is_language(config)}
        return belebele_tables(_load_languages(name, by_lang, languages, "test", _BELEBELE_COLUMNS))
    absent = [what for what in SCHEMAS if what not in configs]
    if absent:
        raise CorpusError(
            f"hub:{name} has no config {', '.join(absent)}, only {', '.join(configs)}; give one with the configs "
            f"{', '.join(SCHEMAS)}, google/xquad or facebook/belebele, or save it in BEIR's layout and use beir:DIR"
        )
    return own_tables(short, {what: (f"hub:{name}/{what}", _load_table(name, what)) for what in SCHEMAS})


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


def own_tables(name: str, tables: Mapping[str, tuple[str, pa.Table]]) -> RawCorpus:
    """documents, queries and qrels in our columns, each with its file; one CorpusError with all that does not fit."""
    problems: list[str] = []
    checked = {what: conform(table, what, file, problems) for what, (file, table) in tables.items()}
    if problems:
        raise CorpusError(f"hub corpus {name} cannot be read, problems: {len(problems)}", problems)
    return RawCorpus(name, **checked)


def _load_languages(
    name: str, configs: Mapping[str, str], languages: Sequence[str], split: str, columns: Sequence[str]
) -> dict[str, tuple[str, Iterable[Row]]]:
    """Of each language English and asked for, where it is from and its rows."""
    loaded: dict[str, tuple[str, Iterable[Row]]] = {}
    for lang in choose_languages(languages, configs, f"hub:{name}"):
        place, rows = f"hub:{name}/{configs[lang]}", _load(name, configs[lang], split)
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


def _load_table(name: str, config: str) -> pa.Table:
    """The config's test split, or its only one."""
    splits = _load(name, config, None)
    split = "test" if "test" in splits else next(iter(splits))
    if len(splits) > 1 and split != "test":
        raise CorpusError(f"hub:{name}/{config} has the splits {', '.join(splits)}; it needs test, or only one")
    return splits[split].with_format("arrow")[:]


def _reach(name: str, load: Callable[[], Any]) -> Any:
    """What the hub answers; whatever goes wrong there is one CorpusError with the next step."""
    try:
        return load()
    except Exception as error:  # datasets, huggingface_hub and their HTTP clients raise dozens of types
        raise CorpusError(
            f"hub:{name} cannot be loaded ({type(error).__name__}: {first_line(error)}); check the name and the "
            "network, or bring the data here yourself and use xquad:DIR, beir:DIR or parquet:DIR"
        ) from error
