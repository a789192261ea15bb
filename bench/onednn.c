#include "onednn.h"

#include "base/pages.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct onednn {
    struct onednn_shape shape;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t product;
    struct pages packed;          /* of all weights: huge pages, as a loaded model has them */
    dnnl_memory_t x, y, *weights; /* [matrices] */
};

static bool done(dnnl_status_t status, const char *what, struct err *e)
{
    return status == dnnl_success || err_set(e, ERR_UNSUPPORTED, "oneDNN: %s: status %d", what, (int)status);
}

const char *onednn_name(char out[32])
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, 32, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return out;
}

void onednn_settle(void)
{
    struct timespec pause = {.tv_nsec = 20 * 1000000};
    nanosleep(&pause, NULL);
}

static bool plain(dnnl_memory_desc_t *d, int rows, int cols, dnnl_data_type_t type, dnnl_format_tag_t tag,
                  struct err *e)
{
    dnnl_dims_t dims = {rows, cols};
    return done(dnnl_memory_desc_init_by_tag(d, 2, dims, type, tag), "memory layout", e);
}

static bool new_memory(const struct onednn *o, dnnl_memory_t *m, const dnnl_memory_desc_t *d, void *bytes,
                       struct err *e)
{
    return done(dnnl_memory_create(m, d, o->engine, bytes), "memory", e);
}

/* Copies `from` (of that layout) to `to`, changing layout and type as needed. */
static bool reorder(struct onednn *o, const dnnl_memory_desc_t *layout, const void *from,
                    const dnnl_memory_desc_t *target, dnnl_memory_t to, struct err *e)
{
    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t copy = NULL;
    void *bytes = (void *)(uintptr_t)from; /* the library only reads it */
    bool ok =
        new_memory(o, &source, layout, bytes, e) &&
        done(dnnl_reorder_primitive_desc_create(&description, layout, o->engine, target, o->engine, NULL),
             "reorder", e) &&
        done(dnnl_primitive_create(&copy, description), "reorder", e);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, to}};
    ok = ok && done(dnnl_primitive_execute(copy, o->stream, 2, args), "reorder", e) &&
         done(dnnl_stream_wait(o->stream), "reorder", e);
    dnnl_primitive_destroy(copy);
    dnnl_primitive_desc_destroy(description);
    dnnl_memory_destroy(source);
    return ok;
}

/* The product itself; W's layout is the library's choice. */
static bool create_product(struct onednn *o, struct err *e)
{
    const struct onednn_shape *s = &o->shape;
    dnnl_data_type_t type = s->bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t x, w, y;
    dnnl_matmul_desc_t what;
    return plain(&x, s->tokens, s->cols, type, dnnl_ab, e) &&
           plain(&w, s->cols, s->rows, type, dnnl_format_tag_any, e) &&
           plain(&y, s->tokens, s->rows, dnnl_f32, dnnl_ab, e) &&
           done(dnnl_matmul_desc_init(&what, &x, &w, NULL, &y), "product", e) &&
           done(dnnl_primitive_desc_create(&o->description, &what, NULL, o->engine, NULL), "product", e) &&
           done(dnnl_primitive_create(&o->product, o->description), "product", e) &&
           new_memory(o, &o->x, &x, DNNL_MEMORY_ALLOCATE, e) &&
           new_memory(o, &o->y, &y, DNNL_MEMORY_ALLOCATE, e);
}

static bool fill(struct onednn *o, const uint16_t *weights, const float *x, struct err *e)
{
    const struct onednn_shape *s = &o->shape;
    const dnnl_memory_desc_t *packed = dnnl_primitive_desc_query_md(o->description, dnnl_query_weights_md, 0);
    const dnnl_memory_desc_t *rounded = dnnl_primitive_desc_query_md(o->description, dnnl_query_src_md, 0);
    dnnl_memory_desc_t as_stored, as_f32;
    if (!plain(&as_f32, s->tokens, s->cols, dnnl_f32, dnnl_ab, e) ||
        !reorder(o, &as_f32, x, rounded, o->x, e) ||
        !plain(&as_stored, s->cols, s->rows, dnnl_bf16, dnnl_ba, e)) /* [rows][cols], seen from the side */
        return false;
    size_t bytes = (dnnl_memory_desc_get_size(packed) + 63) / 64 * 64;
    o->weights = calloc((size_t)s->matrices, sizeof *o->weights);
    if (!o->weights)
        return err_set(e, ERR_MEMORY, "no memory for a list of matrices");
    if (!pages_alloc(&o->packed, bytes * (size_t)s->matrices, e))
        return false;
    for (int i = 0; i < s->matrices; i++) {
        const uint16_t *from = weights + (size_t)i * (size_t)s->rows * (size_t)s->cols;
        if (!new_memory(o, &o->weights[i], packed, (char *)o->packed.data + (size_t)i * bytes, e) ||
            !reorder(o, &as_stored, from, packed, o->weights[i], e))
            return false;
    }
    return true;
}

struct onednn *onednn_new(const struct onednn_shape *s, const uint16_t *weights, const float *x,
                          struct err *e)
{
    struct onednn *o = calloc(1, sizeof *o);
    if (!o) {
        err_set(e, ERR_MEMORY, "no memory for oneDNN");
        return NULL;
    }
    o->shape = *s;
    omp_set_num_threads(s->threads);
    if (done(dnnl_engine_create(&o->engine, dnnl_cpu, 0), "engine", e) &&
        done(dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags), "stream", e) &&
        create_product(o, e) && fill(o, weights, x, e))
        return o;
    onednn_free(o);
    return NULL;
}

void onednn_free(struct onednn *o)
{
    if (!o)
        return;
    for (int i = 0; o->weights && i < o->shape.matrices; i++)
        dnnl_memory_destroy(o->weights[i]);
    free(o->weights);
    pages_free(&o->packed);
    dnnl_memory_destroy(o->x);
    dnnl_memory_destroy(o->y);
    dnnl_primitive_destroy(o->product);
    dnnl_primitive_desc_destroy(o->description);
    dnnl_stream_destroy(o->stream);
    dnnl_engine_destroy(o->engine);
    free(o);
}

bool onednn_run(struct onednn *o, int i, struct err *e)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, o->x}, {DNNL_ARG_WEIGHTS, o->weights[i]}, {DNNL_ARG_DST, o->y}};
    return done(dnnl_primitive_execute(o->product, o->stream, 3, args), "product", e) &&
           done(dnnl_stream_wait(o->stream), "product", e);
}

const float *onednn_y(const struct onednn *o)
{
    void *y = NULL;
    dnnl_memory_get_data_handle(o->y, &y);
    return y;
}
