"""A stand-in for speech: each second of sound is one of ten tones, and stands for one word."""

import random
import wave
from array import array
from functools import cache
from pathlib import Path

RATE = 48_000
SECOND_BYTES = 2 * RATE  # one channel of 16 bits
WORDS = ("All", "work", "and", "no", "play", "makes", "Jack", "a", "dull", "boy")


@cache
def tones() -> dict[str, bytes]:
    """Return the second of sound that stands for each word."""
    return {
        word: array("h", (step * pitch % 20_000 - 10_000 for step in range(RATE))).tobytes()
        for pitch, word in enumerate(WORDS, start=100)
    }


@cache
def _words() -> dict[bytes, str]:
    return {tone: word for word, tone in tones().items()}


def recognize(second: bytes) -> str:
    """Return the word for a second of sound, each byte of which must be right."""
    return _words()[second]


def record(path: Path, megabytes: float) -> str:
    """Write a recording of about that size, and return what is said in it."""
    said = random.Random(7).choices(WORDS, k=max(1, int(megabytes * 1e6 / SECOND_BYTES)))
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.setnframes(len(said) * RATE)
        for word in said:
            sound.writeframesraw(tones()[word])
    return "".join(f"{word}\n" for word in said)
