"""The log-mel frames of Whisper's feature extractor, for a batch of clips of different lengths."""

import math

import torch

RATE, N_FFT, HOP, BINS, WINDOW = 16000, 400, 160, 128, 480000


def hz_to_mel(hz):
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) * 27 / math.log(6.4)


def mel_to_hz(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)


def mel_bank():
    """[BINS, 201]: Slaney's scale and area, as transformers.audio_utils.mel_filter_bank."""
    top = hz_to_mel(RATE / 2)
    edges = [mel_to_hz(top * i / (BINS + 1)) for i in range(BINS + 2)]
    hz = torch.linspace(0, RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)
    rows = []
    for low, mid, high in zip(edges, edges[1:], edges[2:]):
        triangle = torch.minimum((hz - low) / (mid - low), (high - hz) / (high - mid)).clamp(min=0)
        rows.append(triangle * 2 / (high - low))
    return torch.stack(rows).float()


BANK = mel_bank()
HANN = torch.hann_window(N_FFT, periodic=True)


def frames_of(samples):
    """Valid mel frames of so many samples."""
    return min(WINDOW // HOP, -(-samples // HOP))


def tokens_of(frames):
    """Audio tokens of so many valid mel frames."""
    return (frames + 1) // 2 // 2


def log_mel(clips, gains=None):
    """clips: 1-d float tensors of at most WINDOW samples. gains: None or [len(clips), 201], factors on the power
    of every bin (training only). Returns [len(clips), BINS, frames] of the zero-padded clips, frames even and
    at least two more than the longest clip fills, or those of a full window."""
    longest = max(len(c) for c in clips)
    room = min(WINDOW, -(-(longest + 4 * HOP) // (2 * HOP)) * 2 * HOP)
    padded = torch.zeros(len(clips), room)
    for row, clip in zip(padded, clips):
        row[: len(clip)] = clip
    power = torch.stft(padded, N_FFT, HOP, window=HANN, center=True, pad_mode="reflect",
                       return_complex=True)[..., :-1].abs() ** 2
    if gains is not None:
        power = power * gains[:, :, None]
    log = torch.log10(torch.matmul(BANK, power).clamp(min=1e-10))
    top = log.amax(dim=(1, 2), keepdim=True)
    return (torch.maximum(log, top - 8) + 4) / 4
