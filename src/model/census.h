/* census.h: what the tensors of a safetensors model come to, also of one that Ferry does not compute with. */
#ifndef FERRY_MODEL_CENSUS_H
#define FERRY_MODEL_CENSUS_H

#include "model/safetensors.h"

enum { CENSUS_TYPES = 24 }; /* more than safetensors and packs know */

struct census_type {
    const char *name;           /* "BF16"; of a pack's blocks "q8_0", "q4_0". Static */
    uint64_t parameters, bytes; /* parameters: values of that type. In blocks those that they stand for */
};

struct census {
    uint64_t files, file_bytes, largest_file; /* largest_file: bytes */
    uint64_t tensors, parameters, bytes;      /* of tensors alone, without headers and padding */
    struct census_type types[CENSUS_TYPES];   /* [type_count], the one with most bytes first */
    int type_count;
    bool encoded; /* some of it is in a pack's blocks */
};

/* Counts a file of that size in. Padding of a pack is no tensor. */
void census_add(struct census *c, const struct safetensors *s, uint64_t file_bytes);

/* Counts tensors in that lie in no file, as a config describes them. */
void census_add_tensor(struct census *c, const char *type, uint64_t parameters, uint64_t bytes);

#endif
