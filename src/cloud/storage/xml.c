#include "cloud/storage/xml.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Reads forward and never passes its end. */
struct cursor {
    const char *at, *end;
};

struct element {
    char name[XML_MAX_NAME];
    bool parent; /* had children: the white space between them is no text */
};

struct reader {
    struct cursor c;
    xml_fn fn;
    void *arg;
    struct element open[XML_MAX_DEPTH];
    int depth; /* elements open */
    bool done; /* the root was closed */
    char text[XML_MAX_TEXT];
    size_t text_size; /* of the innermost element, since its last child */
};

static bool begins(const struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(c->end - c->at) >= n && memcmp(c->at, word, n) == 0;
}

static bool skip_past(struct cursor *c, const char *word)
{
    for (; c->at < c->end; c->at++) {
        if (!begins(c, word))
            continue;
        c->at += strlen(word);
        return true;
    }
    return false;
}

static bool is_name_byte(char b)
{
    return isalnum((unsigned char)b) || b == '_' || b == '-' || b == '.' || b == ':';
}

static bool take_name(struct cursor *c, char name[XML_MAX_NAME])
{
    size_t n = 0;
    while (c->at < c->end && is_name_byte(*c->at) && n + 1 < XML_MAX_NAME)
        name[n++] = *c->at++;
    name[n] = 0;
    return n > 0 && (c->at == c->end || !is_name_byte(*c->at));
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && isspace((unsigned char)*c->at))
        c->at++;
}

static bool put_byte(struct reader *r, char b, struct err *e)
{
    if (r->text_size + 1 >= XML_MAX_TEXT)
        return err_set(e, ERR_LIMIT, "XML: a text of more than %d bytes", XML_MAX_TEXT - 1);
    if (b == 0)
        return err_set(e, ERR_CORRUPT, "XML: a NUL byte");
    r->text[r->text_size++] = b;
    return true;
}

static bool put_character(struct reader *r, unsigned long code, struct err *e)
{
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return err_set(e, ERR_CORRUPT, "XML: &#%lu; is no character", code);
    if (code < 0x80)
        return put_byte(r, (char)code, e);
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    bool ok = put_byte(r, (char)(lead[more] | code >> (6 * more)), e);
    while (ok && more-- > 0)
        ok = put_byte(r, (char)(0x80 | (code >> (6 * more) & 0x3f)), e);
    return ok;
}

/* Behind "&#": digits, or x and hex digits. */
static bool take_number(struct reader *r, const char *digits, struct err *e)
{
    bool hex = digits[0] == 'x';
    const char *allowed = hex ? "0123456789abcdefABCDEF" : "0123456789";
    digits += hex;
    size_t n = strlen(digits);
    if (n == 0 || n > 7 || strspn(digits, allowed) != n)
        return err_set(e, ERR_CORRUPT, "XML: a character reference without its number");
    return put_character(r, strtoul(digits, NULL, hex ? 16 : 10), e);
}

static bool take_entity(struct reader *r, struct err *e)
{
    static const struct {
        const char *name;
        char is;
    } entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    char name[12];
    size_t n = 0;

    r->c.at++;
    while (r->c.at < r->c.end && *r->c.at != ';' && n + 1 < sizeof name)
        name[n++] = *r->c.at++;
    name[n] = 0;
    if (r->c.at == r->c.end || *r->c.at++ != ';')
        return err_set(e, ERR_CORRUPT, "XML: an & without its ;");
    if (name[0] == '#')
        return take_number(r, name + 1, e);
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (strcmp(name, entities[i].name) == 0)
            return put_byte(r, entities[i].is, e);
    return err_set(e, ERR_CORRUPT, "XML: an unknown entity");
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

static bool close_element(struct reader *r, struct err *e)
{
    struct element *x = &r->open[--r->depth];
    r->text[r->text_size] = 0;
    r->text_size = 0;
    r->done = r->depth == 0;
    if (r->depth > 0)
        r->open[r->depth - 1].parent = true;
    bool silent = x->parent || is_blank(r->text);
    return r->fn(r->arg, r->depth, x->name, silent ? "" : r->text, e);
}

/* Attributes: their quotes may hold a ">". */
static bool skip_attributes(struct cursor *c, bool *empty)
{
    *empty = false;
    while (c->at < c->end && *c->at != '>') {
        char b = *c->at++;
        *empty = b == '/';
        if (b == '<')
            return false;
        if (b != '"' && b != '\'')
            continue;
        c->at = memchr(c->at, b, (size_t)(c->end - c->at));
        if (!c->at)
            return false;
        c->at++;
    }
    return c->at < c->end && *c->at++ == '>';
}

static bool open_element(struct reader *r, struct err *e)
{
    bool empty;
    if (r->done)
        return err_set(e, ERR_CORRUPT, "XML: a second root element");
    if (r->depth == XML_MAX_DEPTH)
        return err_set(e, ERR_LIMIT, "XML: more than %d levels", XML_MAX_DEPTH);
    struct element *x = &r->open[r->depth];
    *x = (struct element){0};
    struct cursor c = {r->c.at + 1, r->c.end};
    if (!take_name(&c, x->name) || !skip_attributes(&c, &empty))
        return err_set(e, ERR_CORRUPT, "XML: a tag that does not end or has no name");
    r->c = c;
    r->depth++;
    r->text_size = 0;
    return !empty || close_element(r, e);
}

static bool take_end_tag(struct reader *r, struct err *e)
{
    char name[XML_MAX_NAME];
    r->c.at += 2;
    bool named = take_name(&r->c, name);
    skip_space(&r->c);
    if (!named || r->c.at == r->c.end || *r->c.at++ != '>')
        return err_set(e, ERR_CORRUPT, "XML: an end tag that does not end");
    if (r->depth == 0 || strcmp(r->open[r->depth - 1].name, name) != 0)
        return err_set(e, ERR_CORRUPT, "XML: </%s> ends what did not begin", name);
    return close_element(r, e);
}

static bool take_markup(struct reader *r, struct err *e)
{
    if (begins(&r->c, "</"))
        return take_end_tag(r, e);
    if (begins(&r->c, "<?"))
        return skip_past(&r->c, "?>") || err_set(e, ERR_CORRUPT, "XML: <? without ?>");
    if (begins(&r->c, "<!--"))
        return skip_past(&r->c, "-->") || err_set(e, ERR_CORRUPT, "XML: a comment without its end");
    if (begins(&r->c, "<!"))
        return err_set(e, ERR_CORRUPT, "XML: a DOCTYPE or CDATA section, which this answer never has");
    return open_element(r, e);
}

bool xml_read(const char *text, size_t size, xml_fn fn, void *arg, struct err *e)
{
    struct reader r = {.c = {text, text + size}, .fn = fn, .arg = arg};
    bool ok = true;
    while (ok && r.c.at < r.c.end) {
        char b = *r.c.at;
        if (b == '<')
            ok = take_markup(&r, e);
        else if (r.depth == 0 && !isspace((unsigned char)b))
            ok = err_set(e, ERR_CORRUPT, "XML: text outside of the root element");
        else if (b == '&')
            ok = take_entity(&r, e);
        else {
            r.c.at++;
            ok = r.depth == 0 || put_byte(&r, b, e);
        }
    }
    return ok && (r.done || err_set(e, ERR_CORRUPT, "XML: it ends in the middle"));
}
