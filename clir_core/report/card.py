"""The model card of a trained checkpoint: what it was made from and how, how it fared, how to load it.

Its front matter is Hugging Face's, so the directory can be uploaded as it is. Nothing is claimed that is not known: a
licence stands there only where the base states one.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from langcodes import Language

from clir_core.align.result import AlignResult
from clir_core.audit.figure import by_key
from clir_core.audit.result import AuditResult
from clir_core.corpus.pivot import ENGLISH
from clir_core.model.checkpoint import BUNDLED, Checkpoint
from clir_core.report.alignment import command
from clir_core.report.alignment_table import as_markdown, columns, languages
from clir_core.report.html import short_name
from clir_core.shown import as_code, in_markdown

# what the bundled weights are, by the package that carries them
_BUNDLED_FACTS = {"license": "mit", "base_model": "intfloat/multilingual-e5-small"}
_SHOWN = 10
_DATA_LICENCES = {"demo": "CC0 1.0", "xquad": "CC BY-SA 4.0"}


def model_card(result: AlignResult, base: Checkpoint, before: AuditResult, after: AuditResult) -> str:
    """README.md of the checkpoint, front matter and text; `before` and `after` are the audits that the result names."""
    facts = _facts(base)
    sections = {
        "How to load it": _use(result, base),
        "Inclination": _inclination(before, after),
        "Before and after": _figures(result),
        "Training": "\n".join(f"- {line}" for line in _training(result, base)),
        "Licence": _licence(result, facts),
    }
    text = "\n\n".join(f"## {head}\n\n{body.strip()}" for head, body in sections.items())
    title, headline = in_markdown(result.name), in_markdown(result.verdict[0])
    return f"---\n{_front_matter(result, facts)}\n---\n\n# {title}\n\n{headline}\n\n{text}\n"


def _facts(base: Checkpoint) -> dict[str, Any]:
    """Licence and name on the hub, as far as the base says: in its own card, or because it is known."""
    from huggingface_hub import metadata_load

    if base.ref == BUNDLED:
        return dict(_BUNDLED_FACTS)
    own = base.path / "README.md"
    try:
        known = (metadata_load(own) if own.exists() else None) or {}
    except Exception:  # a card that nobody can read says nothing; of YAML there are many ways to be broken
        known = {}
    names = ("license", "license_name", "license_link", "base_model")
    facts = {name: known[name] for name in names if isinstance(known.get(name), str)}
    if base.ref.startswith("hf:"):
        facts["base_model"] = short_name(base.ref).partition("@")[0]
    return facts


def _front_matter(result: AlignResult, facts: dict[str, Any]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    figures = by_key(result.differences)
    kind, _, place = result.spec.train.partition(":")
    measured = [
        EvalResult(
            task_type="retrieval",
            task_name="Retrieval",
            dataset_type=result.spec.evaluation.partition(":")[0].partition("#")[0],
            dataset_name=short_name(result.spec.evaluation),
            dataset_config=lang,
            metric_type=column.metric,
            metric_name=f"{column.group}, {lang}",
            metric_value=round(row.after, 4),
        )
        for column in columns(result.spec.gate)
        for lang in languages(result)
        if (row := figures.get(column.key(lang)))
    ]
    data = ModelCardData(
        language=sorted({Language.get(lang).language or lang for lang in (ENGLISH, *result.trained.languages)}),
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "sentence-similarity", "feature-extraction", "cross-lingual-retrieval"],
        datasets=[place.partition("#")[0]] if kind == "hub" else None,
        model_name=result.name,
        eval_results=measured,
        **facts,
    )
    return str(data.to_yaml()).strip()


def _use(result: AlignResult, base: Checkpoint) -> str:
    where = f"its base has to lie where `adapter_config.json` says, {as_code(str(base.path))}"
    adapter = f"\n\nIt is an adapter: install `peft`, and {where}." if result.spec.adapter else ""
    before_query, before_document = (as_code(repr(prompt)) for prompt in (base.query_prompt, base.document_prompt))
    return f"""\
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/of/this/directory")
queries = model.encode_query(["Which metal is liquid at room temperature?"])
documents = model.encode_document(["Mercury is the only metal that is liquid at room temperature."])
print(model.similarity(queries, documents))
```

`encode_query` puts {before_query} before a text and `encode_document` {before_document}. It reads texts
as long as its base does; the audits below cut them at {base.max_tokens} tokens, or before. Audit it with
`clir audit --model path/of/this/directory`.{adapter}"""


def _figures(result: AlignResult) -> str:
    queries = max(row.n for row in result.decision.primary)
    told = "\n".join(f"- {in_markdown(sentence)}" for sentence in result.verdict[1:])
    return (
        f"On {as_code(short_name(result.spec.evaluation))}, up to {queries:,} queries a language and side. X is the "
        "row's language; a `multi` pool holds every passage in English and in X.\n\n"
        f"{as_markdown(result)}\n{told}"
    )


def _inclination(before: AuditResult, after: AuditResult) -> str:
    """The headlines of both audits; an audit of English alone has none."""
    said = [(when, audit.verdict[0]) for when, audit in (("Before", before), ("After", after)) if audit.verdict]
    return (
        "\n".join(f"- {when}: {in_markdown(headline)}" for when, headline in said)
        or "Not measured: English has no company here."
    )


def _training(result: AlignResult, base: Checkpoint) -> Iterator[str]:
    spec, trained = result.spec, result.trained
    of_each = ", ".join(f"{in_markdown(lang)} {count:,}" for lang, count in sorted(trained.languages.items()))
    yield f"Base: {as_code(spec.base)}, fingerprint `{result.base_digest}`"
    sides = "an English query, its English passage and that passage in another language"
    yield f"Data: {as_code(short_name(spec.train))}, {trained.triples:,} triples of {sides} ({of_each})"
    yield _contamination(result)
    if spec.loss.weights():
        yield _trained(result)
        yield from _fine_tuning(result)
    else:
        yield "No weight of the base was moved"
    if spec.head:
        yield "Head: a linear layer behind the pooling that takes the language out, fitted to the means of translations"
    yield f"Made by run {as_code(trained.name)}: {as_code(command(spec))}"
    yield f"This checkpoint's fingerprint: `{result.digest}`"


def _trained(result: AlignResult) -> str:
    """Which weights were moved."""
    adapter, factor = result.spec.adapter, result.spec.optimiser.embedding_rate_factor
    if not adapter:
        return "Trained: every weight" + ("" if factor else " but the embedding matrix")
    layers = f"layers {in_markdown(', '.join(adapter.layers))}" if adapter.layers else "every linear layer"
    size = f"rank {adapter.rank}, alpha {adapter.alpha}, dropout {adapter.dropout:g}"
    rate = f"learning rate x {adapter.rate_factor:g}"
    return f"Trained: a LoRA adapter on {layers} ({size}, {rate}); the base stays as it is"


def _fine_tuning(result: AlignResult) -> Iterator[str]:
    spec, trained = result.spec, result.trained
    terms = ", ".join(f"{weight:g} x {term}" for term, weight in spec.loss.weights().items())
    jsd = f", embeddings {'normalised' if spec.loss.normalize else 'raw'}" if spec.loss.jsd else ""
    yield f"Loss: {terms}; temperature {spec.loss.temperature:g}{jsd}"
    settings = ", ".join(f"{name} {value:g}" for name, value in spec.optimiser.model_dump().items())
    yield f"Optimiser: AdamW, {settings}; seed {spec.seed}"
    kept = f"the weights after step {trained.best_step:,} were kept"
    yield f"{len(trained.steps):,} steps in {trained.seconds:,.0f} s; {kept}"


def _contamination(result: AlignResult) -> str:
    found = result.contamination.found
    if not found:
        return "No query or answer of the evaluation data is in the training data"
    names = [f"{finding.kind} {in_markdown(finding.group_id)}" for finding in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    what = f"{len(found)} queries or answers of the evaluation data are in the training data, by permission"
    return f"**{what}**: {', '.join([*names, *more])}"


def _licence(result: AlignResult, facts: dict[str, Any]) -> str:
    base = (
        f"[{in_markdown(facts['base_model'])}](https://huggingface.co/{quote(facts['base_model'])})"
        if "base_model" in facts
        else "the base"
    )
    of_base = f"The weights derive from {base}" + (f" ({in_markdown(facts['license'])})" if "license" in facts else "")
    source = result.spec.train.partition(":")[0].partition("#")[0]
    data = _DATA_LICENCES.get(source)
    unknown = "" if "license" in facts else ", whose licence is not stated beside it and applies here too"
    return f"{of_base}{unknown}. The training data is " + (f"under {data}." if data else "under its own licence.")
