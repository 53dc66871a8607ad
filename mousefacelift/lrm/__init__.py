"""The large reconstruction model: GS-LRM, its training on the mixture, and reconstruction from a few pictures.

Reads results/dataset, writes results/train/{arm} and predictions; the commands are `mousefacelift lrm ...` and
`mousefacelift reconstruct`.
"""
