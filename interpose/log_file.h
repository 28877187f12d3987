/*
 * Where lines go: standard error, or the file that FASTGEMM_LOG_FILE names.
 */
#ifndef FASTGEMM_LOG_FILE_H
#define FASTGEMM_LOG_FILE_H

#include <stddef.h>

#include "../policy/toggles.h"

/*
 * Appends `text`, whole lines, in one piece, so that threads and processes do not tear each other's. The file is
 * opened each time: a program may close descriptors that it does not know, and be given our number for a file of its
 * own.
 */
void log_write(const struct toggles *toggles, const char *text, size_t length);

#endif
