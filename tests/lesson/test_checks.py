"""The files of checks: right answers pass, typical mistakes are refused with words that name them."""

import copy
import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from transfer_utils.lesson.checks import registry
from transfer_utils.lesson.checks.small_models import learn_only_in, never_train
from transfer_utils.lesson.checks.training_loops import loop_by_hand
from transfer_utils.lesson.judging import judge

EXERCISES = [one for lesson in registry.lessons() for one in registry.exercises_of(lesson)]


def samples(kind):
    return [pytest.param(one, sample, id=f"{one.number}-{getattr(sample.answer, '__name__', 'value')}-{sample.words}")
            for one in EXERCISES for sample in getattr(one, kind)]  # fmt: skip


@pytest.mark.parametrize(("exercise", "sample"), samples("right"))
def test_a_right_answer_passes(exercise, sample):
    assert judge(exercise, sample.answer, sample.context).text == "right."


@pytest.mark.parametrize(("exercise", "sample"), samples("wrong"))
def test_a_typical_mistake_is_refused_and_named(exercise, sample):
    verdict = judge(exercise, sample.answer, sample.context)
    assert not verdict.right
    assert verdict.text.startswith("not yet. ")
    assert sample.words in verdict.text


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.number)
def test_an_exercise_has_answers_to_try_it_on_and_a_title(exercise):
    assert exercise.right
    assert len(exercise.wrong) >= 3
    assert len({sample.words for sample in exercise.wrong}) == len(exercise.wrong), (
        "a mistake has a feedback of its own"
    )
    assert all(sample.words.strip() for sample in exercise.wrong)
    assert 8 <= len(exercise.title) <= 60
    assert not exercise.title.endswith(".")


# ------------------------------------------------------------------- how a file of checks is written


@pytest.fixture
def empty(monkeypatch):
    """Return a declaration of exercises in a lesson 09 of its own."""
    monkeypatch.setattr(registry, "_exercises", {})

    def declare(number, name="conditions", module="lesson_09"):
        def conditions(answer):
            yield answer, "Answer."

        conditions.__module__, conditions.__name__ = f"transfer_utils.lesson.checks.{module}", name
        return registry.exercise(number, "A title", asked="a truth")(conditions)

    return declare


def test_an_exercise_belongs_in_the_file_of_its_lesson(empty):
    with pytest.raises(ValueError, match=r"08.1 stands in .*lesson_09; it belongs in lesson/checks/lesson_08.py"):
        empty("08.1")


def test_a_number_is_given_once_and_a_file_may_be_loaded_again(empty):
    empty("09.1")
    registry.right("09.1", True)
    empty("09.1")
    assert registry._exercises["09.1"].right == []
    with pytest.raises(ValueError, match="09.1 is there twice: A title, and A title"):
        empty("09.1", name="another")


def test_answers_are_values_in_the_call_or_functions_below_it(empty):
    empty("09.1")
    registry.right("09.1", None, width=3)
    registry.wrong("09.1", "words", 5)

    @registry.wrong("09.1", "other words")
    def function():
        return 1

    exercise = registry._exercises["09.1"]
    assert [(s.answer, s.context) for s in exercise.right] == [(None, {"width": 3})]
    assert [(s.answer, s.words) for s in exercise.wrong] == [(5, "words"), (function, "other words")]
    assert function() == 1


def test_the_numbers_of_a_lesson_run_from_one():
    for lesson in registry.lessons():
        numbers = [one.number for one in registry.exercises_of(lesson)]
        assert numbers == [f"{lesson}.{k}" for k in range(1, len(numbers) + 1)]
        assert 3 <= len(numbers) <= 5


# ---------------------------------------------------------------- lesson 01: other answers, and tricks


def judged(number, answer, **context):
    return judge(registry.find(number), answer, context)


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "Adagrad", "NAdam", "Adadelta"])
@pytest.mark.parametrize("factor", [1, 0.01])
def test_any_optimizer_at_any_rate_may_train_the_head(optimizer, factor):
    def slower(parameters, lr):
        return getattr(torch.optim, optimizer)(parameters, lr=lr * factor)

    assert judged("01.3", loop_by_hand(slower)).text == "right."


def in_one_batch(head, train_loader, validation_loader, epochs, lr, before=False, after=False, whole=False):
    """Validate on all items in one batch, keep the whole head, and look once more than needed."""
    optimizer, accuracies, best = torch.optim.SGD(head.parameters(), lr=lr, momentum=0.9), [], None
    features, labels = (torch.cat(column) for column in zip(*validation_loader, strict=True))

    def accuracy():
        head.eval()
        return (head(features).argmax(1) == labels).float().mean()

    if before:
        accuracy()
    for _ in range(epochs):
        head.train()
        for batch, names in train_loader:
            loss = torch.nn.functional.cross_entropy(head(batch), names)
            head.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()
        accuracies.append(accuracy())
        if best is None or accuracies[-1] > max(accuracies[:-1]):
            best = copy.deepcopy(head) if whole else {name: w.clone() for name, w in head.state_dict().items()}
    head.load_state_dict(best.state_dict() if whole else best)
    if after:
        accuracy()
    return accuracies


@pytest.mark.parametrize("extra", [{}, {"before": True}, {"after": True}, {"whole": True}])
def test_a_loop_in_another_style_is_right(extra):
    assert judged("01.3", functools.partial(in_one_batch, **extra)).text == "right."


class EqualsEverything:
    """Passes for every value in a comparison by ``==``."""

    def __eq__(self, _):
        return True

    def __ne__(self, _):
        return False

    def __float__(self):
        return 6.0


def head_by_its_name(model, _):
    """Look for the head under the name that the lesson's network has."""
    for module in learn_only_in(model, "classifier"):
        never_train([module])
    return model


def test_a_copy_may_not_switch_the_head_of_the_original():
    def binds_the_group(model, head):
        never_train(learn_only_in(model, head))
        group = model.get_submodule(head.rpartition(".")[0])
        if group is not model:
            group.train = lambda mode=True: nn.Module.train(group, mode) and None
        return model

    assert "calls the `train` of the original" in judged("01.2", binds_the_group).text


@pytest.mark.parametrize(
    ("number", "trick", "context"),
    [
        ("01.1", EqualsEverything(), {"width": 8}),
        ("01.1", 5 * 1280 + 5, {"width": 8}),
        ("01.2", lambda model, head: model.eval(), {}),
        ("01.2", head_by_its_name, {}),
        ("01.3", lambda head, train, validation, epochs, lr: [1.0] * epochs, {}),
        ("01.4", lambda epochs, forward, head: EqualsEverything(), {}),
        ("01.4", lambda epochs, forward, head: {10: 100 / 19, 1: 1.0}.get(epochs, 2.0), {}),
    ],
)
def test_a_trick_is_no_answer(number, trick, context):
    assert judged(number, trick, **context).text.startswith("not yet. ")


def test_a_check_hands_out_new_objects_each_time():
    def spoils(model, head):
        for parameter in model.parameters():
            parameter.data.fill_(float("nan"))
        return model

    assert not judged("01.2", spoils).right
    for sample in registry.find("01.2").right:
        assert judged("01.2", sample.answer).right


# ---------------------------------------------------------------- lesson 01.3: losses and steps by hand


def one_hot(labels):
    return functional.one_hot(labels, 3).float()


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda scores, labels: functional.mse_loss(scores, one_hot(labels)),
        lambda scores, labels: functional.binary_cross_entropy_with_logits(scores, one_hot(labels)),
        lambda scores, labels: functional.nll_loss(scores, labels),
        lambda scores, labels: functional.nll_loss(scores.softmax(1), labels),
        lambda scores, labels: functional.cross_entropy(scores, labels, label_smoothing=0.1),
        lambda scores, labels: functional.cross_entropy(scores, labels.roll(1)),
        lambda scores, labels: functional.cross_entropy(2 * scores, labels),
    ],
)
def test_another_loss_is_not_cross_entropy(loss_of):
    assert "not that of cross-entropy" in judged("01.3", loop_by_hand(loss_of=loss_of)).text


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda scores, labels: (scores.logsumexp(1) - scores[torch.arange(len(labels)), labels]).mean(),
        lambda scores, labels: -(one_hot(labels) * scores.log_softmax(1)).sum(1).mean(),
        lambda scores, labels: functional.cross_entropy(scores.double(), one_hot(labels).double()),
    ],
)
def test_cross_entropy_may_be_written_by_hand(loss_of):
    assert judged("01.3", loop_by_hand(loss_of=loss_of)).text == "right."


class CarefulSteps(torch.optim.AdamW):
    """Decays weights, clips gradients and lowers its rate."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr, weight_decay=0.1)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self, 0.99)

    def step(self, closure=None):
        torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 0.01)
        super().step(closure)
        if hasattr(self, "schedule"):
            self.schedule.step()


def test_decay_clipping_and_a_schedule_are_allowed():
    assert judged("01.3", loop_by_hand(CarefulSteps)).text == "right."


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_the_epoch_of_the_lowest_loss_is_refused_for_what_it_is(optimizer):
    chosen = loop_by_hand(optimizer, best_by="lower loss")
    assert "the lowest validation loss" in judged("01.3", chosen).text


def test_one_batch_again_and_again_is_not_an_epoch():
    def repeats(head, train_loader, *rest):
        class Repeated(list):
            def __iter__(self):
                return iter([next(iter(train_loader))] * len(train_loader))

        return loop_by_hand()(head, Repeated([1]), *rest)

    assert "Only 4 of 48 batches" in judged("01.3", repeats).text
