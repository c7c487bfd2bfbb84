"""Schematics: the gradient goes where PyTorch sends it, the alternative text says so, nothing overlaps."""

import importlib
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from torch import nn

from transfer_utils.lesson import Block, parameters, schematic
from transfer_utils.lesson.schematics.blocks import diagram_of, in_words
from transfer_utils.lesson.schematics.drawing import WIDEST, draw

IMAGE, LOSS = Block("image", kind="data"), Block("loss", kind="loss")
REVERSAL = Block("gradient reversal", kind="reversal")


def frozen(name, note="", **options):
    return Block(name, note, state="frozen", **options)


def trained(name, note="", **options):
    return Block(name, note, state="trained", **options)


def with_loss(name, loss):
    return [trained(name), Block(loss, kind="loss")]


STAGES = ("early stages", "late stages", "head")


def early_to_late(*states):
    stages = [Block(name, state=state) for name, state in zip(STAGES, states, strict=True)]
    return [IMAGE, *stages, LOSS]


PICTURES = {
    "feature extraction": [
        IMAGE, frozen("EfficientNet-Lite0", "3.4 M"), Block("features", kind="stored"), trained("head", "2,562"), LOSS,
    ],
    "fine-tuning": [IMAGE, trained("stem", "rate 1e-5"), trained("stages", "rate 1e-4"), trained("head"), LOSS],
    "unfreezing": [{
        "epochs 1 and 2": early_to_late("frozen", "frozen", "trained"),
        "epochs 3 and 4": early_to_late("frozen", "trained", "trained"),
        "from epoch 5": early_to_late("trained", "trained", "trained"),
    }],
    "adapters": [
        IMAGE, frozen("stage 1"), trained("adapter 1"), frozen("stage 2"), trained("adapter 2"), trained("head"), LOSS,
    ],
    "LoRA": [
        Block("text", kind="data"),
        frozen("embeddings", "11.9 M"),
        Block("each of 6 layers", "W x + B A x", inside=[frozen("W", "384 × 384"), trained("B A", "rank 8")]),
        trained("head"),
        LOSS,
    ],
    "DANN": [
        [Block("source", "labelled", kind="data"), Block("target", "no labels", kind="data")],
        trained("body"),
        [with_loss("label head", "label loss"), [REVERSAL, *with_loss("domain head", "domain loss")]],
    ],
    "distillation": [
        IMAGE,
        [[frozen("teacher", "3.4 M"), Block("soft loss", "temperature 4", kind="loss")],
         [trained("student", "100 k"), Block("hard loss", "labels", kind="loss")]],
    ],
    "prototypes": [
        [Block("support", "5 per class", kind="data"), Block("query", kind="data")],
        trained("body", "shared"),
        [Block("prototypes", "class means"), Block("query features")],
        Block("squared distance"),
        LOSS,
    ],
    "multi-task": [IMAGE, trained("body"), [with_loss(f"head {task}", f"loss {task}") for task in "ABC"]],
    "SimCLR": [
        IMAGE,
        [Block("view 1", kind="data"), Block("view 2", kind="data")],
        trained("body"),
        trained("projection head"),
        Block("NT-Xent loss", kind="loss"),
    ],
}  # fmt: skip
LINKS = {"distillation": [("student", "soft loss")]}


def diagram(name):
    return diagram_of(PICTURES[name], LINKS.get(name, ()))


def way_back(found):
    """Return the arrows of the gradient by the names at their ends, loss first."""
    return {(right.block.name, left.block.name) for left, right in found.gradient}


# ------------------------------------------------------------ where the gradient goes


@pytest.mark.parametrize(
    ("name", "arrows"),
    [
        ("feature extraction", {("loss", "head")}),
        ("fine-tuning", {("loss", "head"), ("head", "stages"), ("stages", "stem")}),
        ("adapters", {("loss", "head"), ("head", "adapter 2"), ("adapter 2", "stage 2"), ("stage 2", "adapter 1")}),
        ("LoRA", {("loss", "head"), ("head", "each of 6 layers")}),
        ("distillation", {("soft loss", "student"), ("hard loss", "student")}),
        (
            "DANN",
            {("label loss", "label head"), ("label head", "body"), ("domain loss", "domain head"),
             ("domain head", "gradient reversal"), ("gradient reversal", "body")},
        ),
    ],
)  # fmt: skip
def test_the_gradient_stops_where_nothing_below_is_trained(name, arrows):
    assert way_back(diagram(name)) == arrows


class Recorder(nn.Module):
    """A layer that remembers what came out of it."""

    def __init__(self, block):
        super().__init__()
        self.block, self.layer = block, nn.Linear(2, 2)
        self.layer.requires_grad_(block.state == "trained")

    def forward(self, values):
        plain = self.block.kind == "stored" or (self.block.kind == "part" and self.block.state is None)
        self.out = values.detach() if self.block.kind == "stored" else values.tanh() if plain else self.layer(values)
        if self.out.requires_grad:
            self.out.retain_grad()
        return self.out


MIDDLE = st.sampled_from([frozen("f"), trained("t"), Block("stored", kind="stored"), Block("mean")])


@given(st.lists(MIDDLE, min_size=1, max_size=6))
def test_the_gradient_goes_where_pytorch_sends_it(blocks):
    layers = [Recorder(block) for block in [*blocks, trained("head")]]
    nn.Sequential(*layers)(torch.ones(3, 2)).sum().backward()
    reached = [layer.out.grad is not None for layer in layers]
    useless = [layer for layer, here in zip(layers, reached, strict=True) if layer.block.trains and not here]
    parts = [IMAGE, *(layer.block for layer in layers), LOSS]
    if useless:
        with pytest.raises(ValueError, match="t is trained, but no gradient reaches it"):
            diagram_of(parts)
        return
    found = diagram_of(parts)
    assert [any(left is place for left, _ in found.gradient) for place in found.places[1:-1]] == reached


# ------------------------------------------------------------------------- in words


def test_the_alternative_text_says_what_is_frozen_trained_and_reached():
    assert in_words(diagram("feature extraction")) == (
        "Schematic, from left to right: image, then EfficientNet-Lite0 (3.4 M, frozen), then features (stored), then "
        "head (2,562, trained), then loss. Frozen: EfficientNet-Lite0. Trained: head. The gradient goes back from loss "
        "to head. It does not reach EfficientNet-Lite0 or features."
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adapters", "It passes through stage 2 and changes nothing there. It does not reach stage 1."),
        ("LoRA", "Trained: B A and head. The gradient goes back from loss to head and each of 6 layers (B A inside)."),
        ("DANN", "At gradient reversal it changes its sign."),
        ("DANN", "2 branches (1: label head (trained), then label loss; 2: gradient reversal, then domain head"),
        ("distillation", "an arrow also from student to soft loss. Frozen: teacher. Trained: student. The gradient"),
        ("distillation", "It does not reach teacher."),
        ("fine-tuning", "Frozen: nothing. Trained: stem, stages and head."),
        ("unfreezing", "Row 'epochs 1 and 2': image, then early stages (frozen)"),
        ("unfreezing", "to head and late stages. It does not reach early stages. Row 'from epoch 5'"),
    ],
)
def test_the_alternative_text_of_the_other_pictures(name, said):
    assert said in in_words(diagram(name))


def test_a_picture_without_a_loss_has_no_gradient():
    found = diagram_of([IMAGE, frozen("body"), Block("index", kind="stored")])
    assert found.gradient == set()
    assert in_words(found).endswith("There is no gradient.")
    assert "gradient" not in written(draw(found))


def test_it_is_shown_with_its_text(monkeypatch):
    shown = []
    drawing = importlib.import_module("transfer_utils.lesson.schematics.drawing")  # the function has the same name
    monkeypatch.setattr(drawing, "show", lambda figure, alt: shown.append((figure, alt)))
    schematic(IMAGE, trained("head"), LOSS)
    ((figure, alt),) = shown
    assert alt == in_words(diagram_of([IMAGE, trained("head"), LOSS]))
    assert {"image", "head", "loss", "gradient"} <= written(figure)


# --------------------------------------------------------------------------- drawn


def written(figure):
    return {text.get_text() for text in figure.axes[0].texts}


def boxes(figure):
    """Return the rectangles of boxes, and of texts with what they say, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    patches = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    drawn = [patch.get_window_extent(renderer) for patch in patches]
    return drawn, [(text.get_text(), text.get_window_extent(renderer)) for text in figure.axes[0].texts]


def apart(one, other):
    return one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0


def within(inner, outer):
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def overlaps(figure):
    """Return what lies across the border of a box, across another text, or outside the figure."""
    drawn, texts = boxes(figure)
    found = [(words, "box") for words, text in texts for box in drawn if not (within(text, box) or apart(text, box))]
    found += [(a, b) for (a, one), (b, other) in itertools.combinations(texts, 2) if not apart(one, other)]
    found += [(words, "outside") for words, text in texts if not within(text, figure.bbox)]
    return found + ["box outside" for box in drawn if not within(box, figure.bbox)]


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_overlaps(name):
    figure = draw(diagram(name))
    assert overlaps(figure) == []
    assert 8 <= figure.get_figwidth() <= WIDEST
    assert min(text.get_fontsize() for text in figure.axes[0].texts) >= 12


@pytest.mark.parametrize(
    "name", ["a" * 25, "Metropolitan Museum Maps", "a name of some 25 letters", "tf_efficientnet_lite0_ns1", "$x$ {"]
)
def test_long_names_do_not_leave_their_boxes(name):
    parts = [Block(name, kind="data"), frozen(name, name), Block(name, kind="stored"), Block(name, kind="loss")]
    figure = draw(diagram_of(parts))
    assert overlaps(figure) == []
    assert figure.get_figwidth() <= WIDEST


def test_an_overlap_is_noticed():
    figure = draw(diagram("feature extraction"))
    text = next(text for text in figure.axes[0].texts if text.get_text() == "EfficientNet-Lite0")
    text.set_fontsize(20)
    assert ("EfficientNet-Lite0", "box") in overlaps(figure)


def test_frozen_and_trained_differ_by_colour_border_and_word():
    figure = draw(diagram_of([frozen("body"), trained("head"), LOSS]))
    body, head = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)][:2]
    assert body.get_facecolor() != head.get_facecolor()
    assert body.get_linestyle() != head.get_linestyle()
    assert {"❄ frozen", "trained"} <= written(figure)


def test_a_gradient_arrow_for_each_edge_that_has_one():
    def arrows(name):
        return [patch for patch in draw(diagram(name)).axes[0].patches if not isinstance(patch, FancyBboxPatch)]

    for name in PICTURES:
        found = diagram(name)
        assert len(arrows(name)) == len(found.edges) + len(found.gradient) + 2  # two of the legend
    thick = [arrow.get_linewidth() for arrow in arrows("feature extraction")]
    assert thick.count(max(thick)) == 2  # loss to head, and the legend


# ----------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Block("head", state="melted"), "state 'melted'. There are 'frozen', 'trained'"),
        (lambda: Block("head", kind="hat"), "kind 'hat'"),
        (lambda: Block(" "), "needs a name"),
        (lambda: Block("loss", kind="loss", state="trained"), "has no weights"),
        (lambda: diagram_of([]), "nothing to draw"),
        (lambda: diagram_of([[]]), "nothing to draw"),
        (lambda: diagram_of([{}]), "nothing to draw"),
        (lambda: diagram_of([IMAGE, [[], [LOSS]]]), "branch has no blocks"),
        (lambda: diagram_of([[IMAGE, IMAGE], [LOSS, LOSS]]), "Two lists of branches"),
        (lambda: diagram_of([IMAGE, trained("head")]), "head is trained, but no gradient reaches it"),
        (lambda: diagram_of([trained("b"), Block("s", kind="stored"), trained("h"), LOSS]), "b is trained, but no"),
        (lambda: diagram_of([IMAGE, LOSS, frozen("body")]), "Nothing comes after a loss"),
        (lambda: diagram_of(PICTURES["DANN"], [("nobody", "body")]), "names 'nobody'; 0 blocks"),
        (lambda: diagram_of(PICTURES["DANN"], [("source", "domain loss")]), "does not stand in the column after"),
        (lambda: draw(diagram_of([IMAGE, *[frozen("stage of a network")] * 9, trained("h"), LOSS])), "too wide"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.parametrize("parts", [["image"], [IMAGE, [["head"], [LOSS]]], [3]])
def test_what_is_no_block_is_refused(parts):
    with pytest.raises(TypeError, match="neither a Block nor|is a list of blocks"):
        diagram_of(parts)


# --------------------------------------------------------------- numbers of parameters


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Linear(1280, 2), "2,562"),
        (nn.Linear(99_998, 1), "99,999"),
        (nn.Linear(99_999, 1), "100 k"),
        (nn.Linear(999_498, 1), "999 k"),
        (nn.Linear(999_499, 1), "1.0 M"),
        (nn.Linear(1000, 3400), "3.4 M"),
        (nn.ReLU(), "0"),
    ],
)
def test_parameters_are_counted(layer, text):
    assert parameters(layer) == text


def test_a_part_can_be_left_out():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    assert parameters(model, without=model[1]) == "15"
