"""A full disk for a few lines of a test."""

import contextlib
import resource


@contextlib.contextmanager
def files_no_larger_than(count):
    """A disk that is full: the kernel refuses to let any file of this process grow beyond `count` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
