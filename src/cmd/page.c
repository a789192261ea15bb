#include "cmd/page.h"

#include "base/catalog.h"

extern const char page_style[]; /* page.css */

void page_begin(const char *title, const char *where, FILE *out)
{
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'\">\n<title>",
            catalog_language());
    report_html_text(title, out);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>", page_style);
    report_html_text(title, out);
    fputs("</h1>\n<p class=\"where\">", out);
    report_html_text(where, out);
    fputs("</p>\n", out);
}

void page_tiles_begin(FILE *out)
{
    fputs("<div class=\"tiles\">\n", out);
}

void page_tile(const char *value, const char *what, FILE *out)
{
    fputs("<div class=\"tile\"><b>", out);
    report_html_text(value, out);
    fputs("</b><span>", out);
    report_html_text(what, out);
    fputs("</span></div>\n", out);
}

void page_tiles_end(FILE *out)
{
    fputs("</div>\n", out);
}

void page_section_begin(const struct report_section *s, FILE *out)
{
    fprintf(out, "<section id=\"%s\">\n<h2>", s->id);
    report_html_text(s->title, out);
    fputs("</h2>\n", out);
}

void page_section_end(const struct report_section *s, FILE *out)
{
    report_html_section(s, out);
    fputs("</section>\n", out);
}

void page_end(FILE *out)
{
    fputs("<footer>", out);
    fprintf(out, _("Written by ferry %s. This page loads nothing from anywhere."), FERRY_VERSION);
    fputs("</footer>\n</main>\n</body>\n</html>\n", out);
}

void page_legend(FILE *out, const char *const *names, const char *const *classes, int count)
{
    fputs("<p class=\"legend\">", out);
    for (int i = 0; i < count; i++) {
        fprintf(out, "<span><i class=\"%s\"></i>", classes[i]);
        report_html_text(tr(names[i]), out);
        fputs("</span>", out);
    }
    fputs("</p>\n", out);
}

void page_caption(FILE *out, const char *text)
{
    fputs("<figcaption>", out);
    report_html_text(text, out);
    fputs("</figcaption></figure>\n", out);
}

bool page_write(const char *path, void (*write)(void *arg, FILE *out), void *arg, struct err *e)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return err_errno(e, "%s", path);
    write(arg, f);
    bool failed = ferror(f) != 0;
    failed = fclose(f) != 0 || failed;
    return !failed || err_errno(e, "%s: cannot write", path);
}
