"""What is said of the candidates of a chunk."""

from mousefacelift.distill.gate import SCORES
from mousefacelift.distill.selfdistill import summarise


def test_the_summary_names_statuses_in_one_order_whatever_the_process():
    """Of a set of words every process has another order, and two runs of one chunk differed by it."""
    words = [f"status {number}" for number in range(9)][::-1]
    rows = [
        {"status": word, "scores": dict.fromkeys(SCORES, 0.5), "azimuth": 0.0, "elevation": 0.0, "reason": ""}
        for word in words
    ]
    summary = summarise([{"candidates": rows}], 5.0)
    assert list(summary["score_medians"]) == sorted(words)
