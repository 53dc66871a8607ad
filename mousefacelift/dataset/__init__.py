"""The dataset: splits, geometry gate, manifest, mixture sampler, loader, and formats that the field's loaders read."""
