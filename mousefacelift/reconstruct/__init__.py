"""`mousefacelift reconstruct`: pictures of users to splats. Stands above the stages: it may use all of them, none uses
it."""
