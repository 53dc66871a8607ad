"""One Gaussian splat per frame, how far it can be trusted away from the cameras, and views rendered in between."""
