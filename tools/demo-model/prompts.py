"""Conversations as token ids, with the audio placeholders of Qwen2-Audio's chat template."""

from dataclasses import dataclass, field

import torch

from mel import frames_of


@dataclass
class Turn:
    said: str  # the user's text, may be empty
    answer: str  # "" where the model is to answer
    clips: int  # how many clips stand before the text


@dataclass
class Prompt:
    ids: list = field(default_factory=list)
    wanted: list = field(default_factory=list)  # positions whose next token is learned
    audio: list = field(default_factory=list)  # positions of audio tokens, in order


def prompt_of(tokenizer, system, turns, clip_tokens):
    """clip_tokens: audio tokens of each clip. An open last turn (answer "") ends where the answer begins."""
    p = Prompt()
    special = tokenizer.special
    start, end = special["<|im_start|>"], special["<|im_end|>"]
    p.ids += [start, *tokenizer.encode(f"system\n{system}"), end, *tokenizer.encode("\n")]
    clip = 0
    for turn in turns:
        p.ids.append(start)
        pending = "user\n"
        for _ in range(turn.clips):
            p.ids += tokenizer.encode(f"{pending}Audio {clip + 1}: ")
            p.ids.append(special["<|audio_bos|>"])
            p.audio += range(len(p.ids), len(p.ids) + clip_tokens[clip])
            p.ids += [special["<|AUDIO|>"]] * clip_tokens[clip]
            p.ids.append(special["<|audio_eos|>"])
            pending = "\n"
            clip += 1
        p.ids += tokenizer.encode(pending + turn.said)
        p.ids += [end, *tokenizer.encode("\n"), start, *tokenizer.encode("assistant\n")]
        if turn.answer:
            answer = tokenizer.encode(turn.answer)
            p.wanted += range(len(p.ids) - 1, len(p.ids) + len(answer))
            p.ids += [*answer, end, *tokenizer.encode("\n")]
    return p


@dataclass
class Batch:
    ids: torch.Tensor  # [n, length]
    wanted: torch.Tensor  # bool [n, length]
    targets: torch.Tensor  # [wanted.sum()]
    places: torch.Tensor  # [audio tokens, 4]: item, position, clip, token
    clips: list  # of 1-d samples
    frames: torch.Tensor  # [clips] valid mel frames
    contents: list
    clips_of: list  # [n] how many clips each item has


def batch_of(prompts, clips, contents, clips_of):
    length = max(len(p.ids) for p in prompts)
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    wanted = torch.zeros(len(prompts), length, dtype=torch.bool)
    targets, places = [], []
    frames = [frames_of(len(c)) for c in clips]
    first = 0
    for i, p in enumerate(prompts):
        ids[i, : len(p.ids)] = torch.tensor(p.ids)
        wanted[i, p.wanted] = True
        targets += [p.ids[w + 1] for w in p.wanted]
        tokens = [(clip, t) for clip in range(first, first + clips_of[i])
                  for t in range((frames[clip] + 1) // 2 // 2)]
        places += [(i, position, *token) for position, token in zip(p.audio, tokens, strict=True)]
        first += clips_of[i]
    return Batch(ids, wanted, torch.tensor(targets), torch.tensor(places, dtype=torch.long).view(-1, 4), clips,
                 torch.tensor(frames), contents, clips_of)
