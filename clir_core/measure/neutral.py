"""What a model without preference would show with as many errors: every order of what outranks a gold is as likely.

As many unrelated documents as outrank a gold are drawn from those of the pool, and the English among them counted: the
hypergeometric distribution. Errors themselves are nobody's preference; who makes them is.
"""

import numpy as np
import polars as pl
from scipy.special import gammaln
from scipy.stats import hypergeom

from clir_core.corpus.tables import ENGLISH

ERRORS = ("outranking", f"outranking_{ENGLISH}", "unrelated", "unrelated_en")


def beside_neutral(ranks: pl.DataFrame) -> pl.DataFrame:
    """Ranks with `lean` and `neutral_en` of every gold; `outranking` are unrelated documents of any language above it.

    lean is P(fewer) - P(more) English in a neutral order than there is: from -1 to 1, 0 on average without preference
    whatever the pool's share of English, and 0 where nothing outranks. neutral_en is the probability of any English.
    """
    # many golds have the same few errors
    kinds = ranks.select(ERRORS).unique()
    errors, english, unrelated, unrelated_en = (kinds[name].to_numpy().astype(np.int64) for name in ERRORS)
    drawn = hypergeom(unrelated, unrelated_en, errors)
    lean = np.where(errors > 0, drawn.cdf(english - 1) - drawn.sf(english), 0.0)
    found = kinds.with_columns(
        lean=pl.Series(lean), neutral_en=pl.Series(_any_english(errors, unrelated, unrelated_en))
    )
    return ranks.join(found, on=ERRORS, how="left", nulls_equal=True, maintain_order="left")


def _any_english(errors: np.ndarray, unrelated: np.ndarray, english: np.ndarray) -> np.ndarray:
    """1 - C(unrelated - english, errors) / C(unrelated, errors)."""
    other = unrelated - english
    fits = errors <= other
    left = np.where(fits, other - errors, 0)
    log_none = gammaln(other + 1) - gammaln(left + 1) - gammaln(unrelated + 1) + gammaln(unrelated - errors + 1)
    return np.where(fits, -np.expm1(np.minimum(0, log_none)), 1.0)
