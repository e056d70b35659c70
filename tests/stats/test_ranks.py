import numpy as np
import pytest
from scipy.stats import rankdata

from stats.ranks import mean_ranks


@pytest.mark.parametrize("digits", [1, 3, 12])
def test_ranks_are_those_of_scipy_also_of_ties(digits):
    values = np.random.default_rng(digits).random((5, 400)).round(digits)
    assert np.array_equal(mean_ranks(values), rankdata(values, axis=1))
