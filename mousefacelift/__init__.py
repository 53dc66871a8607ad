"""From a six-camera mouse recording to a network that turns one picture into a 3D mouse."""

__version__ = "0.1.0"
