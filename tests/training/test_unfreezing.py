import pytest

from transfer_utils import UnfreezingSchedule
from transfer_utils.training.rates import one_cycle


def test_each_stage_has_its_own_cycle():
    rates, steps, epochs = UnfreezingSchedule({0: 1, 1: 2, 3: 9}).own_cycles(7, lambda progress: progress), 5, 7
    found = [rates(step / (epochs * steps)) for step in range(epochs * steps)]
    expected = [step / (length * steps) for length in (1, 2, 4) for step in range(length * steps)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_cycle_is_one_cycle_unless_another_is_given():
    rates = UnfreezingSchedule({0: 1, 2: 2}).own_cycles(4)
    assert [rates(p / 2) for p in (0.0, 0.2, 0.7)] == pytest.approx([one_cycle(p) for p in (0.0, 0.2, 0.7)], abs=1e-6)
    assert [rates(0.5 + p / 2) for p in (0.0, 0.2, 1.0)] == pytest.approx([one_cycle(p) for p in (0, 0.2, 1)], abs=1e-6)


def test_a_stage_begins_at_the_start_of_its_cycle_whatever_the_rounding():
    for epochs in range(2, 40):
        for steps in (1, 3, 7, 11):
            for start in range(1, epochs):
                rates = UnfreezingSchedule({0: 1, start: 2}).own_cycles(epochs)
                assert rates(start * steps / (epochs * steps)) == pytest.approx(0.04, abs=1e-6), (epochs, steps, start)


def test_stages_after_the_end_do_not_count():
    rates = UnfreezingSchedule({0: 1, 5: 2}).own_cycles(4, lambda progress: progress)
    assert rates(0.5) == pytest.approx(0.5)


def test_a_run_has_an_epoch():
    with pytest.raises(ValueError, match="1 or more"):
        UnfreezingSchedule({0: 1}).own_cycles(0)
