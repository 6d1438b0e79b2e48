"""What a model without preference would show with as many errors: every order of what outranks a gold is as likely.

As many unrelated documents as outrank a gold are drawn from those of the pool, and those in the pivot among them
counted: the hypergeometric distribution. Errors themselves are nobody's preference; who makes them is.
"""

import numpy as np
import polars as pl
from scipy.special import gammaln
from scipy.stats import hypergeom

ERRORS = ("outranking", "outranking_pivot", "unrelated", "unrelated_pivot")


def beside_neutral(ranks: pl.DataFrame) -> pl.DataFrame:
    """Ranks with `lean` and `neutral_pivot` of every gold; `outranking` are unrelated ones of any language above it.

    lean is P(fewer) - P(more) of the pivot in a neutral order than there is: from -1 to 1, 0 on average without
    preference whatever the pool's share of it, and 0 where nothing outranks. neutral_pivot is the probability of any.
    """
    # many golds have the same few errors
    kinds = ranks.select(ERRORS).unique()
    errors, of_pivot, unrelated, unrelated_pivot = (kinds[name].to_numpy().astype(np.int64) for name in ERRORS)
    drawn = hypergeom(unrelated, unrelated_pivot, errors)
    lean = np.where(errors > 0, drawn.cdf(of_pivot - 1) - drawn.sf(of_pivot), 0.0)
    found = kinds.with_columns(lean=pl.Series(lean), neutral_pivot=pl.Series(_any(errors, unrelated, unrelated_pivot)))
    return ranks.join(found, on=ERRORS, how="left", nulls_equal=True, maintain_order="left")


def _any(errors: np.ndarray, unrelated: np.ndarray, of_pivot: np.ndarray) -> np.ndarray:
    """1 - C(unrelated - of_pivot, errors) / C(unrelated, errors)."""
    other = unrelated - of_pivot
    fits = errors <= other
    left = np.where(fits, other - errors, 0)
    log_none = gammaln(other + 1) - gammaln(left + 1) - gammaln(unrelated + 1) + gammaln(unrelated - errors + 1)
    return np.where(fits, -np.expm1(np.minimum(0, log_none)), 1.0)
