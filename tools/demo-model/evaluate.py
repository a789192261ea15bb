#!/usr/bin/env python3
"""Asks the demo model about voices and speeds it was not trained on.

    tools/demo-model/evaluate.py models/demo                                 exact matches of the Python forward pass
    tools/demo-model/evaluate.py models/demo --ferry build/release/ferry     and whether Ferry answers the same
    tools/demo-model/evaluate.py --write tests/demo/recordings.json          makes the list anew
"""

import argparse
import collections
import json
import random
import subprocess
import tempfile
import wave
from pathlib import Path

import torch

import checkpoint
import sentences
import speech
from mel import RATE, frames_of, log_mel, tokens_of
from prompts import Turn, batch_of, prompt_of
from sentences import Content

SEED = 2026


def listed(rng):
    """The recordings of the evaluation and what is asked about them, as plain dictionaries."""
    def entry(kind, u, question="", answer=None, noise_db=None):
        return {"kind": kind, "language": u.content.language, "voice": u.voice, "speed": u.speed, "pitch": u.pitch,
                "gap": u.gap, "spoken": u.spoken, "question": question, "noise_db": noise_db,
                "answer": answer or u.content.transcript()}

    entries = []
    for language in ("en", "ja"):
        strings = [speech.choose(rng, True, digits=1 + i % 6, language=language) for i in range(200)]
        entries += [entry("digits", u) for u in strings]
        entries += [entry("digits in noise", u, noise_db=10) for u in strings]
        entries += [entry("commands", speech.choose(rng, True, digits=0, language=language)) for _ in range(60)]
        for i in range(80):
            u = speech.choose(rng, True, digits=1 + i % 6, language=language)
            task, asked_in = ["count", "first", "last", "language"][i % 4], rng.choice(["en", "ja"])
            question = rng.choice(sentences.QUESTIONS[task][asked_in])
            entries.append(entry("questions", u, question, sentences.answer(u.content, task, asked_in)))
    return entries


def recording(entry, rng):
    """16 kHz samples as a 16-bit file holds them."""
    u = speech.Utterance(Content("", ()), entry["spoken"], entry["voice"], entry["speed"], entry["pitch"], entry["gap"])
    clip = speech.padded_samples_of(u)
    if entry["noise_db"] is not None:
        level = speech.trimmed(clip).pow(2).mean().sqrt()
        clip = clip + torch.randn(len(clip)) * level * 10 ** (-entry["noise_db"] / 20)
    return (clip.clamp(-1, 1) * 32767).round() / 32768


@torch.no_grad()
def answered(model, tokenizer, clip, question, most=40):
    """Greedy answer: (ids without the end, text)."""
    frames = torch.tensor([frames_of(len(clip))])
    features = model.hear(log_mel([clip]), frames)
    prompt = prompt_of(tokenizer, sentences.SYSTEM_PROMPTS[0], [Turn(question, "", 1)], [tokens_of(int(frames[0]))])
    batch = batch_of([prompt], [clip], [None], [1])
    ids, out = batch.ids, []
    stop = {tokenizer.special["<|im_end|>"], tokenizer.special["<|endoftext|>"]}
    while len(out) < most:
        best = int(model.logits(ids, features, batch.places)[0, -1].argmax())
        if best in stop:
            break
        out.append(best)
        ids = torch.cat([ids, torch.tensor([[best]])], 1)
    return out, tokenizer.decode(out)


def ferry_answer(ferry, folder, clip, question):
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        with wave.open(f.name, "wb") as w:
            w.setparams((1, 2, RATE, len(clip), "NONE", ""))
            w.writeframes((clip * 32768).to(torch.int16).numpy().tobytes())
        command = [ferry, "ask", str(folder), "--audio", f.name, "--math", "exact", "--json", "-n", "40"]
        answer = json.loads(subprocess.run(command + ([question] if question else []), check=True,
                                           capture_output=True).stdout)
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--ferry", help="the built program; its answers are compared, in exact mode")
    parser.add_argument("--every", type=int, default=1, help="only each n-th recording")
    parser.add_argument("--show", action="store_true", help="print what was answered wrongly")
    args = parser.parse_args()

    entries = listed(random.Random(SEED))
    if args.write:
        args.write.write_text("[\n" + ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries) + "\n]\n")
        return
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model, tokenizer = checkpoint.read(args.folder)
    asked, right, differ = collections.Counter(), collections.Counter(), 0
    for e in entries[:: args.every]:
        clip = recording(e, random)
        ids, text = answered(model, tokenizer, clip, e["question"])
        for kind in (e["kind"], f"{e['kind']}, {e['language']}"):
            asked[kind] += 1
            right[kind] += text == e["answer"]
        if args.show and text != e["answer"]:
            print(f"{e['voice']} {e['speed']} noise {e['noise_db']} {e['question']!r}: {text!r}, not {e['answer']!r}")
        if args.ferry:
            theirs = ferry_answer(args.ferry, args.folder, clip, e["question"])
            same = theirs["answer"] == text and theirs["usage"]["completion_tokens"] == len(ids) + 1
            differ += not same
            if not same:
                print(f"Ferry differs: {theirs} and {text!r}, {len(ids)} tokens")
    for kind in sorted(asked):
        print(f"{kind:24} {right[kind]:4} of {asked[kind]:4}  {100 * right[kind] / asked[kind]:.1f} %")
    if args.ferry:
        print(f"Ferry in exact mode: {sum(asked.values()) // 2 - differ} of {sum(asked.values()) // 2} answers the same")


if __name__ == "__main__":
    main()
