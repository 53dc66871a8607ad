"""Multi-view generators behind one protocol: facelift, zero123plus, pose."""
