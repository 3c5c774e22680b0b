/* cli/help.c -- --help, of the program and of each command, from the tables. */
#include <string.h>

#include "cli/cli.h"

enum { COLUMN = 30, WIDTH = 100 };

void
print_help(void)
{
    puts("usage: wmap COMMAND [ARGUMENT...] [OPTION...]\n\n"
         "Converts checkpoints of tensors between layouts, by maps that say which elements are "
         "which.\n\n"
         "commands:");
    for (int k = 0; k < NCOMMAND; k++)
        printf("  %-9s %s\n", commands[k].name, commands[k].what);
    puts("\n  --help, --version, --man, --completions bash|zsh|fish\n\n"
         "MAP is a file or a pipe (ends in .wmap, or begins with ./ or /), a name in the library "
         "(litgpt/llama; `wmap maps`),\n"
         "or an expression: '~litgpt/llama >> olmo_core/llama', 'm(tp = 8)'.\n"
         "Exit status: 0 yes or done; 1 no (wrong map, differences, a checkpoint that does not "
         "fit); 2 it could not\n"
         "be tried (usage, malformed files, input and output, memory).\n\n"
         "example:\n"
         "  wmap gen --family llama -o tiny\n"
         "  wmap run litgpt/llama -i tiny -o lit\n"
         "  wmap verify litgpt/llama -i tiny -o lit\n\n"
         "`wmap COMMAND --help` tells more.");
}

/* Text from column COLUMN on, in lines that end before WIDTH. */
static void
print_wrapped(const char *text)
{
    size_t at = COLUMN;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (at > COLUMN && at + 1 + n > WIDTH) {
            printf("\n%*s", COLUMN, "");
            at = COLUMN;
        }
        at += (size_t)printf("%s%.*s", at > COLUMN ? " " : "", (int)n, text);
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void
print_option(const struct option_info *o)
{
    char left[64];
    int n = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s", o->letter ? '-' : ' ',
                     o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                     o->arg ? " " : "", o->arg ? o->arg : "");

    if (n < COLUMN)
        printf("%-*s", COLUMN, left);
    else
        printf("%s\n%*s", left, COLUMN, "");
    print_wrapped(o->help);
}

void
print_command_help(const struct command *cmd)
{
    printf("usage: wmap %s%s%s [OPTION...]\n\n%s\n\noptions:\n", cmd->name, cmd->args[0] ? " " : "",
           cmd->args, cmd->more);
    for (int k = 0; k < NOPTION; k++)
        if (options[k].commands >> (cmd - commands) & 1)
            print_option(&options[k]);
    puts(strchr(cmd->examples, '\n') ? "\nexamples:" : "\nexample:");
    for (const char *p = cmd->examples; *p;) {
        size_t n = strcspn(p, "\n");

        printf("  %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}
