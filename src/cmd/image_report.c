#include "cmd/image_report.h"

#include "base/clock.h"
#include "cmd/human.h"

#include <stdio.h>
#include <string.h>

static int files_in(const struct image *im, int layer)
{
    int files = 0;
    for (int i = 0; i < im->file_count; i++)
        files += im->files[i].layer == layer && im->files[i].path[strlen(im->files[i].path) - 1] != '/';
    return files;
}

void image_print(const struct image *im, bool brief)
{
    char size[HUMAN_TEXT], unpacked[HUMAN_TEXT];
    const char *revision = im->note.revision;
    printf("ferry %s%s%.12s%s%s, linux/amd64, %s\n", im->note.version, *revision ? " (" : "", revision,
           strstr(revision, "-dirty") ? "-dirty" : "", *revision ? ")" : "",
           human_bytes(image_size(im), size));
    for (int i = 0; i < IMAGE_LAYERS && !brief; i++) {
        const struct image_layer *l = &im->layers[i];
        int files = files_in(im, i);
        printf("  %-10s %8s of %-8s %3d file%s  %s\n", l->blob.name, human_bytes(l->blob.size, size),
               human_bytes(l->unpacked_size, unpacked), files, files == 1 ? " " : "s", l->blob.digest);
    }
}

void image_print_files(const struct image *im)
{
    for (int i = 0; i < im->file_count; i++) {
        const struct image_file *f = &im->files[i];
        printf("  %04o %9llu  %s%s%s\n", f->mode, (unsigned long long)f->size, f->path,
               f->source && strcmp(f->source, f->path) != 0 ? "  from " : "",
               f->source && strcmp(f->source, f->path) != 0 ? f->source : "");
    }
}

/* --- as JSON --- */

static json_t *layer_json(const struct image_layer *l)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", l->blob.name, "digest", l->blob.digest, "diff_id",
                     l->diff_id, "size", (json_int_t)l->blob.size, "unpacked_size",
                     (json_int_t)l->unpacked_size);
}

static json_t *files_json(const struct image *im)
{
    json_t *files = json_array();
    for (int i = 0; i < im->file_count; i++) {
        const struct image_file *f = &im->files[i];
        char mode[12];
        snprintf(mode, sizeof mode, "%04o", f->mode);
        json_array_append_new(files, json_pack("{s:s, s:s, s:I, s:s, s:s*}", "path", f->path, "mode", mode,
                                               "size", (json_int_t)f->size, "layer",
                                               im->layers[f->layer].blob.name, "source", f->source));
    }
    return files;
}

json_t *image_json(const struct image *im)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:[o,o], s:o}", "version", im->note.version, "revision",
                     im->note.revision, "platform", "linux/amd64", "digest", im->manifest.digest, "config",
                     im->config.digest, "size", (json_int_t)image_size(im), "layers",
                     layer_json(&im->layers[IMAGE_LIBRARIES]), layer_json(&im->layers[IMAGE_PROGRAM]),
                     "files", files_json(im));
}

/* --- a push --- */

void image_push_tell(void *push, const struct image_blob *b, enum push_state state)
{
    static const char *const words[] = {[PUSH_SENDING] = "",
                                        [PUSH_WAS_THERE] = "was there",
                                        [PUSH_MOUNTED] = "mounted",
                                        [PUSH_SENT] = "sent"};
    struct image_push *p = push;
    char size[HUMAN_TEXT];
    if (state == PUSH_SENDING) {
        p->since_ms = clock_ms();
        p->open = !p->quiet;
        if (p->open)
            printf("  %-10s %8s  ", b->name, human_bytes(b->size, size));
        fflush(stdout);
        return;
    }
    json_array_append_new(p->blobs, json_pack("{s:s, s:s, s:I, s:s}", "name", b->name, "digest", b->digest,
                                              "size", (json_int_t)b->size, "state", words[state]));
    if (p->open && state == PUSH_SENT)
        printf("sent in %.1f s\n", (clock_ms() - p->since_ms) / 1000);
    else if (p->open)
        puts(words[state]);
    p->open = false;
}

/* --- what would be asked --- */

void image_print_requests(const struct push_request *requests, int count)
{
    for (int i = 0; i < count; i++) {
        const struct push_request *q = &requests[i];
        printf("%-4s %s\n", q->method, q->url);
        if (q->content_type)
            printf("     %s, %llu bytes\n", q->content_type, (unsigned long long)q->size);
    }
}

json_t *image_requests_json(const struct push_request *requests, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        const struct push_request *q = &requests[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:I}", "method", q->method, "url", q->url,
                                              "content_type", q->content_type, "size", (json_int_t)q->size));
    }
    return list;
}
