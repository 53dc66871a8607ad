from types import SimpleNamespace

import numpy as np

from mousefacelift.distill.candidate_sheet import BORDER, EDGE, FRAMES, candidate_sheet


def test_every_candidate_stands_in_its_row_and_column_framed_by_what_became_of_it():
    rgba = np.zeros((32, 32, 4), np.float32)
    rgba[8:24, 8:24] = (0.2, 0.3, 0.4, 1.0)
    statuses = [["accepted", "refused", "photo"], ["duplicate", "refused", "refused"]]
    candidates = [
        SimpleNamespace(row={"output": o, "status": status}, view=SimpleNamespace(rgba=rgba))
        for row in statuses
        for o, status in enumerate(row)
    ]
    sheet = candidate_sheet(candidates)
    step = EDGE + 2 * BORDER + 4
    for r, row in enumerate(statuses):
        for c, status in enumerate(row):
            tile = sheet[r * step :, c * step :]
            np.testing.assert_allclose(tile[0, 0], FRAMES[status])
            np.testing.assert_allclose(tile[BORDER + EDGE // 2, BORDER + EDGE // 2], (0.2, 0.3, 0.4), atol=1e-6)
    assert sheet.shape == (2 * step - 4, 3 * step - 4, 3)
