"""LGM: the second reconstructor. A U-Net with attention over views gives each pixel of a small map one free Gaussian.

Tang et al., "LGM: Large Multi-View Gaussian Model for High-Resolution 3D Content Creation", ECCV 2024. Written from a
behavioural description; parameter names are those of the published file, so its weights load without a mapping.
"""
