#include "cmd/again.h"

#include <stdbool.h>
#include <string.h>

static bool plain(const char *word)
{
    size_t safe = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-");
    return *word && word[safe] == 0;
}

/* In single quotes; a single quote itself is '\''. Returns the end of what was written. */
static char *quote(char *to, const char *word)
{
    *to++ = '\'';
    for (; *word; word++) {
        if (*word == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *word;
    }
    return stpcpy(to, "'");
}

char *command_line(struct arena *a, char *const *words, int count)
{
    size_t room = 1;
    for (int i = 0; i < count; i++)
        room += 4 * strlen(words[i]) + 3;
    char *text = arena_alloc(a, room, 1), *end = text;
    for (int i = 0; text && i < count; i++) {
        if (i > 0)
            *end++ = ' ';
        end = plain(words[i]) ? stpcpy(end, words[i]) : quote(end, words[i]);
    }
    return text;
}

char *command_again(struct arena *a, const char *name, char *const *args, int count)
{
    char *rest = command_line(a, args, count);
    return rest ? arena_printf(a, "ferry %s%s%s", name, count ? " " : "", rest) : NULL;
}
