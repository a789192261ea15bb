#include "cloud/storage/answer.h"

#include "cloud/storage/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fits(char *out, size_t room, const char *text, const char *what, struct err *e)
{
    size_t n = strlen(text);
    if (n == 0 || n >= room)
        return err_set(e, ERR_CORRUPT, "%s of %zu bytes, expected 1 to %zu", what, n, room - 1);
    memcpy(out, text, n + 1);
    return true;
}

/* --- InitiateMultipartUploadResult --- */

static bool take_upload_id(void *arg, int depth, const char *name, const char *text, struct err *e)
{
    if (depth != 1 || strcmp(name, "UploadId") != 0)
        return true;
    return fits(arg, UPLOAD_ID_ROOM, text, "an UploadId", e);
}

bool answer_upload_id(const char *xml, size_t size, char id[UPLOAD_ID_ROOM], struct err *e)
{
    id[0] = 0;
    return xml_read(xml, size, take_upload_id, id, e) &&
           (id[0] || err_set(e, ERR_CORRUPT, "an upload without an UploadId"));
}

/* --- ListPartsResult --- */

struct part_page {
    struct part_list *list;
    struct part_tag part; /* the one being read */
    bool sized;
};

static bool take_count(const char *text, uint64_t most, uint64_t *out, struct err *e)
{
    size_t n = strlen(text);
    if (n == 0 || n > 18 || strspn(text, "0123456789") != n || strtoull(text, NULL, 10) > most)
        return err_set(e, ERR_CORRUPT, "a list of parts with \"%.20s\" for a number", text);
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool add_part(struct part_page *p, struct err *e)
{
    struct part_list *l = p->list;
    const struct part_tag *last = l->count ? &l->parts[l->count - 1] : NULL;
    if (p->part.number < 1 || !p->part.etag[0] || !p->sized)
        return err_set(e, ERR_CORRUPT, "a part without its number, ETag or size");
    if (last && last->number >= p->part.number)
        return err_set(e, ERR_CORRUPT, "part %d is listed after part %d", p->part.number, last->number);
    if (l->count == l->room) {
        int room = l->room ? 2 * l->room : 64;
        struct part_tag *more = realloc(l->parts, (size_t)room * sizeof *more);
        if (!more)
            return err_set(e, ERR_MEMORY, "no memory for a list of parts");
        l->parts = more;
        l->room = room;
    }
    l->parts[l->count++] = p->part;
    p->part = (struct part_tag){0};
    p->sized = false;
    return true;
}

static bool take_part_field(struct part_page *p, const char *name, const char *text, struct err *e)
{
    uint64_t n = 0;
    if (strcmp(name, "ETag") == 0)
        return fits(p->part.etag, sizeof p->part.etag, text, "an ETag", e);
    if (strcmp(name, "PartNumber") == 0) {
        bool ok = take_count(text, MULTIPART_MAX_PARTS, &n, e);
        p->part.number = (int)n;
        return ok;
    }
    if (strcmp(name, "Size") == 0) {
        p->sized = true;
        return take_count(text, INT64_MAX, &p->part.size, e);
    }
    return true;
}

static bool take_listing(void *arg, int depth, const char *name, const char *text, struct err *e)
{
    struct part_page *p = arg;
    uint64_t n = 0;
    if (depth == 2)
        return take_part_field(p, name, text, e);
    if (depth == 1 && strcmp(name, "Part") == 0)
        return add_part(p, e);
    if (depth == 1 && strcmp(name, "IsTruncated") == 0)
        p->list->more = strcmp(text, "true") == 0;
    if (depth == 1 && strcmp(name, "NextPartNumberMarker") == 0 && *text) {
        bool ok = take_count(text, MULTIPART_MAX_PARTS, &n, e);
        p->list->marker = (int)n;
        return ok;
    }
    if (depth == 0 && strcmp(name, "ListPartsResult") != 0)
        return err_set(e, ERR_CORRUPT, "a list of parts was expected, and a %s came", name);
    return true;
}

bool answer_parts(struct part_list *l, const char *xml, size_t size, struct err *e)
{
    struct part_page p = {.list = l};
    int before = l->count, asked_behind = l->marker;
    l->more = false;
    if (!xml_read(xml, size, take_listing, &p, e))
        return false;
    if (l->more && (l->count == before || l->marker <= asked_behind))
        return err_set(e, ERR_CORRUPT, "a list of parts that does not go on");
    return true;
}

/* --- CompleteMultipartUpload --- */

struct sealed {
    char root[XML_MAX_NAME], code[100], message[300];
};

static bool take_sealed(void *arg, int depth, const char *name, const char *text, struct err *e)
{
    struct sealed *s = arg;
    (void)e;
    if (depth == 0)
        snprintf(s->root, sizeof s->root, "%s", name);
    if (depth == 1 && strcmp(name, "Code") == 0)
        snprintf(s->code, sizeof s->code, "%s", text);
    if (depth == 1 && strcmp(name, "Message") == 0)
        snprintf(s->message, sizeof s->message, "%s", text);
    return true;
}

/* The status goes out before the work is done, so a failure may come with a 200. */
bool answer_sealed(const char *xml, size_t size, struct err *e)
{
    struct sealed s = {.root = ""};
    if (!xml_read(xml, size, take_sealed, &s, e))
        return false;
    if (strcmp(s.root, "CompleteMultipartUploadResult") == 0)
        return true;
    bool later = strcmp(s.code, "InternalError") == 0 || strcmp(s.code, "ServiceUnavailable") == 0 ||
                 strcmp(s.code, "SlowDown") == 0;
    return err_set(e, later ? ERR_TRANSIENT : ERR_CORRUPT, "the parts were not put together: %s%s%s",
                   s.code[0] ? s.code : s.root, s.message[0] ? ": " : "", s.message);
}

static void put_escaped(FILE *f, const char *text)
{
    for (; *text; text++) {
        const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
        if (entity)
            fputs(entity, f);
        else
            fputc(*text, f);
    }
}

char *answer_seal_request(const struct part_tag *parts, int count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    fputs("<CompleteMultipartUpload>", f);
    for (int i = 0; i < count; i++) {
        fprintf(f, "<Part><PartNumber>%d</PartNumber><ETag>", parts[i].number);
        put_escaped(f, parts[i].etag);
        fputs("</ETag></Part>", f);
    }
    fputs("</CompleteMultipartUpload>", f);
    bool ok = !ferror(f);
    if (fclose(f) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}
