"""How a model was read, for pages: prompts, pooling, lengths, and what was guessed."""

from clir_core.model.reading import Reading

_KINDS = {
    "dense": "one vector a text",
    "vectors": "one vector a text, as they were given",
    "served": "one vector a text, from a server",
    "sparse": "weighted terms (sparse vectors)",
    "multi_vector": "a vector for every token, compared by MaxSim",
    "bm25": "BM25, without vectors",
    "run": "a ranked list of documents for every query, without vectors",
}


def reading_rows(reading: Reading) -> list[tuple[str, str]]:
    """Label and value of each thing that decides how a text is read; those that do not apply are left out."""
    rows = [("what it gives", _KINDS[reading.kind])]
    if reading.kind not in ("bm25", "run", "vectors"):
        rows += [
            ("before a query", _prompt(reading.query_prompt)),
            ("before a document", _prompt(reading.document_prompt)),
            ("prompts from", reading.prompts_from),
        ]
    if reading.pooling:
        rows.append(("pooling", f"{reading.pooling}, from {reading.pooling_from}"))
    if reading.query_tokens or reading.document_tokens:
        both = (f"{tokens:,}" if tokens else "any number" for tokens in (reading.query_tokens, reading.document_tokens))
        less = f", as asked for; by itself it reads {max(reading.own_tokens.values()):,}" if reading.own_tokens else ""
        rows.append(("longest query, document", "{} and {} tokens{}".format(*both, less)))
    if reading.dimension:
        compared = "cosine" if reading.normalized else "dot product"
        rows.append(("vectors", f"{reading.dimension:,} dimensions, computed in {reading.dtype}, ranked by {compared}"))
    if reading.adapter_of:
        rows.append(("adapter of", reading.adapter_of))
    return rows


def _prompt(text: str) -> str:
    return repr(text) if text else "nothing"
