"""A small byte-level BPE in Qwen2's files: vocab.json, merges.txt, tokenizer_config.json."""

import collections
import functools
import json
import re

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]

# Qwen2's pattern, with Python's classes for \p{L} and \p{N}; they agree on every text of sentences.py.
L, N = r"[^\W\d_]", r"\d"
PIECES = re.compile(
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:(?![\r\n]|{L}|{N})[\s\S])?{L}+|{N}"
    rf"| ?(?:(?!\s|{L}|{N})[\s\S])+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_alphabet():
    """GPT-2's printable stand-in for every byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {b: chr(b) for b in printable}
    for b in range(256):
        alphabet.setdefault(b, chr(256 + len(alphabet) - len(printable)))
    return alphabet


ALPHABET = byte_alphabet()


def spelled(piece):
    return [ALPHABET[b] for b in piece.encode()]


def merged(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        joined = i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair
        out.append("".join(pair) if joined else symbols[i])
        i += 2 if joined else 1
    return out


def learn_merges(texts):
    """Merges until every piece that occurs twice or more is as few symbols as pairs that repeat allow."""
    counts = collections.Counter(piece for text in texts for piece in PIECES.findall(text))
    words = {piece: spelled(piece) for piece in counts}
    merges = []
    while True:
        pairs = collections.Counter()
        for piece, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[piece]
        if not pairs:
            return merges
        pair, count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if count < 2:
            return merges
        merges.append(pair)
        words = {piece: merged(symbols, pair) for piece, symbols in words.items()}


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        symbols = [ALPHABET[b] for b in sorted(ALPHABET, key=lambda b: ord(ALPHABET[b]))]
        symbols += ["".join(pair) for pair in self.merges]
        self.ids = {symbol: i for i, symbol in enumerate(symbols)}
        self.special = {text: len(symbols) + i for i, text in enumerate(SPECIALS)}
        self.count = len(symbols) + len(SPECIALS)
        self.bytes = {ALPHABET[b]: b for b in ALPHABET}
        self.symbols = symbols

    @functools.lru_cache(maxsize=None)
    def encode(self, text):
        """Ids of plain text (specials are not cut out)."""
        ids = []
        for piece in PIECES.findall(text):
            symbols = spelled(piece)
            while len(symbols) > 1:
                pair = min(zip(symbols, symbols[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
                if pair not in self.rank:
                    break
                symbols = merged(symbols, pair)
            ids += [self.ids[s] for s in symbols]
        return tuple(ids)

    def decode(self, ids):
        text = "".join(self.symbols[i] for i in ids if i < len(self.symbols))
        return bytes(self.bytes[c] for c in text).decode(errors="replace")

    def write(self, folder):
        with open(folder / "vocab.json", "w") as f:
            json.dump(self.ids, f, ensure_ascii=False, separators=(",", ":"))
        with open(folder / "merges.txt", "w") as f:
            f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))
        added = {str(i): {"content": text, "lstrip": False, "normalized": False, "rstrip": False,
                          "single_word": False, "special": True} for text, i in self.special.items()}
        config = {"add_prefix_space": False, "added_tokens_decoder": added,
                  "additional_special_tokens": SPECIALS[1:], "bos_token": None,
                  "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace",
                  "model_max_length": 8192, "pad_token": "<|endoftext|>", "processor_class": "Qwen2AudioProcessor",
                  "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None}
        with open(folder / "tokenizer_config.json", "w") as f:
            json.dump(config, f, indent=1)

    @staticmethod
    def read(folder):
        lines = (folder / "merges.txt").read_text().splitlines()[1:]
        return Tokenizer([line.split(" ") for line in lines])
