/* doctor_print.h: what the doctor has found, for people and for programs. */
#ifndef FERRY_CMD_DOCTOR_PRINT_H
#define FERRY_CMD_DOCTOR_PRINT_H

#include "doctor/finding.h"

#include <jansson.h>
#include <stdio.h>

/* Each check in its order: one line where all is fine, else what is so, why it matters, what could be the
 * reason, and one next step. record: names what it was about. */
void doctor_print(const struct findings *f, const json_t *record, FILE *out, int style_fd);

/* One object; a new reference, NULL: no memory. */
json_t *doctor_json(const struct findings *f, const json_t *record);

/* "fine", "note", "warning", "problem"; "certain", "likely", "unknown". */
const char *severity_name(enum severity s);
const char *certainty_name(enum certainty c);

#endif
