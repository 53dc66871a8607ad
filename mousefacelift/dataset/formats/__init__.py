"""Exchange formats: one module each, `write(folder, sample)` and `read(folder, facts)`, tested as round trips.

All cameras inside the library are OpenCV, Z-up, pixel centres at +0.5; each module converts at the border.
"""
