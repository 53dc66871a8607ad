"""Protocol S: what a single picture is turned into, asked of everything that can answer.

Stands above the stages that it composes; `check/single.py` judges what it writes and imports nothing of it.
"""
