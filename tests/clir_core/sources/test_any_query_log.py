"""Whatever a query log holds: queries whose texts stand in it, or an error of this project's own."""

import tempfile
from contextlib import suppress
from pathlib import Path

from corpus_files import damaged
from hypothesis import given
from hypothesis import strategies as st

from clir_core.corpus.tables import QUERIES
from clir_core.errors import ClirError
from clir_core.sources.query_log import read_queries

LOGS = {
    "log.jsonl": b'{"text": "wie hoch?", "lang": "de"}\n{"text": "how high?", "lang": "en"}\n',
    "log.tsv": "text\tlang\nwie hoch?\tde\nhow high?\ten\n多高?\tzh\n".encode(),
    "log.csv": b'text,lang\n"wie hoch, ""bitte""?",de\nhow high?,en\n',
}


@given(st.sampled_from(sorted(LOGS)), st.data())
def test_a_log_is_queries_or_an_error_of_our_own(name: str, data: st.DataObject) -> None:
    content = damaged(LOGS[name], data.draw)
    with tempfile.TemporaryDirectory() as place, suppress(ClirError):
        (Path(place) / name).write_bytes(content)
        found = read_queries(str(Path(place) / name))
        assert found.schema == QUERIES and len(found)
        assert len(set(found["query_id"].to_pylist())) == len(found)
