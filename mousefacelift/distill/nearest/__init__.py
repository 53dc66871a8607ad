"""Nearest filmed pose: a library of views of splats, found by a descriptor and fitted by render-and-compare."""
