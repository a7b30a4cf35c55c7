/* Manual: what a program's argp says of it, for others than the reader of --help: as a page of the
 * manual, and as words for the completion of a shell. Made from the very tables that parse the
 * command line, so neither can say what is not so.
 *
 * A program takes it in as a child of its argp. It has one hidden option:
 *   --describe=options   a line for each option: its long and short form and its argument, each "-"
 *                        where there is none; last a line "ARGUMENTS" and what the program takes
 *   --describe=page      a page of the manual without its title line: DESCRIPTION, OPTIONS, …
 *   --describe=part      the same as a piece of a page: of a command of a program that has many
 */
#ifndef IXN_MANUAL_MANUAL_H
#define IXN_MANUAL_MANUAL_H

#include <argp.h>
#include <stdio.h>

/* Needs no input. Prints and ends the program. */
extern const struct argp manual_argp;

/* Prints text as roff: a line that begins with a space stands as it is, an empty one ends a
 * paragraph, one that ends with ':' and is followed by lines that stand is their heading. */
void manual_print_text(FILE *out, const char *text);

#endif
