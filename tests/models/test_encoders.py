"""The encoder's pieces: equal to libraries written by others, padding without effect, and what is refused."""

import signal
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import finish, outcome, run_on_texts, start
from tiny import changed, tiny_encoder, tiny_texts, tiny_tokens, tokenizer, weights_of
from torch import nn

from transfer_utils import (
    evaluate,
    extract_features,
    fit,
    layer_groups,
    layerwise_lr,
    load_encoder,
    predict,
    replace_head,
)
from transfer_utils.data import LabelledTexts
from transfer_utils.models.encoders import attention, layer_means, mean_pooling, token_scores
from transfer_utils.runtime.sources import SourceMissing, package_files
from transfer_utils.techniques.features import stored_outputs
from transfer_utils.training.batches import POOL, TrainingBatches, batch_bounds, similar_lengths

SENTENCES = ["A fine film.", "Not one of the jokes lands, and there are many of them.", "Unwatchable", "so good!!! :-)"]


@pytest.fixture(scope="module")
def minilm():
    return load_encoder("minilm")


@pytest.fixture(scope="module")
def small():
    return tiny_encoder(layers=3)


def labelled(texts, classes=2):
    return LabelledTexts(tuple(texts), torch.arange(len(texts)) % classes, ("no", "yes"))


# --------------------------------------------------- equal to libraries written by others


def test_sentence_vectors_equal_those_of_sentence_transformers(minilm):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(Path(package_files("minilm")[0]).parent), device="cpu")
    transformer, pooling = theirs[0], theirs[1]
    tokens = minilm.card.preprocess()(SENTENCES)
    hidden = minilm.encoder(**tokens).last_hidden_state.detach()
    given = {"token_embeddings": hidden, "attention_mask": tokens["attention_mask"]}
    torch.testing.assert_close(
        mean_pooling(hidden, tokens["attention_mask"]), pooling(given)["sentence_embedding"], atol=1e-6, rtol=0
    )
    encoded = transformer.tokenizer(SENTENCES, padding=True, return_tensors="pt")
    assert torch.equal(tokens["input_ids"], encoded["input_ids"])
    features = extract_features(minilm, labelled(SENTENCES).with_transform(minilm.card.preprocess()), progress=False)
    whole = torch.from_numpy(theirs.encode(SENTENCES, normalize_embeddings=False, show_progress_bar=False))
    unit = nn.functional.normalize(features.values)  # MiniLM's own third module
    torch.testing.assert_close(unit, nn.functional.normalize(whole), atol=1e-6, rtol=0)


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 4), st.integers(0, 99))
def test_mean_pooling_is_what_a_slow_loop_says(count, length, width, seed):
    torch.manual_seed(seed)
    hidden, lengths = torch.randn(count, length, width, dtype=torch.float64), torch.randint(1, length + 1, (count, 1))
    mask = (torch.arange(length) < lengths).long()
    slow = torch.stack([hidden[n, : int(lengths[n])].sum(0) / int(lengths[n]) for n in range(count)])
    torch.testing.assert_close(mean_pooling(hidden, mask), slow)


def test_the_common_bug_a_mean_over_padding_changes_with_the_batch():
    hidden, mask = torch.ones(1, 4, 2), torch.tensor([[1, 1, 0, 0]])
    hidden[:, 2:] = 9.0  # what an encoder makes of padding
    assert torch.equal(mean_pooling(hidden, mask), torch.ones(1, 2))
    assert not torch.equal(hidden.mean(1), torch.ones(1, 2))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_equals_bert_s_given_its_weights_with_padding(implementation):
    model = tiny_encoder(attn_implementation=implementation)
    tokens, inner = tiny_tokens(), model.encoder.encoder.layer[0].attention.self
    assert (tokens["attention_mask"] == 0).any()
    seen = {}
    inner.register_forward_hook(lambda m, inputs, named, out: seen.update(x=inputs[0], out=out[0]), with_kwargs=True)
    with torch.no_grad():
        model(tokens)
        query, key, value = (
            part(seen["x"]).unflatten(-1, (2, 8)).transpose(1, 2) for part in (inner.query, inner.key, inner.value)
        )
        mixed, weights = attention(query, key, value, tokens["attention_mask"])
    real = tokens["attention_mask"].bool()
    torch.testing.assert_close(mixed.transpose(1, 2).flatten(2)[real], seen["out"][real], atol=1e-6, rtol=0)
    torch.testing.assert_close(weights.sum(-1), torch.ones(5, 2, 9))
    assert not weights.transpose(1, 3)[~real].any()  # no weight on padding


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 5))
def test_attention_equals_pytorch_s(count, heads, length, width):
    query, key, value = torch.randn(3, count, heads, length, width, dtype=torch.float64)
    expected = nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query, key, value)[0], expected)


# ---------------------------------------------------------------------------- padding


words = st.lists(st.sampled_from("good bad film very long words uninteresting".split()), min_size=1, max_size=14)  # noqa: SIM905


@settings(max_examples=25)
@given(st.lists(words.map(" ".join), min_size=1, max_size=6))
def test_padding_does_not_change_a_prediction(small, texts):
    read = small.card.preprocess(20)
    with torch.no_grad():
        together = small(read(texts))
        alone = torch.cat([small(read([text])) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_predictions_come_in_the_order_of_the_data(small):
    texts = tiny_texts(17).with_transform(small.card.preprocess(20))
    outputs, labels = predict(small, texts, batch_size=4, progress="")
    assert torch.equal(labels, texts.labels)
    with torch.no_grad():
        alone = torch.cat([small(texts.collect([i])[0]) for i in range(17)])
    torch.testing.assert_close(outputs, alone, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------- batches of similar length


@st.composite
def epochs(draw):
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=70))
    order = draw(st.permutations(range(len(lengths))))
    return list(order), lengths, draw(st.integers(1, min(9, len(lengths)))), draw(st.integers(1, 5))


@settings(max_examples=100)
@given(epochs())
def test_batches_of_similar_length_hold_each_item_once_in_its_own_pool(epoch):
    order, lengths, size, pool = epoch
    bounds = batch_bounds(len(order), size)
    arranged = similar_lengths(order, lengths, bounds, pool)
    for first in range(0, len(bounds), pool):
        inside = bounds[first : first + pool]
        start, end = inside[0][0], inside[-1][1]
        assert sorted(arranged[start:end]) == sorted(order[start:end])
        batches = sorted(sorted(lengths[i] for i in arranged[a:b]) for a, b in inside)
        assert all(one[-1] <= other[0] for one, other in zip(batches, batches[1:], strict=False))


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 9))
def test_an_epoch_of_texts_is_a_permutation_that_the_seed_decides(count, size, epoch):
    texts, size = tiny_texts(count, seed=count), min(size, count)
    batches = TrainingBatches(texts, size, 3, epoch)
    assert sorted(batches.order) == list(range(count))
    assert batches.order == TrainingBatches(texts, size, 3, epoch).order
    labels = torch.cat([batches[i][0][1] for i in range(len(batches))])
    assert torch.equal(labels, texts.labels[batches.order])


def test_batches_of_similar_length_pad_less_and_differ_from_epoch_to_epoch():
    texts = tiny_texts(200).with_transform(tiny_encoder().card.preprocess(20))
    unsorted = [texts.collect(range(i, i + 8))[0] for i in range(0, 200, 8)]
    batches = [TrainingBatches(texts, 8, 0, epoch) for epoch in range(2)]

    def padding(tokens):
        return sum(int((batch["attention_mask"] == 0).sum()) for batch in tokens)

    assert padding(batches[0][i][0][0] for i in range(25)) < 0.5 * padding(unsorted)
    assert batches[0].order != batches[1].order
    longest = [max(texts.item_lengths()[i] for i in batches[0].order[a:b]) for a, b in batches[0].bounds[:POOL]]
    assert longest != sorted(longest)  # a pool is not read from short to long


# -------------------------------------------------------------- killed, and started again


def test_a_run_on_texts_killed_twice_and_started_again_gives_the_same_weights(tmp_path):
    weights, result = run_on_texts()
    assert len({row["train_loss"] for row in result.history}) == 3
    for die_at in (2, 9):
        assert finish(start(tmp_path, work=run_on_texts, die_at=die_at)) == -signal.SIGKILL
    assert finish(start(tmp_path, work=run_on_texts)) == 0
    assert not changed(weights, outcome(tmp_path)["weights"])
    assert outcome(tmp_path)["history"] == result.history


# ------------------------------------------------------------------------ the model


def test_the_encoder_has_groups_from_the_stem_to_the_head(minilm):
    groups = layer_groups(minilm)
    assert [group.name for group in groups] == ["stem", *(f"stage {i}" for i in range(1, 7)), "head"]
    assert sum(group.count() for group in groups) == sum(p.numel() for p in minilm.parameters())
    assert all(name.startswith("encoder.embeddings.") for name in groups[0].parameters)
    for i in range(1, 7):
        assert all(name.startswith(f"encoder.encoder.layer.{i - 1}.") for name in groups[i].parameters)
    assert set(groups[-1].parameters) == {"head.weight", "head.bias"}


def test_rates_fall_from_the_head_to_the_stem(small):
    groups = layerwise_lr(small, 1.0, decay=0.5, weight_decay=0.1)
    assert [(group["name"], group["lr"]) for group in groups] == [
        ("stem", 1 / 16), ("stage 1", 1 / 8), ("stage 2", 1 / 4), ("stage 3", 1 / 2), ("head", 1.0)
    ]  # fmt: skip
    assert sum(len(group["params"]) for group in groups) == len(list(small.parameters()))


def test_the_means_of_the_last_layer_are_what_goes_into_the_head(small):
    texts = tiny_texts(7).with_transform(small.card.preprocess(20))
    means = stored_outputs(small, texts, layer_means)
    features = extract_features(small, texts, progress=False).values
    assert means.shape == (7, 1 + 3, 16)
    torch.testing.assert_close(means[:, -1], features)
    embedded = small.encoder.embeddings(texts.collect([0])[0]["input_ids"])
    torch.testing.assert_close(means[0, 0], embedded.mean(1)[0].detach())
    assert not small.encoder.config.output_hidden_states
    assert not small.encoder._forward_hooks


def test_random_weights_differ_with_the_seed_and_not_otherwise():
    one, again, other = (weights_of(load_encoder("minilm", pretrained=False, seed=seed)) for seed in (1, 1, 2))
    assert not changed(one, again)
    drawn = {name for name in one if name.endswith(("dense.weight", "query.weight", "embeddings.weight"))}
    assert drawn < changed(one, other)


def test_pretrained_weights_do_not_depend_on_the_seed_and_the_head_does(minilm):
    other = load_encoder("minilm", seed=1)
    assert changed(weights_of(minilm), weights_of(other)) == {"head.weight", "head.bias"}
    assert minilm.card.weights == "pretrained"
    assert not minilm.training
    assert all(p.requires_grad for p in minilm.parameters())


def test_a_head_for_other_classes_replaces_the_one_that_came():
    model = replace_head(tiny_encoder(), 3)
    assert model(tiny_tokens()).shape == (5, 3)


def test_a_small_encoder_learns_what_the_first_word_says():
    model = tiny_encoder()
    texts = tiny_texts(48).with_transform(model.card.preprocess(20))
    fit(model, texts, epochs=6, lr=1e-2, batch_size=8, progress="")
    assert evaluate(model, tiny_texts(40, seed=9).with_transform(texts.transform), progress="")["accuracy"] > 0.9


def test_features_of_texts_are_stored_and_asked_for_once(small):
    texts, asked = tiny_texts(9).with_transform(small.card.preprocess(20)), []
    hook = small.encoder.register_forward_hook(lambda *_: asked.append(1))
    first = extract_features(small, texts, progress=False).values
    count = len(asked)
    assert torch.equal(extract_features(small, texts, progress=False).values, first)
    assert len(asked) == count > 0
    extract_features(small, texts.with_transform(small.card.preprocess(5)), progress=False)
    hook.remove()
    assert len(asked) > count  # cut elsewhere, other features


# ------------------------------------------------------------------------- tokens


def test_tokens_are_shown_as_a_reader_can_see_them(minilm):
    read = minilm.card.preprocess()
    assert read.tokens("Unwatchable films") == ["[CLS]", "un", "##watch", "##able", "films", "[SEP]"]
    assert read.lengths(["Unwatchable films", "good"]) == [6, 3]


def test_a_text_is_cut_only_where_that_was_asked_for(minilm):
    long = "word " * 600
    assert minilm.card.preprocess(12)([long, "a"])["input_ids"].shape == (2, 12)
    assert minilm.card.preprocess(12).lengths([long]) == [12]
    with pytest.raises(ValueError, match=r"has 602 tokens, and minilm reads at most 512.*preprocess\(512\)"):
        minilm.card.preprocess()(["short", long])
    assert minilm.card.preprocess()(["word " * 510])["input_ids"].shape == (1, 512)


def test_token_scores_average_to_the_score_of_the_text():
    model = load_encoder("minilm", num_classes=3)
    tokens, scores = token_scores(model, "not bad at all", 16)
    with torch.no_grad():
        whole = model(model.card.preprocess(16)(["not bad at all"]))[0]
    assert tokens == ["[CLS]", "not", "bad", "at", "all", "[SEP]"]
    assert scores.shape == (6, 3)
    assert torch.allclose(scores.mean(0), whole, atol=1e-6)


@pytest.mark.parametrize("length", [0, 2, 513, -1])
def test_a_length_that_the_model_does_not_have_is_refused(minilm, length):
    with pytest.raises(ValueError, match=f"minilm reads 3 to 512 tokens; max_length is {length}"):
        minilm.card.preprocess(length)


@pytest.mark.parametrize("text", ["🦖🦕", "ᚠᛇᚻ ᛒᛦᚦ", "ꙮ"])
def test_a_text_of_which_the_tokenizer_knows_nothing_is_refused(minilm, text):
    with pytest.raises(ValueError, match=f"minilm knows no token of '{text}'.*not in the vocabulary"):
        minilm.card.preprocess(16)(["fine", text])
    assert minilm.card.preprocess(16)([f"good {text}"])["input_ids"].shape[0] == 1


@pytest.mark.parametrize(("kind", "longest"), [("bert", 32), ("roberta", 30), ("xlm-roberta", 30), ("mpnet", 30)])
def test_positions_that_a_kind_of_model_keeps_for_padding_are_not_promised(kind, longest, tmp_path, monkeypatch):
    """RoBERTa's first token is at position ``pad_token_id + 1``: of 514 positions it reads 512 tokens."""
    from transformers import AutoConfig

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    settings |= {"max_position_embeddings": 32, "vocab_size": 30522, "pad_token_id": 1}
    AutoConfig.for_model(kind, **settings).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    model = load_encoder(str(tmp_path), pretrained=False)
    assert model.card.max_length == longest
    assert model(model.card.preprocess()(["word " * (longest - 2)])).shape == (1, 2)
    with pytest.raises(ValueError, match=f"reads at most {longest}"):
        model.card.preprocess()(["word " * (longest - 1)])


def test_a_classifier_of_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes or more, not 1"):
        load_encoder("minilm", num_classes=1)


def test_an_encoder_that_is_not_here_is_named_at_once_with_what_to_do(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waits {seconds} s to try again"))
    with pytest.raises(SourceMissing, match="(?s)no/such-model are not on this machine.*use the bundled 'minilm'"):
        load_encoder("no/such-model")
