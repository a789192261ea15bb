"""Speech from espeak-ng, as 16 kHz samples, and what rooms and telephones do to it."""

import functools
import random
import subprocess
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import voices
from mel import N_FFT, RATE
from sentences import COMMANDS, DIGITS, Content

ACCENTS = {
    "en": ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
           "en-us-nyc"],
    "ja": ["ja"],
}
# espeak-ng's voice variants. The second list is never trained on.
VARIANTS = ["", "f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m6", "m8", "Alex", "Alicia", "Andrea", "Annie",
            "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "Denis", "Diogo", "ed", "edward",
            "Gene", "Gene2", "grandma", "grandpa", "gustave", "Henrique", "Hugo", "iven", "iven2", "iven3", "Jacky",
            "john", "kaukovalta", "klatt", "klatt2", "klatt3", "Lee", "marcelo", "Marco", "mario", "max", "Michel",
            "Mike", "pablo", "paul", "pedro", "quincy", "RicishayMax", "RicishayMax2", "rob", "robert", "sandro",
            "shelby", "steph", "steph2", "Tweaky", "victor", "zac", "anika"]
HELD_OUT_VARIANTS = ["f4", "m5", "m7", "Andy", "linda", "miguel", "norbert", "steph3", "travis", "iven4"]
# Words a minute. Neither of the held-out speeds, nor their neighbours, is trained on.
SPEEDS = [*range(100, 132, 4), *range(152, 180, 4), *range(200, 244, 4)]
HELD_OUT_SPEEDS = [140, 142, 186, 190]


@dataclass(frozen=True)
class Utterance:
    content: Content
    spoken: str  # what espeak-ng is given
    voice: str  # accent+variant
    speed: int  # words a minute
    pitch: int  # 0..99
    gap: int  # pause between words, 10 ms
    variant: str = ""  # the text of a variant of its own, which the voice calls "random"


def choose(rng, held_out, digits=None, language=None):
    """A random utterance: digits (how many, 0 for a command; None draws it too). Most of those to train on have a
    voice of their own."""
    language = language or rng.choice(["en", "ja"])
    if digits is None:
        digits = rng.choice([0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8])
    if digits:
        words = tuple(str(rng.randrange(10)) for _ in range(digits))
        forms = [DIGITS[language][int(w)] for w in words]
        spoken = [f[-1] if rng.random() < 0.15 else f[0] for f in forms]
        style = rng.random()
        joints = [", " if style < 0.25 or style < 0.5 and rng.random() < 0.3 else " " for _ in words]
        spoken = "".join(s + j for s, j in zip(spoken, joints)).rstrip(" ,")
    else:
        text, spoken = rng.choice(COMMANDS[language])
        words = (text,)
    own = "" if held_out or rng.random() < 0.4 else voices.variant(rng)
    variant = "random" if own else rng.choice(HELD_OUT_VARIANTS if held_out else VARIANTS)
    voice = rng.choice(ACCENTS[language]) + (f"+{variant}" if variant else "")
    return Utterance(Content(language, words), spoken, voice, rng.choice(HELD_OUT_SPEEDS if held_out else SPEEDS),
                     rng.randrange(20, 85), rng.choice([0, 0, 0, 2, 5, 10, 20]), own)


ESPEAK_RATE = 22050
# One convolution gives 320 output samples for every 441 of input: a windowed sinc at each of 320 phases.
_UP, _DOWN = 320, 441
_HALF = 24  # input samples on each side


def _resample_kernel():
    places = torch.arange(_UP, dtype=torch.float64)[:, None] * _DOWN / _UP
    taps = torch.arange(-_HALF, _DOWN + _HALF, dtype=torch.float64)[None]
    t = (taps - places) * (_UP / _DOWN) * 0.97
    window = torch.cos(((taps - places) / _HALF).clamp(-1, 1) * torch.pi / 2) ** 2
    kernel = torch.sinc(t) * window
    return (kernel / kernel.sum(1, keepdim=True)).float()[:, None]


_KERNEL = _resample_kernel()


def resample(samples):
    """22,050 Hz to 16 kHz."""
    count = len(samples) * _UP // _DOWN
    padded = F.pad(samples, (_HALF, _DOWN + _HALF))
    return F.conv1d(padded[None, None], _KERNEL, stride=_DOWN)[0].T.reshape(-1)[:count]


def spoken_wav(u):
    """The wav file that espeak-ng makes of an utterance, at 22,050 Hz."""
    own = voices.options(u.variant) if u.variant else []
    command = ["espeak-ng", *own, "-v", u.voice, "-s", str(u.speed), "-p", str(u.pitch), "-g", str(u.gap), "--stdout",
               u.spoken]
    return subprocess.run(command, check=True, capture_output=True).stdout


def padded_samples_of(u):
    """16 kHz float samples of an utterance, with the silence that espeak-ng leaves at both ends."""
    raw = spoken_wav(u)[44:]
    raw = raw[: len(raw) // 2 * 2]
    return resample(torch.frombuffer(bytearray(raw), dtype=torch.int16).float() / 32768)


def samples_of(u):
    """The same without that silence."""
    return trimmed(padded_samples_of(u))


def trimmed(samples):
    loud = (samples.abs() > 0.01 * samples.abs().max()).nonzero()
    return samples[loud[0, 0] : loud[-1, 0] + 1] if len(loud) else samples[:0]


def long_noise(power):
    """A minute of unit-power noise: white (0), pink (0.5) or brown (1) above 50 Hz."""
    count = 2**20
    spectrum = torch.fft.rfft(torch.randn(count))
    hz = torch.arange(len(spectrum)) * RATE / count
    spectrum *= (hz.clamp(min=50) / 50) ** -power
    noise = torch.fft.irfft(spectrum, n=count)
    return noise / noise.pow(2).mean().sqrt()


@functools.lru_cache
def long_noises():
    return [long_noise(power) for power in (0.0, 0.0, 0.5, 1.0)]


def noise_like(rng, count):
    """Unit-power noise of some colour, sometimes with hum."""
    noise = rng.choice(long_noises())
    begin = rng.randrange(len(noise) - count)
    noise = noise[begin : begin + count]
    if rng.random() < 0.15:
        noise = noise + torch.sin(torch.arange(count) * (2 * torch.pi * rng.choice([50, 60, 100, 120]) / RATE))
    return noise


def stretched(samples, rate):
    """Played `rate` times as fast, pitch and all."""
    count = int(len(samples) / rate)
    return F.interpolate(samples[None, None], size=max(count, 1), mode="linear", align_corners=False)[0, 0]


def channel(rng):
    """Power gains per FFT bin of a random microphone: a tilt, two bumps, sometimes a telephone's band."""
    hz = torch.linspace(0, RATE / 2, N_FFT // 2 + 1)
    db = (hz / 4000 - 1) * rng.uniform(-4, 4)
    for _ in range(2):
        db = db + rng.uniform(-4, 4) * torch.exp(-((hz - rng.uniform(200, 7000)) / rng.uniform(300, 1500)) ** 2)
    gains = 10 ** (db / 10)
    if rng.random() < 0.15:
        gains = gains * (hz < rng.choice([3400, 3900, 3980, 5500])) * (hz >= rng.choice([0, 0, 200, 300]))
    return gains
