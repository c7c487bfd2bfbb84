"""Pictures of lesson 08: two domains side by side, before and after adaptation, and what chooses without labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...data import ImageSplits, LabelledImages
from ...data.photo_digits import ATTRIBUTION
from ...evaluation.metrics import accuracy
from .. import plots


def digits_of(domains: Mapping[str, LabelledImages], columns: int = 10) -> Figure:
    """Show one image of each digit in each domain, a row a domain, not the first ones of the file."""
    figure, grid = plt.subplots(len(domains), columns, figsize=(columns * 1.05, len(domains) * 1.25), squeeze=False)
    for row, (name, part) in zip(grid, domains.items(), strict=True):
        for digit, axes in enumerate(row):
            found = np.flatnonzero(part.labels.numpy() == digit)
            axes.imshow(part.images[found[(7 * digit + 3) % len(found)]])
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
        row[0].set_ylabel(name, fontsize=13)
    plots.write_credit(figure, ATTRIBUTION)
    return figure


def cells_of(kinds: Mapping[str, ImageSplits]) -> Figure:
    """Show three functional and three defective training cells of each kind, a row a kind, spread over the modules."""
    pictures, titles = [], []
    for kind, splits in kinds.items():
        part = splits.train
        for label, name in enumerate(part.class_names):
            found = np.flatnonzero(part.labels.numpy() == label)
            chosen = found[np.linspace(0, len(found) - 1, 5).round().astype(int)[1:4]]
            pictures += [part[i][0] for i in chosen]
            titles += [f"{kind}\n{name}"] * 3
    figure, grid = plt.subplots(len(kinds), 6, figsize=(11, 2.3 * len(kinds)))
    for axes, picture, title in zip(grid.flat, pictures, titles, strict=True):
        axes.imshow(picture, cmap="gray")
        axes.set_title(title, fontsize=11)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
    plots.write_credit(figure, next(iter(kinds.values())).attribution)
    return figure


def maps(
    features: Mapping[str, Sequence[torch.Tensor]], domains: Sequence[str], neighbours: int = 10
) -> tuple[Figure, str]:
    """Draw a t-SNE map of both domains for each network, and say how mixed they are among the nearest features.

    Args:
        features: title -> features of the source (N, D) and of the target (M, D).
        domains: their names.
    """
    from sklearn.manifold import TSNE

    figure, grid = plt.subplots(1, len(features), figsize=(12, 3.8), squeeze=False)
    told = []
    for axes, (title, made) in zip(grid.flat, features.items(), strict=True):
        together, domain = torch.cat(list(made)), np.repeat([0, 1], [len(part) for part in made])
        points = TSNE(2, init="pca", random_state=0).fit_transform(together.numpy())
        for number, (colour, marker) in enumerate(((plots.BLUE, "o"), (plots.RED, "^"))):
            look = {"s": 20, "color": colour, "marker": marker, "alpha": 0.55, "lw": 0, "label": domains[number]}
            axes.scatter(*points[domain == number].T, **look)
        axes.set(xlabel="first direction", xticks=[], yticks=[])
        axes.set_title(title, fontsize=13)
        apart = torch.cdist(together, together).fill_diagonal_(torch.inf)
        nearest = apart.argsort(1)[:, :neighbours].numpy()
        told.append(f"{title} {(domain[nearest] != domain[:, None]).mean():.0%}")
    grid.flat[0].set_ylabel("second direction")
    grid.flat[0].legend(fontsize=11)
    return (
        figure,
        f"Of the {neighbours} nearest features, from the other domain: {'; '.join(told)}. Mixed evenly: half.",
    )


def scores_by_weight(weights: Sequence[float], scores: Mapping[str, torch.Tensor]) -> tuple[Figure, str]:
    """Draw each score, (seeds, weights), over the weights of the adversary, a panel a score.

    Returns:
        The figure, and in words what the first score reaches where each of them chooses the weight, seed by seed.
    """
    figure, grid = plt.subplots(1, len(scores), figsize=(11, 3.8), squeeze=False)
    places, first = range(len(weights)), next(iter(scores.values()))
    for axes, (name, values), colour in zip(grid.flat, scores.items(), plots.PALETTE, strict=False):
        plots.band(axes, places, values, color=colour, marker="o")
        mean = values.double().mean(0)
        axes.plot(int(mean.argmax()), float(mean.max()), "o", ms=18, mfc="none", mec="black", mew=1.5)
        axes.set_xticks(places, [f"{weight:g}" for weight in weights])
        axes.set_title(name, fontsize=13)
        axes.set_xlabel("weight of the adversary")
    seeds = torch.arange(len(first))
    reached = {name: float(first[seeds, values.argmax(1)].double().mean()) for name, values in scores.items()}
    return figure, ", ".join(f"{name} {value:.3f}" for name, value in reached.items())


TERMS = ("source error", "half the A-distance", "joint error", "target error")


def terms(study: Mapping[str, Mapping], arms: Sequence[str], source: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """Return ``TERMS`` of the arm that each seed has, (seeds, 4).

    Args:
        study: arm -> ``source scores`` and ``scores`` (S, N, C), ``distance`` and ``joint error`` (S,).
        arms: one for each seed.
        source, target: the labels of the test items of both domains.
    """
    rows = []
    for seed, arm in enumerate(arms):
        found = {name: values[seed] for name, values in study[arm].items()}
        wrong = [1 - accuracy(found[name], truth) for name, truth in (("source scores", source), ("scores", target))]
        rows.append([wrong[0], float(found["distance"]) / 2, float(found["joint error"]), wrong[1]])
    return np.array(rows)


def before_and_after(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[Figure, str]:
    """Draw how the terms of the bound and the target error move, a panel a term, a row a pair of domains.

    Args:
        pairs: name -> :func:`terms` before and after.
    """
    figure, grid = plt.subplots(1, len(TERMS), figsize=(12, 1.6 + 1.0 * len(pairs)), sharey=True)
    for column, (axes, term) in enumerate(zip(grid, TERMS, strict=True)):
        for row, (before, after) in enumerate(pairs.values()):
            start, end = before[:, column].mean(), after[:, column].mean()
            axes.annotate("", (end, row), (start, row), arrowprops={"arrowstyle": "->", "lw": 2, "color": plots.GREY})
            axes.plot(start, row, "o", ms=11, color=plots.GREY, label="weight 0" if row == 0 else None)
            axes.plot(end, row, "P", ms=12, color=plots.RED, label="DANN" if row == 0 else None)
            axes.text(0.55, row - 0.22, f"{start:.3f} → {end:.3f}", ha="center", fontsize=12)
        axes.set_title(term, fontsize=13)
        axes.set_xlim(0, 1.1)
        axes.set_ylim(len(pairs) - 0.4, -0.6)
    grid[0].set_yticks(range(len(pairs)), list(pairs))
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=11)
    told = [
        f"{name}: " + ", ".join(f"{t} {a:.3f} to {b:.3f}" for t, a, b in zip(TERMS, x.mean(0), y.mean(0), strict=True))
        for name, (x, y) in pairs.items()
    ]
    return figure, "\n".join(told)


def at_threshold(
    probabilities: Mapping[str, torch.Tensor], labels: torch.Tensor, names: Sequence[str], threshold: float
) -> tuple[Figure, str]:
    """Draw histograms of the probability of class 1, (N,), by true class, and say what the threshold makes of them."""
    figure, grid = plt.subplots(1, len(probabilities), figsize=(11, 4.2), squeeze=False, sharey=True)
    truth, told = labels.numpy(), []
    for axes, (way, values) in zip(grid.flat, probabilities.items(), strict=True):
        called = values.numpy() >= threshold
        balanced = np.mean([(called[truth == number] == number).mean() for number in (0, 1)])
        told.append(f"{way}: {called.mean():.0%} called {names[1]}, balanced accuracy {balanced:.2f}")
        for number, look in enumerate(({"color": plots.BLUE}, {"color": plots.RED, "hatch": "//"})):
            bars = {**look, "alpha": 0.55, "edgecolor": "white", "label": f"really {names[number]}"}
            axes.hist(values.numpy()[truth == number], np.linspace(0, 1, 21), **bars)
        axes.axvline(threshold, color="black", ls="--")
        axes.set(xlabel=f"predicted probability of {names[1]}", title=told[-1].replace(", ", ",\n"))
        axes.title.set_fontsize(12)
    grid.flat[0].set_ylabel("cells")
    grid.flat[0].legend(fontsize=11)
    return figure, "; ".join(told) + "."


def threshold_mover(
    probabilities: Mapping[str, torch.Tensor], labels: torch.Tensor, names: Sequence[str]
) -> Callable[[float], None]:
    """Return a function of the threshold that shows :func:`at_threshold`, for a slider."""

    def draw(threshold: float) -> None:
        figure, told = at_threshold(probabilities, labels, names, threshold)
        plots.show(figure, f"Histograms of the predicted probability by true class. {told}")

    return draw


def bought(values: Mapping[int, Sequence[float]], lines: Mapping[str, Sequence[float]]) -> tuple[Figure, str]:
    """Draw balanced accuracy of each seed against the number of target labels, and methods without labels as lines.

    Returns:
        The figure, and in words the means, and from how many labels on the first line is passed.
    """
    budgets, figure, axes = list(values), *plt.subplots(figsize=(8.5, 4.2))
    runs = np.array(list(values.values())).T  # (seeds, budgets)
    plots.band(axes, budgets, runs, color=plots.BLUE, marker="o", label="fine-tuned on target labels")
    for (name, found), style in zip(lines.items(), ("--", ":", "-."), strict=False):
        look = {"color": plots.method_style(name)["color"], "ls": style, "lw": 2.5, "label": f"{name}, no labels"}
        axes.axhline(np.mean(found), **look)
    axes.set(xlabel="labelled target cells (log scale)", ylabel="balanced accuracy")
    plots.log_axis(axes, budgets)
    axes.legend(fontsize=11)
    first, level = next((name, np.mean(found)) for name, found in lines.items())
    passed = [count for count, mean in zip(budgets, runs.mean(0), strict=True) if mean > level]
    told = ", ".join(f"{count} labels {mean:.3f}" for count, mean in zip(budgets, runs.mean(0), strict=True))
    end = f"passed on average from {passed[0]} labels on" if passed else "not passed"
    return figure, f"{told}; {first}, without labels, {level:.3f}, {end}."
