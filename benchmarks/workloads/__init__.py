"""The networks that are timed: each file is a `model.py` as a user would write it."""
