"""Few-shot learning: parity with easyfsl and pytorch-metric-learning, properties, the usual bugs, bad input."""

import random
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset

from transfer_utils import fit, predict
from transfer_utils.evaluation.intervals import mean_and_interval
from transfer_utils.models.small_networks import conv4
from transfer_utils.techniques.episodes import Episodes, EpisodeSampler, EpisodeStep
from transfer_utils.techniques.prototypes import (
    by_cosine,
    by_matching,
    by_prototype,
    episode_accuracies,
    prototypes,
)
from transfer_utils.techniques.triplets import triplet_loss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from easyfsl.methods import MatchingNetworks, PrototypicalNetworks
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss

CLASSIFIERS = [by_prototype, by_cosine, by_matching]


def blobs(classes=6, each=8, width=5, spread=0.3, seed=0, dtype=torch.float32):
    """Return embeddings around one centre a class, and labels 0 to classes - 1, class after class."""
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=source, dtype=dtype)
    labels = torch.arange(classes).repeat_interleave(each)
    return centres[labels] + spread * torch.randn(len(labels), width, generator=source, dtype=dtype), labels


def task(ways=4, shots=3, queries=5, seed=0, dtype=torch.float32):
    embeddings, labels = blobs(ways, shots + queries, seed=seed, dtype=dtype)
    order = torch.arange(len(labels)).view(ways, -1)
    support, asked = order[:, :shots].flatten(), order[:, shots:].flatten()
    return embeddings[support], labels[support], embeddings[asked], labels[asked]


# ----------------------------------------------------------------- the oracles


@pytest.mark.parametrize("shots", [1, 5])
def test_prototypes_agree_with_easyfsl_after_the_root(shots):
    support, labels, queries, _ = task(shots=shots, dtype=torch.float64)
    oracle = PrototypicalNetworks(nn.Identity())
    oracle.process_support_set(support, labels)
    ours = by_prototype(support, labels, queries)
    torch.testing.assert_close(-(-ours).sqrt(), oracle(queries), atol=1e-5, rtol=0)
    torch.testing.assert_close(prototypes(support, labels)[0], oracle.prototypes, atol=1e-12, rtol=0)


def test_the_cosine_is_to_the_mean_of_directions_so_a_long_embedding_counts_no_more_than_a_short_one():
    support, labels, queries, _ = task(shots=3)
    lengths = torch.tensor([100.0, 1.0, 0.01]).repeat(4)[:, None]
    unit = support / support.norm(dim=1, keepdim=True)
    centres = torch.stack([unit[labels == k].mean(0) for k in range(4)])
    expected = F.cosine_similarity(queries[:, None], centres[None], dim=2)
    torch.testing.assert_close(by_cosine(support, labels, queries), expected)
    torch.testing.assert_close(by_cosine(support * lengths, labels, queries), expected)


def test_cosines_agree_with_those_of_easyfsl():
    support, labels, queries, _ = task(shots=1)
    oracle = PrototypicalNetworks(nn.Identity())
    oracle.process_support_set(support, labels)
    torch.testing.assert_close(by_cosine(support, labels, queries), oracle.cosine_distance_to_prototypes(queries))


def test_matching_agrees_with_easyfsl_without_full_context_embeddings():
    """Its encoders are made to add nothing; it leaves the length of queries, which then is our sharpness."""
    support, labels, queries, _ = task()

    class Nothing(nn.Module):
        def forward(self, inputs, state=None):
            if state is None:
                return (torch.cat([torch.zeros_like(inputs)] * 2, 2),)
            return torch.zeros_like(state[0]), torch.zeros_like(state[1])

    oracle = MatchingNetworks(
        nn.Identity(), feature_dimension=support.shape[1], support_encoder=Nothing(), query_encoder=Nothing()
    )
    oracle.process_support_set(support, labels)
    theirs = oracle(10 * F.normalize(queries, dim=1))
    torch.testing.assert_close(by_matching(support, labels, queries).exp() + 1e-6, theirs.exp(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_the_triplet_loss_agrees_with_pytorch_metric_learning(margin):
    embeddings, labels = blobs(4, 5, dtype=torch.float64, spread=1.0)
    embeddings.requires_grad_()
    theirs = TripletMarginLoss(margin=margin, distance=LpDistance(p=2, power=2, normalize_embeddings=True))
    torch.testing.assert_close(triplet_loss(embeddings, labels, margin), theirs(embeddings, labels))
    (ours,) = torch.autograd.grad(triplet_loss(embeddings, labels, margin), embeddings)
    (other,) = torch.autograd.grad(theirs(embeddings, labels), embeddings)
    torch.testing.assert_close(ours, other)


def test_the_triplet_loss_agrees_with_loops():
    embeddings, labels = blobs(3, 4, dtype=torch.float64, spread=1.0)
    unit, found = F.normalize(embeddings, dim=1), []
    for a in range(len(labels)):
        for p in range(len(labels)):
            for n in range(len(labels)):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    found.append((unit[a] - unit[p]).pow(2).sum() - (unit[a] - unit[n]).pow(2).sum() + 0.2)
    above = [excess for excess in found if excess > 0]
    torch.testing.assert_close(triplet_loss(embeddings, labels), sum(above) / len(above))


# ---------------------------------------------------------------- properties


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    names=st.lists(st.integers(-(10**6), 10**6), min_size=4, max_size=4, unique=True),
    order=st.permutations(range(12)),
    classify=st.sampled_from(CLASSIFIERS),
)
def test_names_of_classes_and_the_order_of_the_support_do_not_matter(seed, names, order, classify):
    support, labels, queries, _ = task(seed=seed, dtype=torch.float64)
    plain = classify(support, labels, queries).argmax(1)
    renamed = torch.tensor(names)[labels][list(order)]
    scores = classify(support[list(order)], renamed, queries)
    said = renamed.unique()[scores.argmax(1)]  # columns are the classes in rising order
    assert torch.equal(said, torch.tensor(names)[plain])


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(4, 9), min_size=3, max_size=7),
    start=st.integers(-50, 50),
    number=st.integers(0, 10**6),
    shuffle=st.randoms(use_true_random=False),
)
def test_an_episode_is_what_it_says(counts, start, number, shuffle):
    labels = [start + 7 * k for k, count in enumerate(counts) for _ in range(count)]
    shuffle.shuffle(labels)
    labels = torch.tensor(labels)
    episode = EpisodeSampler(labels, ways=3, shots=1, queries=3)(number)
    everything = torch.cat([episode.support, episode.queries]).tolist()
    assert len(set(everything)) == len(everything) == 12
    assert torch.equal(labels[episode.support], episode.classes[episode.support_labels])
    assert torch.equal(labels[episode.queries], episode.classes[episode.query_labels])
    assert episode.query_labels.bincount().tolist() == [3, 3, 3]
    assert len(episode.classes.unique()) == 3


def test_every_class_and_every_item_is_drawn_equally_often():
    labels = torch.arange(5).repeat_interleave(6)
    sampler = EpisodeSampler(labels, 2, 1, 2)
    drawn = torch.zeros(30)
    for number in range(2000):
        episode = sampler(number)
        drawn[torch.cat([episode.support, episode.queries])] += 1
    assert drawn.sum() == 12000
    assert (drawn - 400).abs().max() < 100  # five standard deviations


def test_episodes_depend_on_the_seed_and_their_number_only():
    labels = torch.arange(5).repeat_interleave(6)
    first, again = EpisodeSampler(labels, 3, 2, 2, seed=1), EpisodeSampler(labels, 3, 2, 2, seed=1)
    first(0)
    assert all(torch.equal(a, b) for a, b in zip(first(7), again(7), strict=True))
    assert not torch.equal(first(7).support, first(8).support)
    assert not torch.equal(first(7).support, EpisodeSampler(labels, 3, 2, 2, seed=2)(7).support)


def test_squared_distances_are_a_linear_classifier():
    support, labels, queries, _ = task(dtype=torch.float64)
    centres, _ = prototypes(support, labels)
    linear = queries @ (2 * centres).T - centres.pow(2).sum(1)
    squared = by_prototype(support, labels, queries)
    rest = linear - squared
    torch.testing.assert_close(rest, queries.pow(2).sum(1, keepdim=True).expand_as(rest))
    torch.testing.assert_close(linear.softmax(1), squared.softmax(1))


def test_one_shot_prototypes_are_the_nearest_neighbour():
    support, labels, queries, _ = task(shots=1)
    nearest = labels[torch.cdist(queries, support).argmin(1)]
    assert torch.equal(by_prototype(support, labels, queries).argmax(1), nearest)


def test_matching_gives_probabilities_and_survives_attention_of_zero():
    support, labels, queries, _ = task()
    for sharpness in (1.0, 10.0, 1e4):
        scores = by_matching(support, labels, queries, sharpness)
        assert torch.isfinite(scores).all()
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(len(queries)), atol=1e-5, rtol=0)


def test_embeddings_without_information_give_chance():
    embeddings = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(15).repeat(20)
    found = episode_accuracies(by_prototype, embeddings, labels, ways=5, shots=1, queries=5, episodes=400)
    interval = mean_and_interval(found)
    assert abs(interval.mean - 0.2) < 0.03
    assert 0 < interval.spread < 0.02


def test_the_same_seed_gives_the_same_episodes_to_every_classifier():
    embeddings, labels = blobs()
    settings = {"ways": 3, "shots": 1, "queries": 4, "episodes": 20}
    first, again = (episode_accuracies(by_prototype, embeddings, labels, **settings) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (20,)
    renamed = episode_accuracies(by_prototype, embeddings, 1000 - 3 * labels, **settings)
    assert renamed.mean() > 0.7


# ------------------------------------------------------------------ training


def pictures(classes=6, each=8):
    source = torch.Generator().manual_seed(0)
    plain = torch.rand(classes, 1, 28, 28, generator=source)
    labels = torch.arange(classes).repeat_interleave(each)
    return TensorDataset(plain[labels] + 0.5 * torch.randn(len(labels), 1, 28, 28, generator=source), 10 + labels)


@pytest.mark.parametrize("classify", [by_prototype, by_matching])
def test_a_network_learns_from_episodes(classify):
    network, data = conv4(width=8), pictures()
    train = Episodes(data, ways=4, shots=1, queries=3, count=40)
    result = fit(network, train, epochs=2, batch_size=1, step=EpisodeStep(classify), progress="")
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    values = predict(network, data, progress="")[0]
    assert values.shape == (48, 8)
    assert episode_accuracies(classify, values, data.tensors[1], ways=4, shots=1, queries=3, episodes=50).mean() > 0.6


def test_an_episode_as_a_batch():
    support, support_labels, queries, query_labels = Episodes(pictures(), 4, 1, 3, count=5).collect([2])
    assert support.shape == (4, 1, 28, 28)
    assert queries.shape == (12, 1, 28, 28)
    assert support_labels.tolist() == [0, 1, 2, 3]
    assert query_labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_two_episodes_a_step_are_refused_with_advice():
    with pytest.raises(ValueError, match=r"batch_size=1"):
        fit(conv4(), Episodes(pictures(), 4, 1, 3, count=4), epochs=1, batch_size=2, progress="")


# -------------------------------------------------------------- the usual bugs


def test_bug_labels_that_are_not_0_to_n_index_the_wrong_prototype():
    """Tutorials write ``support[labels == k]`` for k in 0..n-1, or trust the class number as the column."""
    support, labels, queries, truth = task()
    names = torch.tensor([7, 42, 3, 19])
    scores = by_prototype(support, names[labels], queries)
    as_column = scores.argmax(1)  # columns are 3, 7, 19, 42: not the order of names
    assert (as_column == truth).double().mean() < 0.5
    assert (names[labels].unique()[as_column] == names[truth]).double().mean() > 0.8


def test_bug_the_plain_distance_is_not_linear_and_gives_other_probabilities():
    support, labels, queries, _ = task(dtype=torch.float64)
    squared = by_prototype(support, labels, queries)
    plain = -(-squared).sqrt()
    assert torch.equal(plain.argmax(1), squared.argmax(1))
    assert (plain.softmax(1) - squared.softmax(1)).abs().max() > 0.1
    # A linear score halfway between two queries is the mean of theirs, up to what all classes share.
    a, b = queries[0], queries[-1]

    def differences(point, root):
        scores = by_prototype(support, labels, point[None])[0]
        scores = -(-scores).sqrt() if root else scores
        return scores[1:] - scores[0]

    for root, linear in [(False, True), (True, False)]:
        halfway = differences((a + b) / 2, root)
        mean = (differences(a, root) + differences(b, root)) / 2
        assert torch.allclose(halfway, mean, atol=1e-9) == linear


def test_bug_a_query_in_the_support_is_right_for_nothing():
    embeddings = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))  # no information at all
    labels = torch.arange(6).repeat_interleave(10)
    episode = EpisodeSampler(labels, 4, 1, 1)(0)
    leaked = by_prototype(embeddings[episode.support], episode.support_labels, embeddings[episode.support])
    assert (leaked.argmax(1) == episode.support_labels).all()


# ------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("labels", "sizes", "match"),
    [
        ([0, 0, 1, 1], (3, 1, 1), "3 ways need 3 classes; the data has 2"),
        ([5] * 9, (2, 1, 1), "2 ways need 2 classes; the data has 1"),
        ([0] * 9 + [8] * 3, (2, 1, 4), "need 5 examples of each class; class 8 has 3"),
        (["a", "a", "b", "b"], (2, 1, 1), "must be integers, not strings"),
        ([0.5, 1.0, 2.0], (2, 1, 1), "must be integers"),
        ([], (2, 1, 1), "must be integers"),
        ([0, 0, 1, 1], (1, 1, 1), "2 ways, 1 shot and 1 query or more"),
        ([0, 0, 1, 1], (2, 0, 1), "2 ways, 1 shot and 1 query or more"),
    ],
)
def test_episodes_that_cannot_be_drawn_are_refused(labels, sizes, match):
    with pytest.raises(ValueError, match=match):
        EpisodeSampler(labels, *sizes)


@pytest.mark.parametrize("classify", CLASSIFIERS)
def test_nan_and_one_class_and_images_are_refused(classify):
    support, labels, queries, _ = task()
    broken = support.clone()
    broken[2, 1] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        classify(broken, labels, queries)
    with pytest.raises(ValueError, match="NaN or infinite"):
        classify(support, labels, torch.full_like(queries, torch.inf))
    with pytest.raises(ValueError, match="one class"):
        classify(support, torch.zeros_like(labels), queries)
    with pytest.raises(ValueError, match="flatten"):
        classify(support.view(12, 1, 1, 5), labels, queries)


def test_embeddings_and_labels_of_other_lengths_are_refused():
    support, labels, _, _ = task()
    with pytest.raises(ValueError, match="12 embeddings came with labels of shape"):
        prototypes(support, labels[:-1])
    with pytest.raises(ValueError, match="NaN"):
        episode_accuracies(by_prototype, torch.full((8, 2), torch.nan), torch.arange(2).repeat(4), ways=2, shots=1)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_batch_without_triplets_is_refused(labels):
    with pytest.raises(ValueError, match="this batch has none"):
        triplet_loss(torch.randn(3, 4), torch.tensor(labels))


def test_a_batch_that_keeps_the_margin_has_loss_zero():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.01], [-1.0, 0.0], [-1.0, 0.01]], requires_grad=True)
    loss = triplet_loss(embeddings, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert loss.item() == 0
    assert embeddings.grad.abs().max() == 0


def test_global_randomness_is_left_alone():
    before, python = torch.get_rng_state(), random.getstate()
    EpisodeSampler(torch.arange(4).repeat(4), 2, 1, 1)(3)
    assert torch.equal(before, torch.get_rng_state())
    assert python == random.getstate()
