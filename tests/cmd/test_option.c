#include "cmd/commands.h"
#include "cmd/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct settings {
    int port, kv;
    double heat;
    const char *name;
    bool json;
    struct text_list files;
};

static const struct option rows[] = {
    {.name = "port",
     .letter = 'p',
     .type = OPTION_INT,
     .argument = "PORT",
     .env = "TEST_PORT",
     .preset = "8080",
     .max = 65535,
     .offset = offsetof(struct settings, port)},
    {.name = "heat",
     .type = OPTION_REAL,
     .argument = "T",
     .max = 2,
     .offset = offsetof(struct settings, heat)},
    {.name = "json", .letter = 'j', .type = OPTION_FLAG, .offset = offsetof(struct settings, json)},
};
static const struct option more_rows[] = {
    {.name = "kv",
     .type = OPTION_CHOICE,
     .argument = "TYPE",
     .env = "TEST_KV",
     .preset = "auto",
     .choices = "auto|bf16|q8",
     .offset = offsetof(struct settings, kv)},
    {.name = "file",
     .letter = 'f',
     .type = OPTION_LIST,
     .argument = "F",
     .offset = offsetof(struct settings, files)},
    {.type = OPTION_TEXT, .env = "TEST_NAME", .offset = offsetof(struct settings, name)},
};
static const struct option_group first = {"Options", rows, 3}, second = {"More", more_rows, 3};
static const struct option_group *const groups[] = {&first, &second, NULL};
static const struct command command = {
    .name = "test", .synopsis = "FOLDER [options]", .groups = groups, .max_operands = 2};

enum { MAX_ARGS = 70 };

/* args: words separated by spaces. */
static bool parse(const char *line, struct settings *s, struct operands *o, struct err *e)
{
    static char words[2000]; /* the settings point into it */
    static char *args[MAX_ARGS];
    int count = 0;
    strncpy(words, line, sizeof words - 1);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        args[count++] = w;
    *s = (struct settings){.heat = -1};
    *e = (struct err){0};
    return options_read(&command, args, count, s, o, e);
}

static const struct {
    const char *line, *says;
} refused[] = {
    {"--port", "--port needs a value: --port PORT"},
    {"--port=", "--port: \"\", expected a whole number from 0 to 65535"},
    {"--port 65536", "--port: \"65536\", expected a whole number from 0 to 65535"},
    {"--port -1", "--port: \"-1\", expected a whole number from 0 to 65535"},
    {"--port 80x", "--port: \"80x\", expected a whole number from 0 to 65535"},
    {"--port 99999999999999999999",
     "--port: \"99999999999999999999\", expected a whole number from 0 to 65535"},
    {"--heat nan", "--heat: \"nan\", expected a number from 0 to 2"},
    {"--heat 1e400", "--heat: \"1e400\", expected a number from 0 to 2"},
    {"--kv q4", "--kv: \"q4\", expected one of auto|bf16|q8"},
    {"--kv auto|bf16", "--kv: \"auto|bf16\", expected one of auto|bf16|q8"},
    {"--json=yes", "--json takes no value"},
    {"-jx", "unknown option -jx; see `ferry test --help`"},
    {"-jp", "--port needs a value: --port PORT"},
    {"--por 80", "unknown option --por; see `ferry test --help`"},
    {"--ports 80", "unknown option --ports; see `ferry test --help`"},
    {"-x", "unknown option -x; see `ferry test --help`"},
    {"a b c", "unexpected argument \"c\"; usage: ferry test FOLDER [options]"},
};

static void what_makes_no_sense_is_refused_with_what_is_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct settings s;
        struct operands o;
        struct err e;
        assert_false(parse(refused[i].line, &s, &o, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        assert_string_equal(e.text, refused[i].says);
    }
}

static void list_has_an_end(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    char line[500] = "";
    (void)state;
    for (int i = 0; i <= OPTION_LIST_MAX; i++)
        strcat(line, " -fa");
    assert_false(parse(line, &s, &o, &e));
    assert_string_equal(e.text, "--file: given more than 64 times");
}

static void command_line_wins_over_environment_over_default(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    assert_true(parse("", &s, &o, &e));
    assert_int_equal(s.port, 8080);
    setenv("TEST_PORT", "", 1); /* empty is unset */
    assert_true(parse("", &s, &o, &e));
    assert_int_equal(s.port, 8080);
    setenv("TEST_PORT", "81", 1);
    assert_true(parse("", &s, &o, &e));
    assert_int_equal(s.port, 81);
    assert_true(parse("-p 82", &s, &o, &e));
    assert_int_equal(s.port, 82);
    setenv("TEST_PORT", "many", 1);
    assert_false(parse("", &s, &o, &e));
    assert_string_equal(e.text, "TEST_PORT: \"many\", expected a whole number from 0 to 65535");
    unsetenv("TEST_PORT");
}

static void every_spelling_is_understood(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    setenv("TEST_NAME", "secret", 1);
    assert_true(parse("model --port=1 --heat 0.5 -j --kv q8 -f a -fb --file=c - ", &s, &o, &e));
    unsetenv("TEST_NAME");
    assert_int_equal(s.port, 1);
    assert_true(s.heat == 0.5);
    assert_true(s.json);
    assert_int_equal(s.kv, 2);
    assert_int_equal(s.files.count, 3);
    assert_string_equal(s.files.items[1], "b");
    assert_string_equal(s.files.items[2], "c");
    assert_string_equal(s.name, "secret");
    assert_int_equal(o.count, 2);
    assert_string_equal(o.items[0], "model");
    assert_string_equal(o.items[1], "-");
}

static void letters_share_a_dash(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    assert_true(parse("-jp81", &s, &o, &e));
    assert_true(s.json);
    assert_int_equal(s.port, 81);
    assert_true(parse("-jp 82 model", &s, &o, &e));
    assert_int_equal(s.port, 82);
    assert_int_equal(o.count, 1);
}

static void operands_keep_their_order_between_options(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    assert_true(parse("--port 1 a -f x -j b", &s, &o, &e));
    assert_int_equal(o.count, 2);
    assert_string_equal(o.items[0], "a");
    assert_string_equal(o.items[1], "b");
    assert_string_equal(s.files.items[0], "x");
}

/* What belongs to another option, or stands behind the end of them, is none. */
static void option_of_a_group_is_found_before_anything_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *line, *name; /* of the second group's; NULL: none */
    } rows_of[] = {
        {"", NULL},           {"a --port 1", NULL},  {"--kv q8", "kv"},
        {"--kv=q8", "kv"},    {"--port --kv", NULL}, {"--port=1 --kv", "kv"},
        {"-- --kv q8", NULL}, {"-jf x", "file"},     {"-pf", NULL},
        {"-p -f x", NULL},    {"-j -fx", "file"},    {"--none --kv", "kv"},
        {"- -f", "file"},
    };
    for (size_t i = 0; i < sizeof rows_of / sizeof *rows_of; i++) {
        char line[100], *args[20], *save = NULL;
        int count = 0;
        snprintf(line, sizeof line, "%s", rows_of[i].line);
        for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
            args[count++] = word;
        const struct option *o = option_given(&command, args, count, &second);
        if (!o != !rows_of[i].name || (o && strcmp(o->name, rows_of[i].name) != 0))
            fail_msg("\"%s\": %s", rows_of[i].line, o ? o->name : "none");
    }
}

static void two_dashes_end_the_options(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    assert_true(parse("-- --port --help", &s, &o, &e));
    assert_false(o.help);
    assert_int_equal(o.count, 2);
    assert_string_equal(o.items[0], "--port");
}

static void help_is_seen_before_anything_is_wrong(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    assert_true(parse("--nonsense --help", &s, &o, &e));
    assert_true(o.help);
}

static void unset_field_stays_as_it_was(void **state)
{
    struct settings s;
    struct operands o;
    struct err e;
    (void)state;
    assert_true(parse("", &s, &o, &e));
    assert_true(s.heat == -1);
    assert_null(s.name);
}

static void choices_are_counted_from_zero(void **state)
{
    char text[8];
    (void)state;
    assert_int_equal(option_choice("a|bc|d", 1, text, sizeof text), 2);
    assert_string_equal(text, "bc");
    assert_int_equal(option_choice("a|bc|d", 2, text, sizeof text), 1);
    assert_string_equal(text, "d");
    assert_int_equal(option_choice("a|bc|d", 3, text, sizeof text), 0);
    assert_int_equal(option_choice("far too long", 0, text, sizeof text), 0);
}

static bool same_name(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static void options_of_a_command_have_names_of_their_own(void **state)
{
    (void)state;
    const struct command *c;
    const struct option *a, *b;
    for (size_t i = 0; (c = command_at(i)); i++)
        for (size_t n = 0; (a = option_at(c, n)); n++)
            for (size_t k = 0; k < n && (b = option_at(c, k)); k++)
                if (same_name(a->name, b->name) || (a->letter && a->letter == b->letter))
                    fail_msg("ferry %s: --%s is also --%s", c->name, a->name, b->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_a_command_have_names_of_their_own),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_what_is_expected),
        cmocka_unit_test(list_has_an_end),
        cmocka_unit_test(command_line_wins_over_environment_over_default),
        cmocka_unit_test(every_spelling_is_understood),
        cmocka_unit_test(letters_share_a_dash),
        cmocka_unit_test(operands_keep_their_order_between_options),
        cmocka_unit_test(option_of_a_group_is_found_before_anything_is_read),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(help_is_seen_before_anything_is_wrong),
        cmocka_unit_test(unset_field_stays_as_it_was),
        cmocka_unit_test(choices_are_counted_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
