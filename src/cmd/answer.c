#include "cmd/answer.h"

#include "base/clock.h"
#include "cmd/terminal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool answer_open(struct answer *a, bool json, bool stats, struct err *e)
{
    *a = (struct answer){.json = json,
                         .stats = stats,
                         .tame = !json && terminal_is(STDOUT_FILENO),
                         .last = '\n',
                         .start_ms = clock_ms()};
    a->out = json ? open_memstream(&a->text, &a->text_size) : stdout;
    return a->out || err_set(e, ERR_MEMORY, "no memory for the answer");
}

size_t answer_tame(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i], next = i + 1 < size ? (unsigned char)text[i + 1] : 0;
        bool c0 = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (c0 || (c == 0xc2 && next >= 0x80 && next < 0xa0)) /* U+0080 to U+009F in UTF-8 */
            return i;
    }
    return size;
}

/* Text for a screen: each control character as U+FFFD. */
static bool write_tame(FILE *out, const char *text, size_t size)
{
    while (size) {
        size_t tame = answer_tame(text, size);
        if (fwrite(text, 1, tame, out) != tame)
            return false;
        text += tame, size -= tame;
        if (size == 0)
            break;
        size_t control = (unsigned char)*text == 0xc2 ? 2 : 1;
        if (fputs("\xef\xbf\xbd", out) == EOF)
            return false;
        text += control, size -= control;
    }
    return true;
}

bool answer_text(struct answer *a, const char *text, size_t size, struct err *e)
{
    if (size == 0)
        return true;
    a->last_ms = clock_ms();
    if (a->first_ms == 0)
        a->first_ms = a->last_ms;
    a->last = text[size - 1];
    bool ok = a->tame ? write_tame(a->out, text, size) : fwrite(text, 1, size, a->out) == size;
    if (ok && fflush(a->out) == 0)
        return true;
    return err_errno(e, "cannot write the answer");
}

void answer_warning(const struct answer *a, const char *text)
{
    if (a->quiet)
        return;
    if (!a->json && a->last != '\n' && terminal_is(STDOUT_FILENO))
        putchar('\n');
    fputs("ferry: warning: ", stderr);
    write_tame(stderr, text, strlen(text));
    fputc('\n', stderr);
}

double answer_tokens_per_second(const struct answer *a)
{
    double ms = a->last_ms - a->first_ms;
    return a->completion_tokens > 1 && ms > 0 ? (a->completion_tokens - 1) * 1000.0 / ms : 0;
}

static double first_text_ms(const struct answer *a)
{
    return a->first_ms > 0 ? a->first_ms - a->start_ms : 0;
}

static bool print_json(struct answer *a, struct err *e)
{
    if (fflush(a->out) != 0)
        return err_set(e, ERR_MEMORY, "no memory for the answer");
    json_t *o =
        json_pack("{s:s%, s:s, s:s, s:{s:i, s:i, s:i}, s:f, s:f, s:f}", "answer", a->text, a->text_size,
                  "finish_reason", a->finish, "model", a->model, "usage", "prompt_tokens", a->prompt_tokens,
                  "audio_tokens", a->audio_tokens, "completion_tokens", a->completion_tokens, "first_text_ms",
                  first_text_ms(a), "total_ms", clock_ms() - a->start_ms, "tokens_per_second",
                  answer_tokens_per_second(a));
    bool ok = o && json_dumpf(o, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(o);
    return ok || err_set(e, ERR_IO, "cannot write the answer as JSON");
}

static void print_stats(const struct answer *a)
{
    fprintf(stderr, "%sfirst text after %.0f ms, %d tokens", terminal_style(STDERR_FILENO, STYLE_DIM),
            first_text_ms(a), a->completion_tokens);
    if (answer_tokens_per_second(a) > 0)
        fprintf(stderr, " at %.1f tokens/s", answer_tokens_per_second(a));
    fprintf(stderr, " (prompt %d tokens", a->prompt_tokens);
    if (a->audio_tokens)
        fprintf(stderr, ", %d of them audio", a->audio_tokens);
    fprintf(stderr, "%s)%s\n", strcmp(a->finish, "length") == 0 ? "; cut at the token limit" : "",
            terminal_style(STDERR_FILENO, STYLE_PLAIN));
}

static void end_line(struct answer *a)
{
    if (!a->json && a->last != '\n') {
        putchar('\n');
        fflush(stdout);
    }
    a->last = '\n';
}

bool answer_end(struct answer *a, struct err *e)
{
    end_line(a);
    if (a->json && !print_json(a, e))
        return false;
    if (a->stats || (!a->json && terminal_is(STDERR_FILENO)))
        print_stats(a);
    return true;
}

void answer_close(struct answer *a)
{
    if (a->out)
        end_line(a);
    if (a->json && a->out)
        fclose(a->out);
    free(a->text);
    *a = (struct answer){0};
}
