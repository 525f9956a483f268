"""questions.txt as data: what is asked, what is answered, and endless ways to ask it.

Chance comes from the `random.Random` that is passed in, so that a seed gives the same text everywhere.
"""
import dataclasses
import pathlib
import random
import re

FILE = pathlib.Path(__file__).with_name("questions.txt")
CHOICE = re.compile(r"\{([^{}]*)\}")
PREFIXES = [
    "Please: ", "Hi, ", "Hello. ", "Hey, ", "OK, ", "So, ", "Well, ", "Tell me: ", "Quick question: ", "I have a question: ",
    "And ", "Now, ", "Can you tell me: ", "Could you tell me, ", "I want to know: ", "I wonder, ", "Please tell me: ", "One more: ",
]  # fmt: skip
SUFFIXES = [" Please.", " Thanks.", " Thanks!", " In short.", " Please explain.", " I am new here.", " exactly?", " Tell me."]
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"
ODD_FRAMES = [
    "What is {}?", "Who is {}?", "Tell me about {}.", "What is a {}?", "How do I {}?", "Where is {}?", "Why is {} {}?", "{}",
    "{} {}", "Explain {} to me", "What does {} mean?", "Do you know {}?", "Can you {} a {}?", "How many {} does a {} have?",
    "Write {} about {}.", "When was {} {}?", "Is {} better than {}?", "I like {}.", "Give me {} {}.", "What is {} and {}?",
]  # fmt: skip


@dataclasses.dataclass
class Intent:
    """One answer and the ways to ask for it. `held_out` are never trained on."""

    name: str
    patterns: list
    held_out: list
    answer: str
    keywords: list


def read() -> list:
    names, intents = {}, []
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            intents.append(Intent(line.strip("[]"), [], [], "", []))
        elif named := re.fullmatch(r"([A-Z]+)=(.*)", line):
            names[named[1]] = named[2]
        elif line[:2] == "Q ":
            intents[-1].patterns.append(re.sub(r"\{([A-Z]+)\}", lambda m: names.get(m[1], m[0]), line[2:]))
        elif line[:2] == "T ":
            intents[-1].held_out.append(line[2:])
        elif line[:2] == "A ":
            intents[-1].answer = line[2:]
        elif line[:2] == "K ":
            intents[-1].keywords = [word.strip() for word in line[2:].split(",") if word.strip()]
            # A comma inside a number or a list is part of the word.
            if intents[-1].keywords and ", " not in line and "," in line:
                intents[-1].keywords = [line[2:].strip()]
        else:
            raise SystemExit(f"{FILE.name}:{number}: not understood: {line}")
    for intent in intents:
        missing = [word for word in intent.keywords if word not in intent.answer.lower()]
        if missing or not intent.patterns or not intent.held_out:
            raise SystemExit(f"[{intent.name}] has no Q, no T, or an answer without {missing}")
    return intents


def expand(pattern: str, chosen: random.Random) -> str:
    while choice := CHOICE.search(pattern):
        pattern = pattern[: choice.start()] + chosen.choice(choice[1].split("|")) + pattern[choice.end() :]
    return pattern


def plain(pattern: str) -> str:
    """The first of every choice."""
    return CHOICE.sub(lambda choice: choice[1].split("|")[0], pattern)


def odd_question(chosen: random.Random, words: list) -> str:
    """A question about something that nobody has heard of."""

    def word() -> str:
        if chosen.random() < 0.4:
            return chosen.choice(words)
        made = "".join(chosen.choice(CONSONANTS) + chosen.choice(VOWELS) for _ in range(chosen.randint(1, 3)))
        made += chosen.choice(["", "n", "r", "s", "l", "t"])
        return made.capitalize() if chosen.random() < 0.3 else made

    frame = chosen.choice(ODD_FRAMES)
    while "{}" in frame:
        frame = frame.replace("{}", word() if chosen.random() < 0.7 else f"{word()} {word()}", 1)
    return frame


def roughen(text: str, chosen: random.Random) -> str:
    """The same question as people type it."""
    if chosen.random() < 0.2:
        prefix = chosen.choice(PREFIXES)
        text = prefix + (text if chosen.random() < 0.5 else text[0].lower() + text[1:])
    if chosen.random() < 0.08 and text[-1:] in ".?!":
        text += chosen.choice(SUFFIXES)
    if chosen.random() < 0.3:
        text = text.rstrip("?.!")
    if chosen.random() < 0.25:
        text = text.lower()
    elif chosen.random() < 0.02:
        text = text.upper()
    if chosen.random() < 0.1 and len(text) > 12:
        at = chosen.randrange(1, len(text) - 2)
        if text[at].isalpha() and text[at + 1].isalpha():
            text = text[:at] + chosen.choice([text[at + 1] + text[at] + text[at + 2 :], text[at + 1 :]])
    if chosen.random() < 0.05:
        text += chosen.choice(["?", "!", " ", "..", "??"])
    return text
