/* prompt.h: what a session is fed: token ids, and the audio that stands at their placeholders. */
#ifndef FERRY_ENGINE_PROMPT_H
#define FERRY_ENGINE_PROMPT_H

/* Log-mel frames of one clip (at most one window), as the encoder wants them: only the valid frames and the
 * two behind them that the convolutions see. Frames that would lie past the window are zero, as the
 * convolution's own padding is. */
struct mel {
    const float *data; /* [bins][stride] f32, bin by bin */
    int stride;        /* stored frames = frames + 2 */
    int bins;
    int frames; /* valid frames m, 0..window_frames */
};

/* Conv frames and audio tokens of m valid mel frames (WhisperFeatureExtractor and
 * Qwen2AudioEncoder._get_feat_extract_output_lengths). */
static inline int mel_conv_frames(int m)
{
    return (m + 1) / 2;
}
static inline int mel_tokens(int m)
{
    return mel_conv_frames(m) / 2;
}

struct prompt {
    const int *ids; /* [count]; an audio placeholder stands once per audio token */
    int count;
    const struct mel *clips; /* [clip_count], in the order of their placeholders */
    int clip_count;
};

#endif
