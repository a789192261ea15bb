#include "cmd/engine_options.h"

#include "base/file.h"
#include "cmd/cores.h"

#include <stdio.h>
#include <sys/stat.h>

#define CPU_CHOICES "ref|avx2|avx512"

/* The rows' choices stand in the order of the enums. */
_Static_assert(MATH_FAST == 0 && MATH_EXACT == 1, "order of --math");
_Static_assert(KV_AUTO == 0 && KV_BF16 == 1 && KV_Q8 == 2 && KV_F32 == 3, "order of --kv");

static const struct option rows[] = {
    {.name = "context",
     .type = OPTION_INT,
     .argument = "TOKENS",
     .env = "FERRY_CONTEXT",
     .min = 1,
     .max = 1 << 24,
     .offset = offsetof(struct engine_settings, context),
     .help = "most tokens of question and answer together; the model's own maximum unless told"},
    {.name = "kv",
     .type = OPTION_CHOICE,
     .argument = "TYPE",
     .env = "FERRY_KV",
     .preset = "auto",
     .choices = "auto|bf16|q8|f32",
     .offset = offsetof(struct engine_settings, kv),
     .help = "what the KV cache is kept in: auto, bf16, q8 (about half of bf16) or f32"},
    {.name = "math",
     .type = OPTION_CHOICE,
     .argument = "MODE",
     .env = "FERRY_MATH",
     .preset = "fast",
     .choices = "fast|exact",
     .offset = offsetof(struct engine_settings, math),
     .help = "fast rounds activations to bf16 where the CPU multiplies bf16, exact keeps f32"},
    {.name = "cpu",
     .type = OPTION_CHOICE,
     .argument = "NAME",
     .env = "FERRY_CPU",
     .choices = CPU_CHOICES,
     .offset = offsetof(struct engine_settings, cpu),
     .help = "ref, avx2 or avx512; the best this machine has unless told"},
    {.name = "threads",
     .type = OPTION_INT,
     .argument = "N",
     .env = "FERRY_THREADS",
     .min = 1,
     .max = 256,
     .offset = offsetof(struct engine_settings, threads),
     .help = "threads that compute; one per core that this process may use unless told"},
};

const struct option_group engine_group = {"Engine", rows, sizeof rows / sizeof *rows};

#define WHAT_IS_A_FOLDER                                                                                     \
    "expected the path of a model folder (config.json, *.safetensors, tokenizer files), gs://… or hf://…"

/* Tells those who take something else for a folder (a file, a model's name) what is expected. */
static bool check_folder(const char *folder, struct err *e)
{
    char config[4096];
    struct stat st;

    if (stat(folder, &st) != 0)
        return err_errno(e, "%s: " WHAT_IS_A_FOLDER, folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    if (!file_exists(config))
        return err_set(e, ERR_NOT_FOUND, "%s: there is no config.json in it; " WHAT_IS_A_FOLDER, folder);
    return true;
}

const char *engine_math_name(const struct engine_settings *s)
{
    return s->math == MATH_EXACT ? "exact" : "fast";
}

int engine_threads(const struct engine_settings *s)
{
    return s->threads ? s->threads : cores_allowed();
}

struct engine_options engine_options_of(const struct engine_settings *s, int parallel,
                                        char cpu[ENGINE_CPU_NAME])
{
    bool named = s->cpu >= 0 && option_choice(CPU_CHOICES, s->cpu, cpu, ENGINE_CPU_NAME);
    return (struct engine_options){
        .math = (enum math_mode)s->math,
        .kv = (enum kv_type)s->kv,
        .context = s->context,
        .parallel = parallel,
        .cpu = named ? cpu : NULL,
    };
}

bool engine_load(struct loaded_model *m, const char *folder, const struct engine_settings *s, int parallel,
                 struct err *e)
{
    char cpu[ENGINE_CPU_NAME];
    struct engine_options o = engine_options_of(s, parallel, cpu);
    return check_folder(folder, e) && loaded_model_open(m, folder, engine_threads(s), &o, e);
}
