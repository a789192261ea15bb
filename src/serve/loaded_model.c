#include "serve/loaded_model.h"

#include <time.h>

bool loaded_model_open(struct loaded_model *m, const char *folder, int threads,
                       const struct engine_options *o, struct err *e)
{
    *m = (struct loaded_model){.created = (int64_t)time(NULL)};
    if (!(m->pool = pool_new(threads, e)) || !model_open(&m->model, folder, FOLDER_AUTO, m->pool, e))
        goto failed;
    const struct model_config *c = &m->model.config;
    const struct file_source files = file_source_folder(folder);
    if (!(m->tokenizer = tokenizer_new(&files, c->text.vocab, e)))
        goto failed;
    if (c->family == MODEL_QWEN2_AUDIO && !(m->mel = mel_plan_new(&c->mel, e)))
        goto failed;
    if (!(m->engine = engine_new(&m->model, m->pool, o, e)))
        goto failed;
    return true;
failed:
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
