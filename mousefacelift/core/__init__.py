"""Geometry, images, samples and Gaussians: what every stage shares and no stage owns."""
