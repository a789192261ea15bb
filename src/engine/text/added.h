/* added.h: the added tokens of a tokenizer, found in text by exact match: the leftmost, and of those that
 * begin there the longest. There are thousands, so they form a trie. */
#ifndef FERRY_ENGINE_TEXT_ADDED_H
#define FERRY_ENGINE_TEXT_ADDED_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADDED_MAX_BYTES = 1024 }; /* of one token; a search looks no further ahead */

struct added_token {
    const char *text; /* valid UTF-8, at least one byte */
    size_t size;
    int id;
    bool special;        /* left out when text is decoded */
    bool lstrip, rstrip; /* takes the white space on that side along */
    bool normalized;     /* looked for in normalised text, else in the text as it came */
    bool single_word;    /* only where no letter stands beside it */
};

struct added_edge {
    uint32_t from; /* node << 8 | byte, plus 1; 0: empty */
    uint32_t to;
};

struct added_node {
    int id; /* of the token that ends here, or -1 */
    bool lstrip, rstrip;
};

struct added {
    bool first[256];          /* bytes that some token begins with */
    struct added_node *nodes; /* [node_count], node 0 is the root */
    uint32_t node_count, node_room;
    struct added_edge *edges; /* [edge_mask + 1], open addressing, at most half full */
    uint32_t edge_mask;
};

bool added_init(struct added *a, struct err *e);
void added_clear(struct added *a); /* a zeroed one is fine */

/* Refused: the same text twice. */
bool added_put(struct added *a, const struct added_token *t, struct err *e);

struct added_match {
    size_t begin, end;
    int id;
};

/* The first token in text[from..size), white space that it takes along included. False: there is none. */
bool added_find(const struct added *a, const char *text, size_t size, size_t from, struct added_match *out);

/* The token that is exactly this text: its id, or -1. */
int added_exact(const struct added *a, const char *text, size_t size);

#endif
