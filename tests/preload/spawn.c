/* fork, exec, and two files for what the program says. */
#include "spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 32, MAX_TEXT = 4096 };

static void become(const char *settings, const char *command, int out, int err) {
    char text[2][MAX_TEXT], *words[MAX_WORDS] = {0}, *rest;
    int count = 0;
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    snprintf(text[0], MAX_TEXT, "%s", settings);
    snprintf(text[1], MAX_TEXT, "%s", command);
    for (char *word = strtok_r(text[0], " ", &rest); word; word = strtok_r(NULL, " ", &rest)) putenv(word);
    for (char *word = strtok_r(text[1], " ", &rest); word && count < MAX_WORDS - 1; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    execv(words[0], words);
    _exit(127);
}

static void read_back(FILE *file, char *text, size_t size) {
    rewind(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

void run_program(struct run *run, const char *settings, const char *command) {
    FILE *out = tmpfile(), *err = tmpfile();
    run->status = -1;
    if (!out || !err) return;
    run->pid = fork();
    if (run->pid == 0) become(settings, command, fileno(out), fileno(err));
    if (waitpid((pid_t)run->pid, &run->status, 0) < 0) run->status = -1;
    read_back(out, run->out, sizeof run->out);
    read_back(err, run->err, sizeof run->err);
}

int occurrences(const char *text, const char *part) {
    int count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) count++;
    return count;
}
