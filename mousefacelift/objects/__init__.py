"""Objects and scans: selection, mesh rendering on any machine, samples of known 3D truth (docs/objects.md)."""
