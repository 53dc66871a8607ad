"""File formats that more than one stage reads or writes: one module each, cameras in, cameras out.

Calibration readers (`capture/readers`) and the exchange of samples (`dataset/formats`) build on these modules; what a
camera file may hold, and how it is checked, is the same for both.
"""
