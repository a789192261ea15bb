/* stage.h: `ferry stage`, `ferry pack` and the pull of `ferry exec`, taken apart: what the source holds, what
 * is there already, the copy, the pack, the manifest, the check. stage.c, pack.c and exec.c read the command
 * lines and tell the story. */
#ifndef FERRY_CMD_STAGE_H
#define FERRY_CMD_STAGE_H

#include "cmd/choose.h"
#include "cmd/copying.h"
#include "cmd/option.h"
#include "cmd/sources.h"
#include "store/manifest.h"
#include "transfer/repack.h"

struct stage_settings {
    struct copy_settings copy; /* first: copy_group's offsets count from here */
    const char *revision;
    struct text_list include, exclude;
    bool check, deep, yes;
    int via;                                                               /* enum stage_via */
    const char *image, *project, *region, *service_account, *token_secret; /* of --via job, vm */
    int tasks;                                                             /* 0: chosen */
    int encode; /* ENCODE_NONE, or 1 + enum pack_encoding */
    int to;     /* of pack: PACK_TO_FOLDER, PACK_TO_GGUF */
};

enum { ENCODE_NONE };
enum stage_via { VIA_HERE, VIA_JOB, VIA_VM, VIA_AUTO };
enum { PACK_TO_FOLDER, PACK_TO_GGUF };

/* Options that both commands have; offsets from the start of struct stage_settings. */
extern const struct option_group stage_pack_group;

/* One file of the source. */
struct stage_file {
    struct entry source; /* under its name there */
    const char *name;    /* below the model's folder: what it will be called below the target's */
    bool encoded;        /* goes into the pack, or would list what did: is not copied */
    enum choice choice;
    const struct entry *there;             /* the target has a file of that name; NULL: none */
    const struct manifest_file *certified; /* the manifest there says what it is, and it is that */
    int job;                               /* in the transfer; -1: none */
    int task;                              /* whose it is: stage_share.c */
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
    const char *again, *what; /* the command that goes on; "staging" */
    struct place model, target;
    const char *prefix;   /* of the names in the target */
    const char *source;   /* "hf://owner/name", what the manifest says */
    const char *commit;   /* NULL: not from a repository */
    const char *encoding; /* NULL: none */
    struct stage_file *files;
    int count;
    struct stage_list there; /* all below the prefix, names without it */
    struct manifest manifest;
    bool has_manifest;
    int64_t manifest_generation;
    bool no_bucket; /* told to stage_look: the target's bucket will be made, nothing is in it */
    const struct manifest_file *pack_certified; /* the pack is there already, as the manifest says */
    struct repack *repack;                      /* NULL: nothing to encode */
    int task, tasks;                            /* of a job: stage_share_read; tasks 0 or 1: alone */
    bool sealed;                                /* by stage_copy: the manifest is there */
    struct copy_outcome outcome;                /* of stage_copy, and how long it took */
    double seconds;
    const char *by; /* "3 tasks; the job": who did it, and is gone; stage_via_… */
};

void stage_clear(struct stage *s);

/* Lists, compares, copies, encodes, writes the manifest; model, source, commit and target are set. */
bool stage_run(struct stage *s, struct err *e);
/* The same in steps, for who tells another story: what there is and whether all of it is there already (then
 * the journal of a run that was killed at its end goes); then the copy and its manifest. */
bool stage_look(struct stage *s, bool *complete, struct err *e);
bool stage_copy(struct stage *s, struct err *e);
/* What stage_run does behind its stage_look. */
bool stage_finish(struct stage *s, bool complete, struct err *e);

/* The model of the hub that text names, under settings.revision; nothing is asked yet. */
bool stage_name_model(struct stage *s, const char *text, struct err *e);
/* Asks the hub, through s->stores, which commit that is now; everything after speaks of that commit. */
bool stage_pin(struct stage *s, struct err *e);

/* A folder of any place, as the manifest names it: model, source, commit. */
bool stage_open_source(struct stage *s, const char *text, struct err *e);
/* Opens the target. */
bool stage_open_target(struct stage *s, const char *text, struct err *e);

/* The files of the source and what becomes (planned) or became of each: lines on stdout, or JSON. */
void stage_print_files(const struct stage *s);
json_t *stage_files_json(const struct stage *s, bool planned);

/* --- stage_files.c --- */

bool stage_list_target(struct stage *s, struct err *e);
const struct entry *stage_find(const struct stage_list *list, const char *name);
bool stage_list_model(struct stage *s, struct err *e); /* and chooses */
void stage_compare(struct stage *s);                   /* fills in there and certified */

/* --- stage_pack.c --- */

#define PACK_NAME "model.safetensors"

/* Marks what goes into the pack; with an encoding only. False with *e set: no safetensors. */
bool stage_choose_encoded(struct stage *s, struct err *e);
/* Reads config and headers, plans the pack (s->repack), unless it is certified. */
bool stage_plan_pack(struct stage *s, const struct transfer_options *o, struct err *e);
bool stage_make_pack(struct stage *s, struct copying *run, struct err *e);

/* --- pack_gguf.c --- */

/* The folder's model to the file `out` and, of one that hears, its audio tower to another beside it.
 * Settings, arena and again are set. */
bool pack_to_gguf(struct stage *s, const char *folder, const char *out, struct err *e);

/* --- stage_share.c --- */

/* Which task of how many this process is, by Cloud Run's variables of a job. */
bool stage_share_read(struct stage *s, struct err *e);
/* Fills in whose each file is. */
bool stage_share_files(struct stage *s, struct err *e);
bool stage_share_has_work(const struct stage *s, int task);
/* What the journal of a task is about; NULL: no memory. */
char *stage_journal_source(const struct stage *s, int task);
/* Lists the target again. Whether all that falls to other tasks is there; their files are certified then. */
bool stage_share_all(struct stage *s, bool *all, struct err *e);
bool stage_share_clean(struct stage *s, struct err *e); /* the copies of all journals go */

/* --- stage_via.c --- */

/* After stage_look: tasks of Cloud Run do it, when somebody has agreed. *done: it is staged, and s->seconds
 * says how long that took; else it was a dry run. */
bool stage_via_job(struct stage *s, bool *done, struct err *e);
/* stage_via_vm.c: the same by one VM of Compute Engine. */
bool stage_via_vm(struct stage *s, bool *done, struct err *e);

/* What there is to choose between. */
struct stage_ways {
    uint64_t bytes, largest; /* of all files, of the largest */
    int tasks;
    double from_hub;  /* bytes a second that were measured here; 0: nobody has */
    const char *date; /* when */
};
/* What they take from here and by so many tasks: one line. */
enum { STAGE_HINT = 400 };
const char *stage_hint(const struct stage_ways *w, char out[STAGE_HINT]);
/* The way that is expected to take least at its longest, and the line that says why. */
enum stage_via stage_choose_way(const struct stage_ways *w, char out[STAGE_HINT]);
/* VIA_AUTO becomes one of the others, which has its line on stderr when there is much to copy: without an
 * image, which job and VM run, this machine copies. */
void stage_choose_via(struct stage *s);
/* For `ferry up`, which makes the image itself and asks about everything at once: VIA_AUTO becomes here or
 * job, and *out what that is expected to take and cost. False with *e set. */
bool stage_settle_via(struct stage *s, const char *region, char out[STAGE_HINT], struct err *e);

/* --- stage_manifest.c --- */

/* None there is fine: has_manifest. One that cannot be read is ERR_CORRUPT. */
bool stage_read_manifest(struct stage *s, struct err *e);
/* The manifest of the source, when that was staged itself: *there. */
bool stage_read_source_manifest(struct stage *s, struct manifest *m, bool *there, struct err *e);
/* Where a staged source comes from, by its manifest: source and commit. None there is fine; ERR_UNSUPPORTED
 * when it is a pack. */
bool stage_read_origin(struct stage *s, struct err *e);
/* Whether the manifest there is of this commit in this encoding. */
bool stage_same_model(const struct stage *s);
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
