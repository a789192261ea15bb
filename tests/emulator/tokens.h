/* tokens.h: which access tokens are good. A token says itself when it ends, so one given out before a restart
 * is still good after it; EMULATOR_TOKEN is good for ever. Any thread. */
#ifndef FERRY_EMULATOR_TOKENS_H
#define FERRY_EMULATOR_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

struct tokens;

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);

enum { TOKEN_ROOM = 80 };
void token_issue(struct tokens *t, int64_t now_us, int seconds, char out[TOKEN_ROOM]);
bool token_good(struct tokens *t, const char *token, int64_t now_us);
void token_kill(struct tokens *t, const char *token); /* refused from now on */

/* A short keyed hash of a text, 16 hex digits: what makes tokens and signed URLs hard to make up by accident.
 */
void keyed_hash(const char *text, char out[17]);

#endif
