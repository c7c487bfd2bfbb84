"""What lesson 09 draws and prints: the arm that a score chose, p-values, costs and powers."""

import matplotlib.pyplot as plt
import pytest
import torch

from transfer_utils.data.clouds import cloud_pairs
from transfer_utils.evaluation.metrics import accuracy
from transfer_utils.lesson.figures import adaptation
from transfer_utils.lesson.figures import mmd as figures
from transfer_utils.techniques.adaptation_runs import with_shares
from transfer_utils.techniques.mmd import median_bandwidth, mmd


def runs(prefix=""):
    """Return two seeds of two weights; the first has the larger way back in seed 0."""

    def arm(back, answer):
        scores = torch.zeros(2, 4, 2)
        scores[..., answer] = 1
        return {"scores": scores, "way back": back, "information": [1.0, 1.0]} | dict.fromkeys(
            adaptation.DISTANCES, torch.tensor([float(answer), 2.0])
        )

    return {f"{prefix}MMD, 0.3": arm([0.9, 0.1], 0), f"{prefix}MMD, 3": arm([0.5, 0.5], 1),
            f"{prefix}source only": arm([0.0, 0.0], 0)}  # fmt: skip


def test_for_each_seed_the_arm_that_the_score_chose():
    assert adaptation.chosen_by(runs(), "way back", (0.3, 3.0)) == [0.3, 3.0]
    assert adaptation.chosen_by(runs("a, "), "way back", (0.3, 3.0), "a, MMD") == [0.3, 3.0]
    arms = adaptation.arms_of(runs("a, "), ["source only", "MMD"], (0.3, 3.0), "a, ")
    assert arms["MMD"]["scores"].argmax(2).tolist() == [[0] * 4, [1] * 4]
    assert arms["MMD"]["MMD²"].tolist() == [0.0, 2.0]
    assert list(arms) == ["source only", "MMD"]


def test_what_is_printed_of_weights_and_distances(capsys):
    labels = torch.ones(4).long()
    by_choice = adaptation.print_weights(runs(), (0.3, 3.0), labels, accuracy)
    assert by_choice == {"way back": 0.5, "information": 0.0, "labels": 1.0}
    assert "would have taken 3: 1.000, at the edge" in capsys.readouterr().out
    arms = adaptation.arms_of(runs(), ["source only", "MMD"], (0.3, 3.0))
    points = adaptation.print_distances({"digits": (arms, adaptation.reached(arms, labels, lambda s, y: 0.25))})
    assert points["digits"]["MMD"][1] == [0.25, 0.25]
    assert "A-distance" in capsys.readouterr().out
    assert adaptation.means_told({"digits": {"MMD": [0.2, 0.4]}}) == "digits: MMD 0.300"


def test_pictures_say_what_they_show():
    pairs = {"moved": (torch.zeros(4, 1), torch.ones(4, 1)), "same": (torch.ones(4, 1), torch.ones(4, 1))}
    figure, alt, p = figures.shuffled(pairs, lambda x, y: y.mean() - x.mean(), "gap", divisions=50)
    assert p["same"] == 1 > 0.2 > p["moved"]
    assert f"moved {p['moved']:.3f}" in alt
    assert [axes.get_title() for axes in figure.axes] == [f"moved: p = {p['moved']:.3f}", "same: p = 1.000"]
    figure, alt = figures.witness_of_moved(*cloud_pairs(20)["moved"], 1.0, 5.0, divisions=20)
    assert "p = 0.048" in alt
    figure, alt = figures.training([{"train_loss": 2.0, "train_distance": 0.5}] * 2)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1.5, 1.5]
    figure = figures.reached(
        {"digits": {"MMD": [0.5, 0.6], "CORAL with means": [0.4, 0.5]}}, "accuracy", {"digits": 0.1}
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["MMD", "CORAL with means"]
    figures.distance_and_accuracy({"a": {"MMD": ([0.1, 0.2], [0.5, 0.6])}, "b": {"DANN": ([0.1, 0.2], [0.5, 0.6])}})
    plt.close("all")


def test_the_witness_attains_the_mmd_and_random_functions_do_not():
    x, y = cloud_pairs(60)["another shape"]
    width = median_bandwidth(x, y)
    attained, luck = figures.witness_and_random(x, y, width, tries=50)
    assert attained == pytest.approx(float(mmd(x, y, width, scales=(1.0,))) ** 0.5, abs=1e-5)
    assert luck < attained


def test_all_differences_give_the_same_value_and_the_power_grows():
    x, y = cloud_pairs(30)["moved"]
    torch.testing.assert_close(figures.by_differences(x, y), mmd(x, y))
    figure, slow, fast = figures.costs((4, 8), (2,))
    assert min(slow.seconds, fast.seconds) > 0
    moved = {"far": (torch.randn(40, 3), torch.randn(40, 3) + 4)}
    figure, rates = figures.power_of_the_test(moved, (3, 8), draws=4)
    assert rates["far"][1] == 1
    plt.close("all")


def test_scores_of_a_model_that_learned_other_proportions_are_corrected(capsys):
    scores = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]])  # one seed, two items
    corrected = with_shares(scores, torch.tensor([1, 9]), torch.tensor([1, 1]))
    ratio = (corrected.softmax(-1) / scores.softmax(-1))[0]
    assert torch.allclose(ratio[:, 0] / ratio[:, 1], torch.tensor(9.0))
    assert corrected.argmax(-1).tolist() == [[0, 0]]
    adaptation.print_calls({"as it is": scores}, torch.tensor([0, 0]))
    assert "calls 0.50" in capsys.readouterr().out
