"""Voice variants that nobody wrote: espeak-ng's formants, tone, roughness and the rest, drawn at random.

espeak-ng ships a hundred variants, and a model that has heard sixty of them stumbles over the odd ones among the rest.
A random one for each utterance covers what a variant can do.
"""

import functools
import os
import tempfile
from pathlib import Path

ESPEAK_DATA = [Path("/usr/lib/x86_64-linux-gnu/espeak-ng-data"), Path("/usr/share/espeak-ng-data")]


def formant_line(rng, number, size):
    """frequency, strength and width in per cent, of formant 0 (the voice's lowest component) to 8."""
    odd = rng.random()
    frequency = size * (rng.uniform(55, 140) if odd < 0.2 else rng.gauss(100, 9))
    strength = rng.uniform(45, 115)
    width = rng.uniform(65, 160)
    if number >= 3 and rng.random() < 0.12:  # some voices have no upper formants
        strength = 0
    return f"formant {number} {frequency:.0f} {strength:.0f} {width:.0f}"


def variant(rng):
    """The text of a variant file."""
    size = rng.choice([1.0, rng.uniform(0.88, 1.25)])  # of the vocal tract: moves all formants
    low = rng.uniform(55, 210)
    lines = ["language variant", "name random", f"pitch {low:.0f} {low + rng.uniform(5, 75):.0f}"]
    lines += [formant_line(rng, number, size) for number in range(9)]
    if rng.random() < 0.5:
        at, tone = 0, []
        for _ in range(rng.randrange(2, 5)):
            at += rng.randrange(100, 1600)
            tone += [at, rng.randrange(20, 256)]
        lines.append("tone " + " ".join(map(str, tone)))
    for word, low, high, often in (("flutter", 0, 8, 0.5), ("roughness", 0, 5, 0.5), ("voicing", 50, 220, 0.6),
                                   ("intonation", 1, 4, 0.4)):
        if rng.random() < often:
            lines.append(f"{word} {rng.randint(low, high)}")
    if rng.random() < 0.6:
        lines.append(f"consonants {rng.randint(60, 200)} {rng.randint(60, 200)}")
    if rng.random() < 0.2:
        lines.append("breath " + " ".join(str(rng.randint(0, 5)) for _ in range(8)))
    if rng.random() < 0.2:
        lines.append(f"echo {rng.randint(10, 160)} {rng.randint(5, 30)}")
    if rng.random() < 0.3:
        lines.append("stressAmp " + " ".join(str(rng.randint(12, 34)) for _ in range(8)))
    if rng.random() < 0.08:
        lines.append(f"klatt {rng.randint(1, 4)}")
    return "\n".join(lines) + "\n"


@functools.lru_cache
def data_folder(process):
    """An espeak-ng-data of this process's own: the shipped languages, and one variant, `random`, yet to be written."""
    folder = tempfile.TemporaryDirectory(prefix="ferry-voices-")
    data = Path(folder.name) / "espeak-ng-data"
    shipped = next(p for p in ESPEAK_DATA if p.exists())
    (data / "voices" / "!v").mkdir(parents=True)
    for part in shipped.iterdir():
        if part.name != "voices":
            (data / part.name).symlink_to(part)
    return folder


def options(text):
    """What espeak-ng is called with so that +random is this variant, until the next call in this process."""
    folder = data_folder(os.getpid()).name
    (Path(folder) / "espeak-ng-data" / "voices" / "!v" / "random").write_text(text)
    return [f"--path={folder}"]
