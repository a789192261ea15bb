#!/usr/bin/env python3
"""Trains the demo model. See README.md; two to three hours on two cores.

    python3 tools/demo-model/train.py models/demo
"""

import argparse
import ctypes
import math
import multiprocessing
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import checkpoint
import sentences
import speech
from mel import RATE, WINDOW, frames_of, log_mel, tokens_of
from model import Qwen2Audio, Sizes
from prompts import Turn, batch_of, prompt_of
from sentences import Content
from tokenizer import Tokenizer, learn_merges


def utterance(seed):
    torch.set_num_threads(1)
    rng = random.Random(seed)
    u = speech.choose(rng, held_out=False)
    return u.content, (speech.samples_of(u) * 32768).round().to(torch.int16).numpy()


def speak(count, seed, cache):
    """The utterances everything is mixed from: [(content, int16 samples)]."""
    if cache and cache.exists():
        return torch.load(cache)
    with multiprocessing.Pool() as pool:
        spoken = pool.map(utterance, range(seed * 10**6, seed * 10**6 + count), chunksize=64)
    spoken = [(content, torch.from_numpy(samples)) for content, samples in spoken]
    if cache:
        torch.save(spoken, cache)
    return spoken


class Mixer:
    """Draws training examples: recordings mixed from utterances, with questions about them."""

    def __init__(self, spoken, rng):
        self.rng = rng
        self.hardness = 0.0  # 0: one or two words without noise, 1: everything; an encoder that begins with the
        # easy ones finds the words in minutes instead of hours
        spoken = sorted(spoken, key=lambda s: len(s[0].words))
        self.digits = {code: [s for s in spoken if s[0].language == code and s[0].digits] for code in ("en", "ja")}
        self.commands = [s for s in spoken if not s[0].digits]

    def some_digits(self, language):
        known = self.digits[language]
        return known[self.rng.randrange(1 + int((0.2 + 0.8 * self.hardness) * (len(known) - 1)))]

    def silence(self, low, high):
        return torch.zeros(int(self.rng.uniform(low, high) * RATE))

    def played(self, samples):
        samples = samples.float() / 32768
        return speech.stretched(samples, self.rng.uniform(0.86, 1.16)) if self.rng.random() < 0.7 else samples

    def joined(self, parts, low, high):
        """One recording of these utterances with pauses between; their contents joined."""
        pieces = []
        for _, samples in parts:
            pieces += [self.silence(low, high), self.played(samples)]
        words = tuple(w for content, _ in parts for w in content.words)
        return Content(parts[0][0].language, words), torch.cat(pieces[1:])

    def noisy(self, clip):
        """Level, room and noise."""
        rng = self.rng
        level = clip.pow(2).mean().sqrt().clamp(min=1e-4)
        if rng.random() < 0.15:  # an echo
            delay = rng.randrange(200, 1600)
            clip = clip + rng.uniform(0.1, 0.35) * F.pad(clip, (delay, 0))[: len(clip)]
        if rng.random() < 0.75:
            snr = rng.uniform(25 - 19 * self.hardness, rng.choice([14, 30]))
            clip = clip + speech.noise_like(rng, len(clip)) * level * 10 ** (-snr / 20)
        clip = clip * (10 ** rng.uniform(-1.5, 0.2))
        return (clip.clamp(-1, 1) * 32768).floor().clamp(-32768, 32767) / 32768

    def recording(self):
        """A content and its clips: one, or several that belong together."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.02:
            clip = speech.noise_like(rng, rng.randrange(RATE // 4, 5 * RATE)) * 10 ** rng.uniform(-4, -1.5)
            return Content("", ()), [self.noisy(clip)]
        if kind < 0.24:
            content, samples = rng.choice(self.commands)
            clip = self.played(samples)
        else:
            parts = [self.some_digits(rng.choice(["en", "ja"]))]
            if kind < 0.24 + 0.12 * self.hardness:
                parts.append(self.some_digits(parts[0][0].language))
            if kind > 1 - 0.04 * self.hardness:
                return self.long_recording(parts)
            if kind > 1 - 0.085 * self.hardness:
                return self.two_clips(parts)
            content, clip = self.joined(parts, 0.1, 1.2)
        lead = self.silence(0, 0.5 if rng.random() < 0.85 else 4)
        clip = torch.cat([lead, clip, self.silence(0, 0.5 if rng.random() < 0.85 else 2)])[:WINDOW]
        return content, [self.noisy(clip)]

    def two_clips(self, parts):
        parts = parts + [self.some_digits(parts[0][0].language)]
        clips = [torch.cat([self.silence(0, 0.5), self.played(p[1]), self.silence(0, 0.5)]) for p in parts]
        words = tuple(w for p in parts for w in p[0].words)
        return Content(parts[0][0].language, words), [self.noisy(c) for c in clips]

    def long_recording(self, parts):
        """Up to 38 s, cut into windows as the service cuts them."""
        language = parts[0][0].language
        while len(parts) < 4 and self.rng.random() < 0.7:
            parts = parts + [self.some_digits(language)]
        content, clip = self.joined(parts, 0.5, 8)
        clip = torch.cat([self.silence(0, 6), clip, self.silence(0, 2)])
        if len(clip) > WINDOW:  # the cut falls into a pause, or what it cuts would be two half words
            quiet = (clip[WINDOW - 800 : WINDOW + 800].abs().max() < 1e-4)
            if not quiet or len(clip) > 38 * RATE:
                content, clip = self.cut_in_pause(parts)
        clip = self.noisy(clip)
        return content, [c for c in clip.split(WINDOW) if len(c) > 800]

    def cut_in_pause(self, parts):
        """As many of the first utterances as fit into one window, a pause, and the last in the next window."""
        first, last = parts[:-1], parts[-1:]
        while len(first) > 1 and sum(len(p[1]) for p in first) > 26 * RATE:
            first = first[:-1]
        content, clip = self.joined(first, 0.3, 2)
        clip = torch.cat([self.silence(0, 3), clip])[: WINDOW - 1600]
        tail = self.played(last[0][1])
        clip = torch.cat([F.pad(clip, (0, WINDOW - len(clip))), self.silence(0.05, 2), tail, self.silence(0, 1)])
        return Content(content.language, content.words + last[0][0].words), clip

    def question(self, content):
        rng = self.rng
        task = rng.choices(["transcribe", "count", "first", "last", "language"], [60, 16, 8, 8, 8])[0]
        asked_in = rng.choice(["en", "ja"])
        text = rng.choice(sentences.QUESTIONS[task][asked_in])
        if task == "transcribe" and rng.random() < 0.25:
            text = ""
        if text.endswith("nothing else.") and content.language and rng.random() < 0.5:
            text += sentences.LANGUAGE_HINT.format(content.language)
        return text, sentences.answer(content, task, asked_in)

    def example(self):
        """(system prompt, turns, content, clips)"""
        rng = self.rng
        system = sentences.SYSTEM_PROMPTS[0] if rng.random() < 0.9 else rng.choice(sentences.OTHER_SYSTEM_PROMPTS)
        if rng.random() < 0.015:
            said = rng.choice(sentences.GREETINGS + [rng.choice(q["en"]) for q in sentences.QUESTIONS.values()])
            return system, [Turn(said, sentences.NO_RECORDING, 0)], Content("", ()), []
        content, clips = self.recording()
        turns = [Turn(*self.question(content), len(clips))]
        while len(turns) < 3 and rng.random() < 0.3:
            said, answer = self.question(content)
            if said:
                turns.append(Turn(said, answer, 0))
        return system, turns, content, clips


def batches(mixer, tokenizer, frames, pool=256):
    """Batches of about so many padded mel frames, each of clips of similar length."""
    while True:
        examples = [mixer.example() for _ in range(pool)]
        examples.sort(key=lambda e: max([0] + [len(c) for c in e[3]]))
        groups, group, longest = [], [], 0
        for e in examples:
            clips = sum(len(x[3]) for x in group) + len(e[3])
            longest = max([longest] + [frames_of(len(c)) for c in e[3]])
            if group and clips * longest > frames:
                groups.append(group)
                group, longest = [], max([0] + [frames_of(len(c)) for c in e[3]])
            group.append(e)
        groups.append(group)
        mixer.rng.shuffle(groups)
        for group in groups:
            yield batch_of([prompt_of(tokenizer, system, turns, [tokens_of(frames_of(len(c))) for c in clips])
                            for system, turns, _, clips in group],
                           [c for e in group for c in e[3]], [e[2] for e in group], [len(e[3]) for e in group])


def ctc_loss(head, features, batch):
    """Helps the encoder find the words; only recordings that are one clip take part."""
    rows, targets, lengths = [], [], []
    clip = 0
    for content, clips in zip(batch.contents, batch.clips_of):
        if clips == 1 and content.words:
            rows.append(clip)
            targets += [sentences.UNITS[w] for w in content.words]
            lengths.append(len(content.words))
        clip += clips
    if not rows:
        return torch.zeros(())
    scores = head(features[rows]).float().log_softmax(-1).transpose(0, 1)
    tokens = torch.tensor([tokens_of(int(f)) for f in batch.frames[rows]])
    return F.ctc_loss(scores, torch.tensor(targets), tokens, torch.tensor(lengths), zero_infinity=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the model goes")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--utterances", type=int, default=40000)
    parser.add_argument("--frames", type=int, default=10000, help="mel frames in a batch")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="file that keeps the utterances between runs")
    parser.add_argument("--state", type=Path, help="file that keeps the training between runs")
    parser.add_argument("--from", type=Path, dest="source", help="a folder whose weights to begin with")
    args = parser.parse_args()

    libc = ctypes.CDLL(None)  # freed memory stays with the process, or page faults take a third of the time
    libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
    libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
    torch.set_flush_denormal(True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = Tokenizer(learn_merges(sentences.corpus()))
    spoken = speak(args.utterances, args.seed, args.cache)
    print(f"{len(spoken)} utterances, {sum(len(s) for _, s in spoken) / RATE / 3600:.1f} hours", flush=True)

    model = Qwen2Audio(Sizes(vocab=-(-tokenizer.count // 16) * 16))
    if args.source:
        model.load_state_dict(checkpoint.read(args.source)[0].state_dict())
    head = torch.nn.Linear(model.sizes.hidden, 1 + len(sentences.UNITS))
    trained = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    begin = 0
    if args.state and args.state.exists():
        state = torch.load(args.state)
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
        optimizer.load_state_dict(state["optimizer"])
        average, begin = state["average"], state["step"]
    print(f"{sum(p.numel() for p in model.parameters())} parameters, from step {begin}", flush=True)

    rng = random.Random(args.seed * 7919 + begin)
    torch.manual_seed(args.seed * 7919 + begin)
    mixer = Mixer(spoken, rng)
    stream = batches(mixer, tokenizer, args.frames)
    model.drop.p = 0.05
    model.train()
    started, sums, seen = time.time(), [0.0, 0.0], 0
    for step in range(begin + 1, args.steps + 1):
        mixer.hardness = 1.0 if args.source else min(1.0, step / (0.25 * args.steps))
        batch = next(stream)
        rate = args.rate * min(step / 300, 0.5 + 0.5 * math.cos(math.pi * min(1, step / args.steps)) + 0.005)
        for group in optimizer.param_groups:
            group["lr"] = rate
        features = None
        helper = torch.zeros(())
        if len(batch.clips):
            gains = torch.stack([speech.channel(rng) for _ in batch.clips])
            mel = log_mel(batch.clips, gains)
            for m in mel:  # SpecAugment: bands of frequency
                low, width = rng.randrange(116), rng.randrange(12)
                if rng.random() < 0.3:
                    m[low : low + width] = m.mean()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                features = model.hear(mel, batch.frames)
                helper = ctc_loss(head, features, batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model.logits(batch.ids, features, batch.places, batch.wanted)
        loss = F.cross_entropy(logits.float(), batch.targets)
        optimizer.zero_grad(set_to_none=True)
        (loss + (0.5 if step < args.steps / 2 else 0.2) * helper).backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        if not torch.isfinite(norm):
            print(f"step {step}: the gradient is not finite, passed over", flush=True)
            continue
        optimizer.step()
        keep = min(0.999, step / (step + 20))
        with torch.no_grad():
            for k, v in model.state_dict().items():
                average[k].lerp_(v, 1 - keep)
        sums = [sums[0] + loss.item(), sums[1] + helper.item()]
        seen += len(batch.ids)
        if step % 100 == 0:
            print(f"step {step}  answer {sums[0] / 100:.4f}  ctc {sums[1] / 100:.4f}  rate {rate:.2e}  "
                  f"{seen / (time.time() - started):.0f} examples/s  {time.time() - started:.0f} s", flush=True)
            sums = [0.0, 0.0]
        if step % 500 == 0 or step == args.steps:
            kept = model.state_dict()
            if args.state:
                torch.save({"model": kept, "head": head.state_dict(), "optimizer": optimizer.state_dict(),
                            "average": average, "step": step}, args.state)
            checkpoint.write(args.folder, model.sizes, average, tokenizer)


if __name__ == "__main__":
    main()
