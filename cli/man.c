/* cli/man.c -- the manual page, in roff, from the tables. */
#include <string.h>

#include "cli/cli.h"

/* Text with roff's special characters made harmless. */
static void
text(const char *s)
{
    bool begin = true;

    for (; *s; s++) {
        if (begin && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        if (*s == '-')
            fputs("\\-", stdout);
        else if (*s == '\\')
            fputs("\\e", stdout);
        else
            putchar(*s);
        begin = *s == '\n';
    }
}

static void
option_entry(const struct option_info *o)
{
    fputs(".TP\n.B ", stdout);
    if (o->letter)
        printf("\\-%c\\fR, \\fB", o->letter);
    fputs("\\-\\-", stdout);
    text(o->name);
    if (o->arg)
        printf(" \\fI%s\\fR", o->arg);
    putchar('\n');
    text(o->help);
    putchar('\n');
}

static void
command_entry(const struct command *cmd)
{
    printf(".SS wmap %s ", cmd->name);
    text(cmd->args);
    putchar('\n');
    text(cmd->more);
    fputs("\n.PP\nOptions: ", stdout);
    for (int k = 0, some = 0; k < NOPTION; k++)
        if (options[k].commands >> (cmd - commands) & 1) {
            printf("%s\\-\\-", some++ ? ", " : "");
            text(options[k].name);
        }
    fputs(".\n.PP\n.nf\n.RS\n", stdout);
    text(cmd->examples);
    fputs("\n.RE\n.fi\n", stdout);
}

void
print_man(void)
{
    printf(".TH WMAP 1 \"\" \"wmap %s\" \"User Commands\"\n.SH NAME\nwmap \\- convert checkpoints "
           "of tensors between "
           "layouts\n.SH SYNOPSIS\n.B wmap\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR...] "
           "[\\fIOPTION\\fR...]\n"
           ".SH DESCRIPTION\n",
           wmap_version());
    puts("A map states which elements of which tensors are which elements of which other tensors. "
         "From it\n"
         ".B wmap\nderives both directions, proves that nothing is lost or written twice, and "
         "copies the bytes in\n"
         "bounded memory.\n.PP\n"
         "\\fIMAP\\fR is a file or a pipe (ends in .wmap, or begins with ./ or /), a name in the library "
         "(litgpt/llama), or an\n"
         "expression over those: ~a >> b(tp = 8).\n.SH COMMANDS");
    for (int k = 0; k < NCOMMAND; k++)
        command_entry(&commands[k]);
    puts(".SH OPTIONS");
    for (int k = 0; k < NOPTION; k++)
        option_entry(&options[k]);
    puts(".SH EXIT STATUS\n.TP\n.B 0\nYes, or done.\n.TP\n.B 1\nNo: the map is wrong or not "
         "invertible, the "
         "checkpoints differ, a sound checkpoint does not fit the map.\n.TP\n.B 2\nIt could not be "
         "tried: usage, a "
         "malformed file, input and output, memory.\n.PP\nA run that is ended by a signal leaves "
         "nothing behind and "
         "dies by that signal.\n.SH ENVIRONMENT\n.TP\n.B WMAP_PATH\nDirectories of maps, separated "
         "by colons, before "
         "the installed library.\n.TP\n.B NO_COLOR\nNo colours in diagnostics.");
}
