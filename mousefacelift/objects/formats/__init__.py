"""Readers of foreign mesh files by their own specifications: glTF 2.0, OBJ with MTL, PLY (docs/objects.md)."""
