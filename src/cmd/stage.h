/* stage.h: `ferry stage`, taken apart: what the repository holds, what is there already, the copy, the
 * manifest, the check. stage.c reads the command line and tells the story. */
#ifndef FERRY_CMD_STAGE_H
#define FERRY_CMD_STAGE_H

#include "cmd/choose.h"
#include "cmd/copying.h"
#include "cmd/option.h"
#include "cmd/sources.h"
#include "transfer/manifest.h"

struct stage_settings {
    struct copy_settings copy; /* first: copy_group's offsets count from here */
    const char *revision;
    struct text_list include, exclude;
    bool check, deep, yes;
    int via;
};

/* One file of the repository. */
struct stage_file {
    struct entry source;
    enum choice choice;
    const struct entry *there;             /* the target has a file of that name; NULL: none */
    const struct manifest_file *certified; /* the manifest there says what it is, and it is that */
    int job;                               /* in the transfer; -1: none */
};

/* Files in order of name. */
struct stage_list {
    struct entry *items;
    size_t count, room;
};

struct stage {
    struct stage_settings settings;
    struct stores *stores;
    struct arena *arena;
    const char *again;
    struct place model, target;
    const char *prefix; /* of the names in the target */
    const char *source; /* "hf://owner/name", what the manifest says */
    const char *commit;
    struct stage_file *files;
    int count;
    struct stage_list there; /* all below the prefix, names without it */
    struct manifest manifest;
    bool has_manifest;
    int64_t manifest_generation;
};

void stage_clear(struct stage *s);

/* --- stage_files.c --- */

bool stage_list_target(struct stage *s, struct err *e);
const struct entry *stage_find(const struct stage_list *list, const char *name);
bool stage_list_model(struct stage *s, struct err *e); /* and chooses */
void stage_compare(struct stage *s);                   /* fills in there and certified */

/* --- stage_manifest.c --- */

/* None there is fine: has_manifest. One that cannot be read is ERR_CORRUPT. */
bool stage_read_manifest(struct stage *s, struct err *e);
/* Whether this very manifest would be written again. */
bool stage_complete(const struct stage *s);
/* From what the transfer says and what the manifest there certified; last of all. */
bool stage_write_manifest(struct stage *s, const struct transfer *t, struct err *e);
bool stage_delete_manifest(struct stage *s, struct err *e);

/* --- stage_check.c --- */

/* Compares what is there with the manifest; with `deep` reads every byte. False with *e (ERR_CORRUPT) set
 * when something is not as it should be; each finding has its line on stdout. */
bool stage_check(struct stage *s, struct err *e);

#endif
