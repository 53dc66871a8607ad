"""The virtual recording: a procedural mouse with known 3D truth, filmed by the real rig, written as labs write
theirs."""
