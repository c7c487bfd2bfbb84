"""Texts and their labels: what is refused, how they are split, and the sentences that the course reads."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_encoder, tiny_texts
from transformers import AutoTokenizer

from transfer_utils import data, fit
from transfer_utils.data import LabelledTexts, TextSplits, labelled_texts, sentiment, text_splits
from transfer_utils.runtime import sources
from transfer_utils.runtime.files import WrongHash, check_hash
from transfer_utils.runtime.sources import SourceMissing

# ------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (["good", ""], "Text 1 is empty. Drop the row"),
        (["good", " \n\t "], "Text 1 is empty"),
        (["good", None], "Text 1 is None, not a string"),
        ([math.nan, "bad"], "Text 0 is nan, not a string"),
        (["good", b"bad"], "Text 1 is b'bad', not a string"),
        (["good"], "1 texts came with 2 labels"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(texts, match):
    for make in (labelled_texts, text_splits):
        with pytest.raises(ValueError, match=match):
            make(texts, ["yes", "no"])


@pytest.mark.parametrize("missing", [None, math.nan, np.nan, np.float64("nan")])
def test_missing_labels_are_counted_and_the_first_is_named(missing):
    with pytest.raises(ValueError, match="2 labels are missing, the first at row 1"):
        text_splits(["a", "b", "c", "d"], ["yes", missing, "no", missing])


def test_missing_labels_of_a_table_are_found():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": ["a", "b", "c"], "label": pandas.array(["yes", None, "no"], dtype="string")})
    with pytest.raises(ValueError, match="1 labels are missing, the first at row 1"):
        labelled_texts(table["text"], table["label"])


@pytest.mark.parametrize("labels", [["yes", "yes"], [1, 1], []])
def test_one_class_is_refused(labels):
    with pytest.raises(ValueError, match="two classes or more; every label is"):
        labelled_texts(["a", "b"][: len(labels)], labels)


@pytest.mark.parametrize(("count", "rare"), [(2, 1), (3, 1), (4, 2), (6, 2), (40, 2)])
def test_a_class_with_too_few_texts_for_every_split_is_refused(count, rare):
    labels = ["rare"] * rare + ["usual"] * (count - rare)
    with pytest.raises(ValueError, match="class '(rare|usual)' has too few texts to be in every split"):
        text_splits([f"text {i}" for i in range(count)], labels)


def test_a_label_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match="Labels run from 0 to 2, but there are 2 classes"):
        LabelledTexts(("a", "b"), torch.tensor([0, 2]), ("no", "yes"))


def test_too_many_texts_cannot_be_drawn():
    with pytest.raises(ValueError, match="Cannot draw 25 items: there are 24"):
        tiny_texts(24).sample(25, seed=0)


@pytest.mark.parametrize("text", ["🦖", "word " * 40])
def test_a_text_that_the_model_cannot_read_ends_training_with_its_words(text):
    model = tiny_encoder()
    texts = LabelledTexts((text, "good", "bad", "fine"), torch.tensor([0, 1, 0, 1]), ("no", "yes"))
    with pytest.raises(ValueError, match="tiny bert (knows no token of|reads at most 32)"):
        fit(model, texts.with_transform(model.card.preprocess()), epochs=1, batch_size=2, progress="")


# ---------------------------------------------------------------------------- texts


def test_classes_are_in_the_order_of_their_names_and_labels_of_any_kind_will_do():
    assert labelled_texts(["a", "b", "c"], ["yes", "no", "yes"]).labels.tolist() == [1, 0, 1]
    assert labelled_texts(["a", "b"], [False, True]).class_names == ("False", "True")
    assert labelled_texts(["a", "b", "c"], np.array([3, 1, 3])).labels.tolist() == [1, 0, 1]


def test_an_item_is_a_text_or_its_tokens_and_the_number_of_its_class():
    texts, read = tiny_texts(6), tiny_encoder().card.preprocess(20)
    assert texts[3] == (texts.texts[3], 1)
    tokens, label = texts.with_transform(read)[3]
    assert label == 1
    assert torch.equal(tokens["input_ids"], read([texts.texts[3]])["input_ids"])
    assert texts.with_transform(read).with_transform(None)[3] == texts[3]


def test_data_sets_are_compared_as_objects_because_tensors_have_no_one_truth_value():
    texts, same = tiny_texts(6), tiny_texts(6)
    assert texts == texts
    assert texts != same
    assert same not in [texts]
    assert texts.fingerprint() == same.fingerprint()
    splits = [text_splits(texts.texts * 4, texts.labels.tolist() * 4) for _ in range(2)]
    assert splits[0] != splits[1]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 11), max_size=15))
def test_a_subset_keeps_text_label_and_rating_together(chosen):
    ratings = np.arange(12) / 2
    texts = replace(tiny_texts(12), extra={"rating": ratings})
    part = texts.subset(chosen)
    assert part.texts == tuple(texts.texts[i] for i in chosen)
    assert part.labels.tolist() == [int(texts.labels[i]) for i in chosen]
    assert part.extra["rating"].tolist() == ratings[chosen].tolist()


def test_the_fingerprint_changes_with_any_text_label_and_order():
    texts = tiny_texts(6)
    others = [
        replace(texts, texts=(*texts.texts[:5], texts.texts[5] + ".")),
        replace(texts, labels=1 - texts.labels),
        texts.subset([1, 0, 2, 3, 4, 5]),
        texts.subset(range(5)),
        LabelledTexts(("ab", "c"), torch.tensor([0, 1]), ("no", "yes")),
        LabelledTexts(("a", "bc"), torch.tensor([0, 1]), ("no", "yes")),
    ]
    assert len({texts.fingerprint(), *(other.fingerprint() for other in others)}) == 7
    assert texts.fingerprint() == tiny_texts(6).fingerprint()


@settings(max_examples=25)
@given(st.integers(10, 40), st.integers(10, 40), st.integers(0, 50))
def test_splits_hold_every_text_once_and_every_class(some, others, seed):
    texts = [f"text {i}" for i in range(some + others)]
    splits = text_splits(texts, ["yes"] * some + ["no"] * others, seed=seed)
    parts = (splits.train, splits.validation, splits.test)
    assert sorted(t for part in parts for t in part.texts) == sorted(texts)
    assert all(min(part.class_counts().values()) for part in parts)
    assert len(splits.test) == round(0.25 * len(texts))
    again = text_splits(texts, ["yes"] * some + ["no"] * others, seed=seed)
    assert [part.texts for part in parts] == [again.train.texts, again.validation.texts, again.test.texts]


# ------------------------------------------------------------------------- sentiment


@pytest.fixture(scope="module", params=list(sentiment.DOMAINS))
def domain(request):
    """All sentences of one domain, in their splits."""
    return sentiment.load(request.param)


def test_the_classes_are_equally_frequent_and_the_rating_decides(domain):
    for part in (domain.train, domain.validation, domain.test):
        counts = part.class_counts()
        assert abs(counts["negative"] - counts["positive"]) <= 1
        rating = part.extra["rating"]
        assert (np.abs(rating) >= 0.5).all()
        assert (np.abs(rating) <= 4).all()
        assert ((rating > 0) == part.labels.numpy().astype(bool)).all()
    sizes = np.array([len(domain.train), len(domain.validation), len(domain.test)])
    np.testing.assert_allclose(sizes / sizes.sum(), [0.6, 0.15, 0.25], atol=0.002)
    assert sizes.sum() > 1000


def test_no_sentence_is_in_two_splits(domain):
    splits = [set(part.texts) for part in (domain.train, domain.validation, domain.test)]
    assert (
        sum(map(len, splits))
        == len(set.union(*splits))
        == sum(len(part) for part in (domain.train, domain.validation, domain.test))
    )


def test_the_domains_have_no_sentence_in_common_and_say_where_they_are_from():
    splits = {name: sentiment.load(name) for name in sentiment.DOMAINS}
    texts = [set(s.train.texts + s.validation.texts + s.test.texts) for s in splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts))
    assert {s.licence for s in splits.values()} == {"MIT"}
    assert all("Hutto and Gilbert 2014" in s.attribution for s in splits.values())
    assert [s.name for s in splits.values()] == [f"sentiment {name}" for name in sentiment.DOMAINS]


def test_a_sentence_is_what_people_read():
    films = sentiment.load("films").train
    rated = dict(zip(films.texts, films.extra["rating"], strict=True))
    assert all(text == text.strip() and "\t" not in text for text in rated)
    assert max(rated.values()) > 3
    assert min(rated.values()) < -2.5


def test_another_domain_is_refused():
    with pytest.raises(ValueError, match="no domain 'books'; there are films, products, news, tweets"):
        data.load("sentiment", domain="books")


def test_items_limit_the_sentences():
    films = data.load("sentiment", items=(96, 24, 32))
    assert [len(part) for part in (films.train, films.validation, films.test)] == [96, 24, 32]
    assert films.train.texts == data.load("sentiment", items=(96, 24, 32), domain="films").train.texts
    assert set(films.train.class_counts().values()) == {48}


def test_sentiment_of_another_hash_is_refused_before_it_is_read(downloads, monkeypatch, tmp_path):
    sentiment._rated.cache_clear()
    (tmp_path / "vaderSentiment-3.3.2.tar.gz").write_bytes(b"something else")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(WrongHash, match="another vaderSentiment==3.3.2.*5d7c06e0"):
        data.load("sentiment")
    assert [path.name for path in downloads.iterdir()] == [".sentiment.lock"]


def test_without_sentiment_and_network_it_says_what_to_do(downloads):
    sentiment._rated.cache_clear()
    with pytest.raises(SourceMissing, match="Sentences about films.*Check the network, then: python -m transfer_utils"):
        data.load("sentiment")


def test_the_bundled_encoder_is_the_expected_file_and_another_is_refused(tmp_path):
    source, (path,) = sources.sources()["minilm"], sources.package_files("minilm")
    changed = bytearray(path.read_bytes()[:4096])
    (tmp_path / "model.safetensors").write_bytes(changed)
    with pytest.raises(WrongHash, match="MiniLM.*is not the expected file"):
        check_hash([tmp_path / "model.safetensors"], source.sha256, source.title, "")
    assert AutoTokenizer.from_pretrained(path.parent).vocab_size == 30522


# ------------------------------------------------------------------------------ SST-2


@pytest.fixture
def glue(downloads):
    """GLUE's files in small, as if they had been fetched."""
    folder = downloads / "sst2" / "SST-2"
    folder.mkdir(parents=True)
    rows = [f'{"fine" if i % 2 else "dull"} "phrase" {i} \t{i % 2}' for i in range(50)]
    (folder / "train.tsv").write_text("\n".join(["sentence\tlabel", *rows, "  \t1"]) + "\n", encoding="utf-8")
    (folder / "dev.tsv").write_text("sentence\tlabel\nit 's fine\t1\nit 's \" dull\t0\n", encoding="utf-8")
    return folder


def test_sst2_tests_on_dev_and_validates_on_a_part_of_train(glue):
    phrases = data.sst2.load()
    assert [len(part) for part in (phrases.train, phrases.validation, phrases.test)] == [40, 10, 2]
    assert not set(phrases.train.texts) & set(phrases.validation.texts)
    assert phrases.test.texts == ("it 's fine", "it 's \" dull")
    assert phrases.test.labels.tolist() == [1, 0]
    assert phrases.validation.class_counts() == {"negative": 5, "positive": 5}
    assert all((text[:4] == "fine") == bool(label) for text, label in phrases.train)
    assert "GLUE" in phrases.attribution


def test_sst2_is_limited_like_any_other(glue):
    assert len(data.load("sst2").train) == 40
    assert len(data.load("sst2", items=(12, None, None)).train) == 12


def test_only_short_texts_are_kept_and_none_is_cut():
    texts = labelled_texts(["a", "abcd", "ab", "abcde", "abc", "c"], [0, 1, 0, 1, 1, 0])
    splits = TextSplits("letters", texts, texts.subset([1, 3, 2]), texts, "", "").of_length(3)  # in characters
    assert splits.train.texts == ("a", "ab", "abc", "c")
    assert splits.validation.texts == ("ab",)
    assert splits.train.labels.tolist() == [0, 0, 1, 0]
