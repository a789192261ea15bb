#include "serve/loaded_model.h"

#include <time.h>

/* m has its pool and its model. */
static bool build(struct loaded_model *m, const struct file_source *files, const struct engine_options *o,
                  struct err *e)
{
    const struct model_config *c = &m->model.config;
    if (!(m->tokenizer = tokenizer_new(files, c->text.vocab, e)))
        return false;
    if (c->family == MODEL_QWEN2_AUDIO && !(m->mel = mel_plan_new(&c->mel, e)))
        return false;
    return (m->engine = engine_new(&m->model, m->pool, o, e)) != NULL;
}

bool loaded_model_open(struct loaded_model *m, const char *folder, int threads,
                       const struct engine_options *o, struct err *e)
{
    const struct file_source files = file_source_folder(folder);
    *m = (struct loaded_model){.created = (int64_t)time(NULL)};
    if ((m->pool = pool_new(threads, e)) && model_open(&m->model, folder, FOLDER_AUTO, m->pool, e) &&
        build(m, &files, o, e))
        return true;
    loaded_model_close(m);
    return false;
}

bool loaded_model_build(struct loaded_model *m, struct model *model, const struct file_source *files,
                        int threads, const struct engine_options *o, struct err *e)
{
    *m = (struct loaded_model){.created = (int64_t)time(NULL), .model = *model};
    *model = (struct model){0};
    if ((m->pool = pool_new(threads, e)) && build(m, files, o, e))
        return true;
    loaded_model_close(m);
    return false;
}

void loaded_model_close(struct loaded_model *m)
{
    engine_free(m->engine);
    mel_plan_free(m->mel);
    tokenizer_free(m->tokenizer);
    model_close(&m->model);
    pool_free(m->pool);
    *m = (struct loaded_model){0};
}
