"""Words: paraphrases that the course had for terms of its field, and what to write instead. The spelling is British.

The lessons of the first edition use British spellings about three times as often as American ones, so British it is.
"""

import re

PARAPHRASES = {
    r"\bmore frequent (?:name|class|answer|label)s?\b|\bdumbest answers?\b": "majority class",
    r"\bunkind\b": "negative",
    r"\bheld back\b|\brestraint\b": "regularisation strength",
    r"\bone a seed\b": "one value per seed",
    r"\ba (?:sign|point|row|run) a seed\b": "one per seed",
    r"\bsmall modules?\b": "adapter parameters, or adapters",
    r"\bsearched for a rate\b|\ba rate was (?:looked|searched) for\b|\blooked for at which\b": "hyperparameter search",
    r"\b(?:too|as|so|less|more|very|is|are) dear\b|\bdearer\b": "expensive",
    r"\bluck of the draw\b": "sampling variation",
    r"\bkinds? of luck\b": "source of variation",
    r"\b(?:leaves?|left|leaving) the head away\b|\bleft away\b": "omits",
    r"\bmade small\b": "lower-cased",
    r"\bright for nothing\b": "correct for free",
    r"\bstands? at one answer\b": "predicts one class",
    r"\btakes? (?:a|the) side\b": "report a difference",
    r"\bturns? the order (?:a)?round\b": "reverses the ranking",
    r"\bwritten by the results\b": "computed from the runs",
    r"\btest (?:set|cells|images|sentences|split) (?:is|are|was|were) looked at\b": "the test set is opened once",
    r"\bsimply\b": "nothing: leave the word out",
    r"\([^()]*\bplanned\b[^()]*\)": "a link to the lesson, once it is there",
    "—": "a full stop, a comma or a colon",
}
EMOJI = {"[\U0001f000-\U0001faff✅✨❌❗❓⭐⚠]": "words instead of emoji"}
SPELLINGS = {
    # size is no verb of -ise; tokenizer and optimizer are what the libraries call them
    r"\b(?!(?:re|down|over)?(?:size|sizing)|priz|seiz|(?:de)?tokeniz|optimizers?\b)"
    r"\w+iz(?:e[sd]?|ing|ations?|ers?)\b": "-ise",
    r"\b(?:anal|paral|catal)yz(?:e[sd]?|ing)\b": "-yse",
    r"\b\w*(?:col|behavi|fav|neighb|lab|hon|flav)or(?:s|ed|ing|hoods?|ful|ites?|able|al)?\b": "-our",
    r"\b(?:un|re)?label(?:ed|ing)\b|\b(?:re)?model(?:ed|ing)\b|\btravel(?:ed|ing)\b|\bcancel(?:ed|ing)\b": "-ll-",
    r"\bcenter(?:s|ed|ing)?\b": "centre",
    r"\bgray(?:s|scale|ish)?\b": "grey",
}


def wrong_words(text, *, spelling=True, emoji=True):
    """Return what ``text`` should say otherwise, a sentence each.

    Args:
        text: plain prose, without code and formulas.
        spelling: look for American spellings too; not in a list of papers, whose titles are as they are.
        emoji: look for emoji too; not in code, where one may be the example.
    """
    rules = PARAPHRASES | (SPELLINGS if spelling else {}) | (EMOJI if emoji else {})
    text = " ".join(text.split())
    return [f"{match[0]!r}: write {instead}" for pattern, instead in rules.items()
            for match in re.finditer(pattern, text, re.I)]  # fmt: skip
