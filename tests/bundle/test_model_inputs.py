"""Batches as tensors: the types that a model takes, and no memory that is shared read-only."""

import numpy as np
import torch

from ctrkit.bundle.inputs import model_inputs, targets
from ctrkit.data.store.batch import Batch

CPU = torch.device("cpu")


def test_tensors_have_the_types_that_a_model_takes():
    codes = np.array([[0, 2**32 - 1], [3, 4]], np.uint32, order="F")
    numbers = np.array([[1.5], [np.nan]], np.float32)
    numbers.flags.writeable = False  # as a memory map
    bags = ((np.array([2**32 - 1], np.uint32), np.array([0, 1])),)
    batch = Batch(codes, numbers, bags, np.array([0, 1], np.uint8))
    inputs = model_inputs(batch, CPU)
    assert inputs[0].tolist() == codes.tolist()
    assert inputs[0].is_contiguous()
    assert inputs[1].dtype == torch.float32
    assert inputs[2][0][0].tolist() == [2**32 - 1]
    assert [t.dtype for t in (inputs[0], *inputs[2][0])] == [torch.int64] * 3
    inputs[1][0] = 7.0
    assert numbers[0, 0] == 1.5
    label, weight = targets(batch, CPU)
    assert label.tolist() == [0.0, 1.0]
    assert label.dtype == torch.float32
    assert weight is None
