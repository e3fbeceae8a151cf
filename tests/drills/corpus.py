"""Much text in German and English that reads like the evaluation's documents, and questions about it.

Sentences keep the grammar and the function words of the evaluation's documents. Half of the longer words are drawn
anew from a vocabulary of 60,000 words a language, whose frequencies fall as in real text (Zipf): so some terms stand in
a third of all passages, and most in a handful.
"""

import bisect
import itertools
import json
import random
import re
from pathlib import Path

EVALUATION = Path(__file__).resolve().parent.parent / "evaluation"
WORD = re.compile(r"[^\W\d_]{5,}")
VOCABULARY = 60_000
GERMAN_ENDINGS = ["", "en", "e", "er", "ung", "ungen", "keit", "heit", "s", "ern"]
ENGLISH_ENDINGS = ["", "s", "ing", "ed", "er", "ers", "ness", "ment", "ly", "ion"]
SYLLABLES = """
bra bel cor dan del fen gal gri hal jor kar kel lam lin mar mel
nor nim par pel quin rad ros sal sten tal tor ulm ver vin wal zen
""".split()


class Language:
    def __init__(self, code, files, endings, chance):
        self.code, self.chance = code, chance
        text = "\n".join(file.read_text() for file in files)
        plain = re.sub(r"^[#|>*\-].*$", "", text, flags=re.MULTILINE)
        self.sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", plain) if 6 <= len(s.split()) <= 40]
        own = list(dict.fromkeys(WORD.findall(text)))
        chance.shuffle(own)
        made = set(own)
        while len(made) < VOCABULARY:
            if code == "de" and chance.random() < 0.6:
                made.add(chance.choice(own).capitalize() + chance.choice(own).lower())
            else:
                stem = "".join(chance.choice(SYLLABLES) for _ in range(chance.choice((2, 2, 3))))
                made.add(stem.capitalize() + chance.choice(endings) if code == "de" else stem + chance.choice(endings))
        # The documents' own words are the frequent ones.
        self.words = own + sorted(made - set(own))
        self.heaps = list(itertools.accumulate(1 / (rank + 20) for rank in range(len(self.words))))

    def word(self):
        return self.words[bisect.bisect(self.heaps, self.chance.random() * self.heaps[-1])]

    def sentence(self):
        replace = lambda found: self.word() if self.chance.random() < 0.5 else found.group()
        made = WORD.sub(replace, self.chance.choice(self.sentences))
        return made[0].upper() + made[1:]

    def section(self, number):
        heading = f"## {number} {self.word().capitalize()} {self.word()}"
        paragraphs = [
            " ".join(self.sentence() for _ in range(self.chance.randint(3, 7)))
            for _ in range(self.chance.randint(1, 3))
        ]
        return "\n\n".join([heading, *paragraphs])

    def document(self, number, size):
        """A document of about so many bytes."""
        parts = [f"# {self.word().capitalize()} {self.word()} {number}"]
        total = 0
        while total < size:
            parts.append(self.section(len(parts)))
            total += len(parts[-1].encode()) + 2
        return "\n\n".join(parts)

    def question(self):
        """About words that stand in one sentence, some of them rare; now and then misspelt."""
        words = list(dict.fromkeys(WORD.findall(self.sentence())))
        while len(words) < 2:
            words.append(self.word())
        words = self.chance.sample(words, min(len(words), self.chance.randint(2, 5)))
        if self.chance.random() < 0.15:
            at = self.chance.randrange(len(words))
            place = self.chance.randrange(1, len(words[at]) - 1)
            words[at] = words[at][:place] + words[at][place + 1] + words[at][place] + words[at][place + 2 :]
        forms = {
            "de": [
                "Was gilt bei {} für {}?",
                "Wie viel {} gibt es bei {}?",
                "Wer entscheidet über {} und {}?",
                "Wann ist {} mit {} möglich?",
            ],
            "en": [
                "What applies to {} with {}?",
                "How much {} is there for {}?",
                "Who decides about {} and {}?",
                "When is {} possible with {}?",
            ],
        }
        half = (len(words) + 1) // 2
        return self.chance.choice(forms[self.code]).format(
            " ".join(words[:half]), " ".join(words[half:]) or self.word()
        )


def committed():
    """The evaluation's questions, each with the folder of its set."""
    for file in sorted(EVALUATION.glob("*/questions.json")):
        for question in json.loads(file.read_text()):
            yield file.parent, question


def languages(seed):
    """German and English."""
    chance = random.Random(seed)
    files = {"de": set(), "en": set()}
    for folder, question in committed():
        named = question.get("document") or []
        if not question.get("crossLanguage"):
            names = [named] if isinstance(named, str) else named
            files[question["language"]].update(folder / "documents" / name for name in names)
    return [
        Language("de", sorted(files["de"]), GERMAN_ENDINGS, chance),
        Language("en", sorted(files["en"]), ENGLISH_ENDINGS, chance),
    ]


def committed_questions():
    """What the evaluation asks."""
    return [question["question"] for _, question in committed()]
