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

char *command_again(struct arena *a, const char *name, char *const *args, int count)
{
    size_t room = strlen("ferry ") + strlen(name) + 1;
    for (int i = 0; i < count; i++)
        room += 4 * strlen(args[i]) + 3;
    char *text = arena_alloc(a, room, 1);
    if (!text)
        return NULL;
    char *end = stpcpy(stpcpy(text, "ferry "), name);
    for (int i = 0; i < count; i++) {
        *end++ = ' ';
        end = plain(args[i]) ? stpcpy(end, args[i]) : quote(end, args[i]);
    }
    return text;
}
