"""The order of documents of one score: a hash decides between languages, so that none comes first by its name."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np


def tie_order(query_groups: Iterable[str], languages: Sequence[str]) -> np.ndarray:
    """The place of each language's documents among those of one score, for queries of these groups, int16 [Q, L].

    Over many groups every order of the languages is as likely as any other. Which of two comes first depends on the
    group and the two alone, not on what else is audited or how it is listed; parallel queries see one order.
    """
    # not a checksum such as CRC-32: that is linear, and of three languages one would come first for half of the queries
    pairs = (f"{group}\0{lang}" for group in query_groups for lang in languages)
    digests = b"".join(hashlib.sha256(pair.encode()).digest()[:8] for pair in pairs)
    hashes_QL = np.frombuffer(digests, ">u8").reshape(-1, len(languages))
    return hashes_QL.argsort(axis=1).argsort(axis=1).astype(np.int16)
