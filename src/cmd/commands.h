/* commands.h: the subcommands there are, in the order of `ferry --help`. */
#ifndef FERRY_CMD_COMMANDS_H
#define FERRY_CMD_COMMANDS_H

#include "cmd/option.h"

#include <stdio.h>

extern const struct command command_serve, command_exec, command_ask, command_proxy, command_help;
extern const struct command command_plan, command_doctor, command_stage, command_pack, command_bucket,
    command_config;
extern const struct command command_deploy, command_status, command_logs, command_down, command_image;
extern const struct command command_up, command_bench;
extern const struct command command_cp, command_ls, command_cat, command_rm;

/* The n-th command, NULL behind the last. */
const struct command *command_at(size_t n);

/* NULL with *e (ERR_USAGE) set when there is none of that name; the message suggests a near one. */
const struct command *command_find(const char *name, struct err *e);

void help_overview(FILE *out);                         /* ferry --help */
void help_command(FILE *out, const struct command *c); /* ferry COMMAND --help */
enum shell { SHELL_BASH, SHELL_ZSH, SHELL_FISH };
void help_completion(FILE *out, enum shell shell); /* what it completes after `ferry`, as its own script */
void help_man(FILE *out);                          /* the man page, in troff's man macros */

#endif
