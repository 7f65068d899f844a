"""Splitting and shuffling: no row twice, none lost, the same for one seed."""

import numpy as np
import pytest

from bpgen.errors import TooFewRowsError
from bpgen.execute.dataset import Dataset, batches, split

N = 101


def dataset():
    return Dataset({"row": np.arange(N)})


def test_the_three_parts_share_no_row_and_lose_none():
    parts = split(dataset(), seed=3, batch=7)
    rows = [part.arrays["row"] for part in (parts.train, parts.validation, parts.test)]
    assert sorted(np.concatenate(rows)) == list(range(N))
    assert [len(part) for part in rows] == [81, 10, 10]


def test_a_seed_gives_one_split_and_another_seed_another():
    first, again, other = (split(dataset(), seed=s, batch=7).test.arrays["row"] for s in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_a_training_part_smaller_than_a_batch_is_told_of():
    with pytest.raises(TooFewRowsError, match="101 rows are too few"):
        split(dataset(), seed=0, batch=82)


def test_an_epoch_visits_every_row_once_but_for_the_rest_of_a_batch():
    rows = batches(N, batch=7, seed=3, epoch=1)
    assert rows.shape == (14, 7)
    assert len(np.unique(rows)) == 98


def test_every_epoch_and_every_seed_has_its_own_order():
    orders = [batches(N, batch=7, seed=s, epoch=e) for s in (0, 1) for e in (1, 2)]
    assert len({order.tobytes() for order in orders}) == 4
    assert (batches(N, batch=7, seed=1, epoch=2) == orders[3]).all()
