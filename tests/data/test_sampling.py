from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agfnet.data.sampling import EpochSampler, EvenBatches


def order(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    pairs = list(sampler)
    assert {found for found, _ in pairs} == {epoch}
    return [position for _, position in pairs]


def test_order_depends_on_seed_and_epoch_alone():
    sampler = EpochSampler(count=50, shuffle=True, seed=1)
    first, second = order(sampler, 0), order(sampler, 1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert order(EpochSampler(count=50, shuffle=True, seed=1), 1) == second
    assert order(EpochSampler(count=50, shuffle=True, seed=2), 1) != second


def test_without_shuffling():
    assert order(EpochSampler(count=4, shuffle=False, seed=1), 3) == [0, 1, 2, 3]


def test_an_iteration_keeps_the_epoch_that_it_began_with():
    sampler = EpochSampler(count=3, shuffle=False, seed=0)
    pairs = iter(sampler)
    sampler.set_epoch(1)
    assert [epoch for epoch, _ in pairs] == [0, 0, 0]


@given(count=st.integers(1, 200), batch_size=st.integers(1, 40))
def test_batches_are_even_and_whole(count: int, batch_size: int):
    sampler = EpochSampler(count=count, shuffle=False, seed=0)
    batches = EvenBatches(sampler=sampler, batch_size=batch_size)
    found = list(batches)
    sizes = [len(batch) for batch in found]
    assert [position for batch in found for _, position in batch] == list(range(count))
    assert len(batches) == len(sizes)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= (3 if batch_size == 2 else batch_size)
    assert min(sizes) > 1 or batch_size == 1 or count == 1


@given(count=st.integers(1, 200), batch_size=st.integers(1, 40), parts=st.integers(1, 8))
def test_parts_of_a_batch_are_its_cases(count: int, batch_size: int, parts: int):
    sampler = EpochSampler(count=count, shuffle=True, seed=0)
    whole = list(EvenBatches(sampler=sampler, batch_size=batch_size))
    divided = EvenBatches(sampler=sampler, batch_size=batch_size, parts=parts)
    found = list(divided)
    assert len(divided) == len(found) == len(whole) * divided.parts
    assert min(map(len, found)) > 0
    for number, batch in enumerate(whole):
        first = number * divided.parts
        assert [pair for part in found[first : first + divided.parts] for pair in part] == batch
    assert divided.parts == min(parts, min(map(len, whole)))


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(10, 5, [5, 5]), (11, 5, [3, 4, 4]), (3, 2, [3]), (5, 2, [2, 3]), (1, 8, [1]), (2, 1, [1, 1])],
)
def test_sizes(count: int, batch_size: int, sizes: list[int]):
    sampler = EpochSampler(count=count, shuffle=False, seed=0)
    assert [len(batch) for batch in EvenBatches(sampler=sampler, batch_size=batch_size)] == sizes


def test_balanced_draws_each_class_equally_often_and_again_in_the_same_way() -> None:
    labels = [0] * 5 + [1] * 95
    sampler = EpochSampler(count=100, shuffle=True, seed=1, labels=labels)
    drawn = [labels[i] for epoch in range(40) for i in order(sampler, epoch)]
    assert len(drawn) == 4000
    assert abs(drawn.count(0) / 4000 - 0.5) < 0.04
    assert order(sampler, 1) == order(
        EpochSampler(count=100, shuffle=True, seed=1, labels=labels), 1
    )
    assert order(sampler, 1) != order(sampler, 2)


@given(count=st.integers(8, 200), batch_size=st.integers(8, 40), processes=st.integers(2, 4))
def test_processes_share_each_batch(count: int, batch_size: int, processes: int) -> None:
    sampler = EpochSampler(count=count, shuffle=True, seed=0)
    whole = EvenBatches(sampler=sampler, batch_size=batch_size)
    parts = [
        EvenBatches(sampler=sampler, batch_size=batch_size, rank=rank, processes=processes)
        for rank in range(processes)
    ]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(batch) == sorted(pair for share in shares for pair in share)
        sizes = [len(share) for share in shares]
        assert min(sizes) > 0
        assert max(sizes) - min(sizes) <= 1
