"""The Hugging Face folder: configs, tokenizer and one bf16 safetensors file."""

import json
import struct

import torch

from mel import BINS, HOP, N_FFT, RATE, WINDOW
from model import Qwen2Audio, Sizes
from tokenizer import Tokenizer

CHAT_TEMPLATE = (
    "{% set audio_count = namespace(value=0) %}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}"
    "<|im_end|>\n{% else %}{% for content in message['content'] %}{% if 'audio' in content or 'audio_url' in content %}"
    "{% set audio_count.value = audio_count.value + 1 %}Audio {{ audio_count.value }}: <|audio_bos|><|AUDIO|>"
    "<|audio_eos|>\n{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write("\n")


def write(folder, s, tensors, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    special = tokenizer.special
    stop = [special["<|im_end|>"], special["<|endoftext|>"]]
    write_json(folder / "config.json", {
        "architectures": ["Qwen2AudioForConditionalGeneration"], "model_type": "qwen2_audio",
        "audio_token_index": special["<|AUDIO|>"], "ignore_index": -100, "torch_dtype": "bfloat16",
        "vocab_size": s.vocab,
        "audio_config": {
            "model_type": "qwen2_audio_encoder", "activation_function": "gelu", "scale_embedding": False,
            "d_model": s.width, "encoder_layers": s.encoder_layers, "encoder_attention_heads": s.encoder_heads,
            "encoder_ffn_dim": s.encoder_ffn, "num_mel_bins": BINS, "max_source_positions": s.positions},
        "text_config": {
            "model_type": "qwen2", "bos_token_id": stop[1], "eos_token_id": stop[0], "hidden_act": "silu",
            "use_sliding_window": False, "tie_word_embeddings": False, "vocab_size": s.vocab, "hidden_size": s.hidden,
            "num_hidden_layers": s.layers, "num_attention_heads": s.heads, "num_key_value_heads": s.heads,
            "intermediate_size": s.ffn, "rope_theta": int(s.rope_theta), "rms_norm_eps": s.rms_eps,
            "max_position_embeddings": 8192}})
    write_json(folder / "generation_config.json", {
        "do_sample": False, "eos_token_id": stop, "pad_token_id": stop[1], "repetition_penalty": 1.0})
    write_json(folder / "preprocessor_config.json", {
        "feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "Qwen2AudioProcessor",
        "feature_size": BINS, "sampling_rate": RATE, "n_fft": N_FFT, "hop_length": HOP, "chunk_length": WINDOW // RATE,
        "n_samples": WINDOW, "nb_max_frames": WINDOW // HOP, "padding_side": "right", "padding_value": 0.0,
        "return_attention_mask": True})
    write_json(folder / "chat_template.json", {"chat_template": CHAT_TEMPLATE})
    tokenizer.write(folder)
    write_safetensors(folder / "model.safetensors", tensors)


def write_safetensors(path, tensors):
    header, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        data = tensors[name].to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    temporary.rename(path)


def read_safetensors(path):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(bytearray(raw[begin:end]), dtype=torch.bfloat16)
            tensors[name] = values.view(entry["shape"]).float()
    return tensors


def read(folder):
    """(model in f32 with the stored bf16 values, tokenizer)"""
    config = json.loads((folder / "config.json").read_text())
    audio, text = config["audio_config"], config["text_config"]
    model = Qwen2Audio(Sizes(
        width=audio["d_model"], encoder_layers=audio["encoder_layers"], encoder_heads=audio["encoder_attention_heads"],
        encoder_ffn=audio["encoder_ffn_dim"], positions=audio["max_source_positions"], hidden=text["hidden_size"],
        layers=text["num_hidden_layers"], heads=text["num_attention_heads"], ffn=text["intermediate_size"],
        vocab=text["vocab_size"], rope_theta=float(text["rope_theta"]), rms_eps=text["rms_norm_eps"]))
    model.load_state_dict(read_safetensors(folder / "model.safetensors"))
    return model.eval(), Tokenizer.read(folder)
