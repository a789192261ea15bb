#include "engine/text/added.h"

#include "engine/text/utf8_piece.h"

#include <stdlib.h>

enum { FIRST_NODES = 256, FIRST_EDGES = 1024, MAX_NODES = 1 << 23 /* so that an edge's key fits */ };

bool added_init(struct added *a, struct err *e)
{
    *a = (struct added){.node_count = 1, .node_room = FIRST_NODES, .edge_mask = FIRST_EDGES - 1};
    a->nodes = calloc(a->node_room, sizeof *a->nodes);
    a->edges = calloc((size_t)a->edge_mask + 1, sizeof *a->edges);
    if (!a->nodes || !a->edges)
        return err_set(e, ERR_MEMORY, "no memory for added tokens");
    a->nodes[0].id = -1;
    return true;
}

void added_clear(struct added *a)
{
    free(a->nodes);
    free(a->edges);
    *a = (struct added){0};
}

static struct added_edge *edge_slot(struct added_edge *edges, uint32_t mask, uint32_t from)
{
    for (uint32_t i = (uint32_t)(from * 0x9e3779b97f4a7c15u >> 32);; i++) {
        struct added_edge *edge = &edges[i & mask];
        if (edge->from == 0 || edge->from == from)
            return edge;
    }
}

static uint32_t edge_key(uint32_t node, unsigned char byte)
{
    return (node << 8 | byte) + 1;
}

/* 0: no such child; the root is nobody's. */
static uint32_t child(const struct added *a, uint32_t node, unsigned char byte)
{
    return edge_slot(a->edges, a->edge_mask, edge_key(node, byte))->to;
}

static bool more_edges(struct added *a)
{
    uint32_t mask = a->edge_mask * 2 + 1;
    struct added_edge *edges = calloc((size_t)mask + 1, sizeof *edges);
    if (!edges)
        return false;
    for (size_t i = 0; i <= a->edge_mask; i++)
        if (a->edges[i].from)
            *edge_slot(edges, mask, a->edges[i].from) = a->edges[i];
    free(a->edges);
    a->edges = edges;
    a->edge_mask = mask;
    return true;
}

static bool more_nodes(struct added *a)
{
    struct added_node *nodes = realloc(a->nodes, (size_t)a->node_room * 2 * sizeof *nodes);
    if (!nodes)
        return false;
    a->nodes = nodes;
    a->node_room *= 2;
    return true;
}

/* The child of that byte, made when it is not there; 0 with *e set. */
static uint32_t grow(struct added *a, uint32_t node, unsigned char byte, struct err *e)
{
    uint32_t to = child(a, node, byte);
    if (to)
        return to;
    if (a->node_count >= MAX_NODES || (a->node_count == a->node_room && !more_nodes(a)) ||
        (a->node_count > a->edge_mask / 2 && !more_edges(a))) {
        err_set(e, ERR_MEMORY, "no memory for added tokens");
        return 0;
    }
    to = a->node_count++;
    a->nodes[to] = (struct added_node){.id = -1};
    *edge_slot(a->edges, a->edge_mask, edge_key(node, byte)) = (struct added_edge){edge_key(node, byte), to};
    return to;
}

bool added_put(struct added *a, const struct added_token *t, struct err *e)
{
    uint32_t node = 0;
    for (size_t i = 0; i < t->size; i++)
        if ((node = grow(a, node, (unsigned char)t->text[i], e)) == 0)
            return false;
    if (a->nodes[node].id >= 0)
        return err_set(e, ERR_CORRUPT, "ids %d and %d are the same added token, expected it once",
                       a->nodes[node].id, t->id);
    a->nodes[node] = (struct added_node){t->id, t->lstrip, t->rstrip};
    a->first[(unsigned char)t->text[0]] = true;
    return true;
}

int added_exact(const struct added *a, const char *text, size_t size)
{
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++)
        if ((node = child(a, node, (unsigned char)text[i])) == 0)
            return -1;
    return a->nodes[node].id;
}

/* White_Space of Unicode's PropList.txt. */
static bool is_space(int32_t code)
{
    return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f ||
           code == 0x205f || code == 0x3000;
}

static size_t strip_left(const char *text, size_t least, size_t at)
{
    while (at > least) {
        size_t before = at - 1, size;
        while (before > least && (text[before] & 0xc0) == 0x80)
            before--;
        if (!is_space(utf8_code((const unsigned char *)text + before, &size)))
            break;
        at = before;
    }
    return at;
}

static size_t strip_right(const char *text, size_t size, size_t at)
{
    size_t length;
    while (at < size && is_space(utf8_code((const unsigned char *)text + at, &length)))
        at += length;
    return at;
}

/* The node of the longest token that begins at `at`, or 0; *end: behind it. */
static uint32_t longest(const struct added *a, const char *text, size_t size, size_t at, size_t *end)
{
    uint32_t node = 0, found = 0;
    while (at < size && (node = child(a, node, (unsigned char)text[at])) != 0) {
        at++;
        if (a->nodes[node].id >= 0) {
            found = node;
            *end = at;
        }
    }
    return found;
}

bool added_find(const struct added *a, const char *text, size_t size, size_t from, struct added_match *out)
{
    for (size_t at = from, end; at < size; at++) {
        if (!a->first[(unsigned char)text[at]])
            continue;
        uint32_t node = longest(a, text, size, at, &end);
        if (!node)
            continue;
        const struct added_node *n = &a->nodes[node];
        out->begin = n->lstrip ? strip_left(text, from, at) : at;
        out->end = n->rstrip ? strip_right(text, size, end) : end;
        out->id = n->id;
        return true;
    }
    return false;
}
