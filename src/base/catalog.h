/* catalog.h: what Ferry says, in the language of who reads it.
 *
 * English stands in the source. Translations are gettext's (po/ja.po, made into an .mo file by msgfmt) and
 * lie in the program itself, because a container has neither locales nor a folder of catalogs; so libintl,
 * which asks for both, is not what reads them. err_set, err_wrap and report_text look their formats up
 * themselves.
 *
 * The language is chosen once, before other threads begin; then any thread. */
#ifndef FERRY_BASE_CATALOG_H
#define FERRY_BASE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

/* The text in the language chosen; itself where that has none. */
const char *tr(const char *text) __attribute__((format_arg(1)));
#define _(text) tr(text)
#ifndef N_            /* tests/catalog/extract has its own */
#define N_(text) text /* looked up later, with tr */
#endif

/* "ja" or "en", in any of the forms of LC_MESSAGES ("ja_JP.UTF-8"); others mean English. False: not a
 * language that there is a catalog for. */
bool catalog_use(const char *language);
const char *catalog_language(void); /* "en" unless told */

/* What LC_ALL, LC_MESSAGES and LANG ask for, the first that is set, and before them LANGUAGE unless they say
 * "C", as gettext has it; "en" when nothing. */
const char *catalog_asked(void);

/* For tests: the n-th text of the catalog of that language and its translation; false behind the last. */
bool catalog_entry(const char *language, size_t n, const char **text, const char **translation);

#endif
