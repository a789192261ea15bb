"""Qwen2-Audio as a torch module whose state_dict has the names of the Hugging Face checkpoint."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from mel import BINS


@dataclass
class Sizes:
    width: int = 128  # audio_config.d_model
    encoder_layers: int = 4
    encoder_heads: int = 4
    encoder_ffn: int = 512
    positions: int = 1500
    hidden: int = 128
    layers: int = 3
    heads: int = 4
    ffn: int = 352
    vocab: int = 0
    rope_theta: float = 10000.0
    rms_eps: float = 1e-5


def sinusoids(length, width):
    """Whisper's table of positions; a stored, fixed parameter. A third as strong as Whisper's: in so narrow a model
    it would drown what the convolutions hear."""
    rates = torch.exp(-torch.arange(width // 2) * (torch.log(torch.tensor(10000.0)) / (width // 2 - 1)))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1) / 3


def split_heads(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def convolved(conv, x):
    """A kernel-3 convolution over x [n, length, channels] as one matrix product. (torch 1.13's own on the CPU now
    and then leaves nan in its gradients.)"""
    x = F.pad(x, (0, 0, 1, 1))
    step, count = conv.stride[0], (x.shape[1] - 3) // conv.stride[0] + 1
    taps = [x[:, k : k + step * (count - 1) + 1 : step] for k in range(3)]
    return F.linear(torch.cat(taps, -1), conv.weight.transpose(1, 2).flatten(1), conv.bias)


class EncoderAttention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.heads = s.encoder_heads
        self.k_proj = nn.Linear(s.width, s.width, bias=False)
        self.v_proj = nn.Linear(s.width, s.width)
        self.q_proj = nn.Linear(s.width, s.width)
        self.out_proj = nn.Linear(s.width, s.width)

    def forward(self, x, mask):
        q, k, v = (split_heads(p(x), self.heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2) + mask.to(q.dtype)
        return self.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.self_attn = EncoderAttention(s)
        self.self_attn_layer_norm = nn.LayerNorm(s.width)
        self.fc1 = nn.Linear(s.width, s.encoder_ffn)
        self.fc2 = nn.Linear(s.encoder_ffn, s.width)
        self.final_layer_norm = nn.LayerNorm(s.width)

    def forward(self, x, mask, drop):
        x = x + drop(self.self_attn(self.self_attn_layer_norm(x), mask))
        return x + drop(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))


class Encoder(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.conv1 = nn.Conv1d(BINS, s.width, 3, padding=1)
        self.conv2 = nn.Conv1d(s.width, s.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(s.positions, s.width)
        self.embed_positions.weight = nn.Parameter(sinusoids(s.positions, s.width), requires_grad=False)
        self.layers = nn.ModuleList(EncoderLayer(s) for _ in range(s.encoder_layers))
        self.layer_norm = nn.LayerNorm(s.width)

    def forward(self, mel, frames, drop):
        """mel [clips, BINS, 2 n], frames [clips] valid ones -> [clips, n / 2, width]; rows past a clip's audio
        tokens mean nothing."""
        x = F.gelu(convolved(self.conv1, mel.transpose(1, 2)))
        x = F.gelu(convolved(self.conv2, x))
        x = x + self.embed_positions.weight[: x.shape[1]]
        hidden = torch.arange(x.shape[1])[None] >= ((frames + 1) // 2)[:, None]
        mask = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))[:, None, None]
        for layer in self.layers:
            x = layer(x, mask, drop)
        x = x[:, : x.shape[1] // 2 * 2]
        return self.layer_norm((x[:, 0::2] + x[:, 1::2]) / 2)


class RMSNorm(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(s.hidden))
        self.eps = s.rms_eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps))


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.heads = s.heads
        self.q_proj = nn.Linear(s.hidden, s.hidden)
        self.k_proj = nn.Linear(s.hidden, s.hidden)
        self.v_proj = nn.Linear(s.hidden, s.hidden)
        self.o_proj = nn.Linear(s.hidden, s.hidden, bias=False)

    def forward(self, x, cos, sin, mask):
        q, k, v = (split_heads(p(x), self.heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = rotate(q, cos, sin) @ rotate(k, cos, sin).transpose(-1, -2) * q.shape[-1] ** -0.5 + mask
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.gate_proj = nn.Linear(s.hidden, s.ffn, bias=False)
        self.up_proj = nn.Linear(s.hidden, s.ffn, bias=False)
        self.down_proj = nn.Linear(s.ffn, s.hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.self_attn = Attention(s)
        self.mlp = MLP(s)
        self.input_layernorm = RMSNorm(s)
        self.post_attention_layernorm = RMSNorm(s)

    def forward(self, x, cos, sin, mask, drop):
        x = x + drop(self.self_attn(self.input_layernorm(x), cos, sin, mask))
        return x + drop(self.mlp(self.post_attention_layernorm(x)))


class Decoder(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.embed_tokens = nn.Embedding(s.vocab, s.hidden)
        self.layers = nn.ModuleList(DecoderLayer(s) for _ in range(s.layers))
        self.norm = RMSNorm(s)


class LanguageModel(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.model = Decoder(s)
        self.lm_head = nn.Linear(s.hidden, s.vocab, bias=False)


class Projector(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.linear = nn.Linear(s.width, s.hidden)


class Qwen2Audio(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.sizes = s
        self.audio_tower = Encoder(s)
        self.multi_modal_projector = Projector(s)
        self.language_model = LanguageModel(s)
        self.drop = nn.Dropout(0.0)
        for name, p in self.named_parameters():
            if p.dim() > 1 and "conv" not in name and "embed_positions" not in name:
                nn.init.normal_(p, std=0.06)
            elif p.dim() == 3:
                nn.init.kaiming_normal_(p, nonlinearity="relu")
        head = s.hidden // s.heads
        rates = s.rope_theta ** (-torch.arange(0, head, 2).float() / head)
        self.register_buffer("rates", torch.cat([rates, rates]), persistent=False)

    def hear(self, mel, frames):
        """Audio features [clips, tokens, hidden]."""
        return self.multi_modal_projector.linear(self.audio_tower(mel, frames, self.drop))

    def logits(self, ids, features, places, wanted=None):
        """ids [n, length]; features [clips, tokens, hidden] replace the embeddings where places says: rows
        (item, position, clip, token). wanted: None, or a bool [n, length] of the positions whose logits are
        asked for."""
        x = self.language_model.model.embed_tokens(ids)
        if len(places):
            x = x.index_put((places[:, 0], places[:, 1]), features[places[:, 2], places[:, 3]].float())
        length = ids.shape[1]
        angles = torch.arange(length)[:, None] * self.rates[None]
        mask = torch.full((length, length), float("-inf")).triu(1)
        for layer in self.language_model.model.layers:
            x = layer(x, angles.cos(), angles.sin(), mask, self.drop)
        x = self.language_model.model.norm(x)
        return self.language_model.lm_head(x if wanted is None else x[wanted])
