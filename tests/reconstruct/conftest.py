"""The toy dataset and the short trained run of the reconstructor's tests."""

from ..lrm.conftest import toy_dataset, trained  # noqa: F401 - fixtures
