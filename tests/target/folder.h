/* folder.h: a folder of its own for a test, and other programs run for it. */
#ifndef FERRY_TESTS_TARGET_FOLDER_H
#define FERRY_TESTS_TARGET_FOLDER_H

#include <stddef.h>

enum { FOLDER_PATH = 300 };

/* A new folder below TMPDIR or /tmp. */
void folder_make(char path[FOLDER_PATH]);
void folder_remove(const char *path);

/* folder/name in a buffer of the call's own, of which there are eight. */
const char *folder_path(const char *folder, const char *name);

void folder_write(const char *path, const void *bytes, size_t size);
/* All of a file, to be freed; fails the test when it is not there. */
void *folder_read(const char *path, size_t *size);

/* Runs a shell command; its exit code, 128 + signal. What it prints comes into out (room bytes; may be NULL).
 */
int folder_shell(char *out, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
