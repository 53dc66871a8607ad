import warnings

import numpy as np

from mousefacelift.capture.sync import _row_medians


def test_medians_of_rows_are_those_of_numpy_without_nan():
    rng = np.random.default_rng(3)
    values = rng.random((50, 5))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[7] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a row of NaN
        expected = np.nanmedian(values, axis=1)
    np.testing.assert_array_equal(_row_medians(values), expected)
