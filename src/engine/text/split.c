#include "engine/text/split.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

const char split_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* The same for PCRE2, whose \s also takes U+180E, which has not been a space since Unicode 6.3. Spelled out,
 * \s is White_Space, as in the reference's two regular expression engines. */
#define SPACE "\\t-\\r\\x{85}\\p{Z}"
static const char pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                              " ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|"
                              "[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+";

struct splitter {
    pcre2_code *code;
    pcre2_match_context *context;
};

struct split {
    const struct splitter *splitter;
    pcre2_match_data *match;
};

static bool splitter_compile(struct splitter *s, struct err *e)
{
    int error = 0;
    PCRE2_SIZE at = 0;
    /* Anchored: the pattern takes any character, so that each match begins where the last ended. */
    s->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, &error, &at, NULL);
    s->context = pcre2_match_context_create(NULL);
    if (!s->code || !s->context)
        return err_set(e, ERR_MEMORY, "pretokenizer: PCRE2 error %d at offset %zu of its pattern", error, at);
    pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE); /* where there is none, the interpreter does it */
    pcre2_set_match_limit(s->context, UINT32_MAX);  /* the pattern's backtracking is linear */
    pcre2_set_heap_limit(s->context, UINT32_MAX);
    return true;
}

struct splitter *splitter_new(struct err *e)
{
    struct splitter *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_MEMORY, "no memory for the pretokenizer");
        return NULL;
    }
    if (splitter_compile(s, e))
        return s;
    splitter_free(s);
    return NULL;
}

void splitter_free(struct splitter *s)
{
    if (!s)
        return;
    pcre2_code_free(s->code);
    pcre2_match_context_free(s->context);
    free(s);
}

struct split *split_new(const struct splitter *s, struct err *e)
{
    struct split *p = calloc(1, sizeof *p);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!p || !match) {
        free(p);
        pcre2_match_data_free(match);
        err_set(e, ERR_MEMORY, "no memory for the pretokenizer");
        return NULL;
    }
    *p = (struct split){s, match};
    return p;
}

void split_free(struct split *p)
{
    if (!p)
        return;
    pcre2_match_data_free(p->match);
    free(p);
}

size_t split_next(struct split *p, const char *text, size_t size, size_t from, struct err *e)
{
    const struct splitter *s = p->splitter;
    int rc = pcre2_match(s->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK, p->match, s->context);
    size_t end = rc > 0 ? pcre2_get_ovector_pointer(p->match)[1] : from;
    if (end > from)
        return end - from;
    err_set(e, ERR_LIMIT, "pretokenizer: PCRE2 error %d at byte %zu of %zu", rc, from, size);
    return 0;
}
