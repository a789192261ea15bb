/* report_html.c: a report's parts in a page. */
#include "cmd/report.h"

#include <string.h>

void report_html_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else
            fputc(*text, out);
    }
}

/* What stands between backticks is code. */
static void prose(const char *text, FILE *out)
{
    char piece[512];
    for (bool code = false;; code = !code) {
        size_t n = strcspn(text, "`"), kept = n < sizeof piece ? n : sizeof piece - 1;
        memcpy(piece, text, kept);
        piece[kept] = 0;
        fputs(code ? "<code>" : "", out);
        report_html_text(piece, out);
        fputs(code ? "</code>" : "", out);
        text += kept + (kept == n && text[n] == '`');
        if (!*text)
            return;
        code ^= kept < n;
    }
}

static void element(const char *open, const char *text, const char *close, FILE *out)
{
    fputs(open, out);
    prose(text, out);
    fputs(close, out);
}

static void head(const struct report_section *s, FILE *out)
{
    bool any = false;
    for (int c = 0; c < s->columns; c++)
        any = any || *s->heads[c];
    if (!any)
        return;
    fputs("<thead><tr>", out);
    for (int c = 0; c < s->columns; c++)
        element(s->right[c] ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">", s->heads[c], "</th>",
                out);
    fputs("</tr></thead>\n", out);
}

static void row(const struct report_section *s, const struct report_row *r, FILE *out)
{
    static const char *const classes[] = {[REPORT_PLAIN] = "",
                                          [REPORT_CHOSEN] = " class=\"chosen\"",
                                          [REPORT_BAD] = " class=\"bad\"",
                                          [REPORT_QUIET] = " class=\"quiet\""};
    fprintf(out, "<tr%s>", classes[r->mark]);
    for (int c = 0; c < s->columns; c++) {
        const char *open = c == 0 ? "<th scope=\"row\">" : s->right[c] ? "<td class=\"n\">" : "<td>";
        element(open, r->cells[c], c == 0 ? "</th>" : "</td>", out);
    }
    fputs("</tr>\n", out);
}

/* Each row's arithmetic, folded away. */
static void whys(const struct report_section *s, FILE *out)
{
    int count = 0;
    for (int i = 0; i < s->row_count; i++)
        count += s->rows[i].why != NULL;
    if (count == 0)
        return;
    fputs("<details><summary>How these numbers come about</summary><dl>\n", out);
    for (int i = 0; i < s->row_count; i++) {
        if (!s->rows[i].why)
            continue;
        element("<dt>", s->rows[i].cells[0], "</dt>", out);
        element("<dd>", s->rows[i].why, "</dd>\n", out);
    }
    fputs("</dl></details>\n", out);
}

void report_html_section(const struct report_section *s, FILE *out)
{
    if (s->row_count) {
        fputs("<div class=\"scroll\"><table>\n", out);
        head(s, out);
        fputs("<tbody>\n", out);
        for (int i = 0; i < s->row_count; i++)
            row(s, &s->rows[i], out);
        fputs("</tbody></table></div>\n", out);
    }
    for (int i = 0; i < s->note_count; i++)
        element("<p class=\"note\">", s->notes[i], "</p>\n", out);
    whys(s, out);
}
