#include "cmd/wrap.h"

#include <string.h>
#include <utf8proc.h>

/* The character at text and its bytes; what is no UTF-8 counts as one. */
static utf8proc_int32_t next(const char *text, size_t size, size_t *bytes)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &c);
    *bytes = n > 0 ? (size_t)n : 1;
    return n > 0 ? c : '?';
}

int text_width(const char *text, size_t size)
{
    int width = 0;
    for (size_t at = 0, n; at < size; at += n)
        width += utf8proc_charwidth(next(text + at, size - at, &n));
    return width;
}

static bool is_wide(utf8proc_int32_t c)
{
    return utf8proc_charwidth(c) == 2;
}

/* JIS X 4051: characters that no line begins with. */
static bool holds_on(utf8proc_int32_t c)
{
    static const utf8proc_int32_t closing[] = {
        0x3001, 0x3002, 0xff0c, 0xff0e, 0x300d, 0x300f, 0xff09, 0x3011, 0xff1a, 0x30fc, 0x3063, 0x30c3,
        0x3083, 0x3085, 0x3087, 0x30e3, 0x30e5, 0x30e7, 0xff01, 0x30a1, 0x30a3, 0x30a5, 0x30a7, 0x30a9,
        0x3041, 0x3043, 0x3045, 0x3047, 0x3049, 0xff1f, 0x30fb, ')',    ',',    '.',    ';',    ':'};
    for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
        if (closing[i] == c)
            return true;
    return false;
}

/* And none ends with. */
static bool opens(utf8proc_int32_t c)
{
    return c == 0x300c || c == 0x300e || c == 0xff08 || c == 0x3010 || c == '(';
}

/* Bytes of the piece that text begins with and that stays together: up to a space, or to a place between two
 * characters of which one is wide. */
static size_t piece(const char *text)
{
    size_t size = strlen(text), n = 0, bytes;
    utf8proc_int32_t before = next(text, size, &bytes);
    for (n = bytes; n < size && text[n] != ' '; n += bytes) {
        utf8proc_int32_t c = next(text + n, size - n, &bytes);
        if ((is_wide(before) || is_wide(c)) && !holds_on(c) && !opens(before))
            break;
        before = c;
    }
    return n;
}

void wrap_print(FILE *out, const char *text, int at, int indent, int width)
{
    int space = 0; /* before the next piece, unless it begins a line */
    for (bool begins = true; *text; begins = false) {
        size_t n = piece(text);
        int wide = text_width(text, n);
        if (!begins && at + space + wide > width) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!begins) {
            at += fprintf(out, "%*s", space, "");
        }
        fwrite(text, 1, n, out);
        at += wide;
        text += n;
        space = *text == ' ';
        text += strspn(text, " ");
    }
    fputc('\n', out);
}
