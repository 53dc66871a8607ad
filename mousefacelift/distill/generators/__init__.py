"""Multi-view generators behind one protocol (`protocol`), and the registry of their kinds.

A new generator is a row here and `generators/NAME.py` with `make` and `load`, as `protocol.Recipe` says them.
"""

KINDS = {  # name -> what config.yaml says of it
    "prior": "the project's own single-picture model, adapted to the recording",
    "pose": "a small network that learns from the recording alone",
    "facelift": "a published pipeline folder",
    "zero123plus": "a published folder, used as it is",
    "nearest": "the filmed pose that explains the photo best; needs no training",
}
