/* cli/completions.c -- completions for bash, zsh and fish, from the tables. */
#include <string.h>

#include "cli/cli.h"

static bool
has(int command, int option)
{
    return options[option].commands >> command & 1;
}

/* Does its first argument name a map? */
static bool
takes_map(const struct command *cmd)
{
    return strncmp(cmd->args, "MAP", 3) == 0;
}

static void
bash(void)
{
    puts("# bash completion for wmap\n"
         "_wmap() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]} opts= maps=\n"
         "    COMPREPLY=()\n"
         "    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("        COMPREPLY=($(compgen -W \"", stdout);
    for (int k = 0; k < NCOMMAND; k++)
        printf("%s ", commands[k].name);
    puts("--help --version\" -- \"$cur\"))\n        return\n    fi\n    case $cmd in");
    for (int k = 0; k < NCOMMAND; k++) {
        printf("    %s) opts=\"", commands[k].name);
        for (int o = 0, some = 0; o < NOPTION; o++)
            if (has(k, o))
                printf("%s--%s", some++ ? " " : "", options[o].name);
        printf("\"%s ;;\n", takes_map(&commands[k]) ? "; maps=yes" : "");
    }
    puts("    esac\n"
         "    case $cur in\n"
         "    -*) COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\")) ;;\n"
         "    *)\n"
         "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "        if [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$maps\" ]; then\n"
         "            COMPREPLY+=($(compgen -W \"$(wmap maps 2>/dev/null | cut -d' ' -f1)\" -- "
         "\"$cur\"))\n"
         "        fi ;;\n"
         "    esac\n"
         "}\n"
         "complete -o filenames -F _wmap wmap");
}

/* A text inside '...' of zsh's _arguments, or of fish. */
static void
quoted(const char *s, const char *special)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", stdout);
        else if (strchr(special, *s))
            printf("\\%c", *s);
        else
            putchar(*s);
    }
}

static void
zsh(void)
{
    puts("#compdef wmap\n_wmap() {\n    local -a cmds\n    cmds=(");
    for (int k = 0; k < NCOMMAND; k++) {
        printf("        '%s:", commands[k].name);
        quoted(commands[k].what, ":");
        puts("'");
    }
    puts("    )\n    if (( CURRENT == 2 )); then\n        _describe command cmds\n        return\n "
         "   fi\n"
         "    local cmd=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $cmd in");
    for (int k = 0; k < NCOMMAND; k++) {
        printf("    %s) _arguments", commands[k].name);
        for (int o = 0; o < NOPTION; o++)
            if (has(k, o)) {
                printf(" \\\n        '%s--%s[", options[o].arg ? "*" : "", options[o].name);
                quoted(options[o].help, "[]:");
                printf("]%s%s%s'", options[o].arg ? ":" : "", options[o].arg ? options[o].arg : "",
                       options[o].arg ? ":_files" : "");
            }
        puts(takes_map(&commands[k]) ? " \\\n        '1:map:{_values map ${(f)\"$(wmap maps | cut "
                                       "-d\" \" -f1)\"}; _files}'"
                                       " \\\n        '*:file:_files' ;;"
                                     : " \\\n        '*:file:_files' ;;");
    }
    puts("    esac\n}\n_wmap \"$@\"");
}

static void
fish(void)
{
    for (int k = 0; k < NCOMMAND; k++) {
        printf("complete -c wmap -n __fish_use_subcommand -f -a %s -d '", commands[k].name);
        quoted(commands[k].what, "\\");
        puts("'");
        if (takes_map(&commands[k]))
            printf("complete -c wmap -n '__fish_seen_subcommand_from %s' -a '(wmap maps | string "
                   "split -f1 \" \")'\n",
                   commands[k].name);
        for (int o = 0; o < NOPTION; o++) {
            if (!has(k, o))
                continue;
            printf("complete -c wmap -n '__fish_seen_subcommand_from %s' -l %s", commands[k].name,
                   options[o].name);
            if (options[o].letter)
                printf(" -s %c", options[o].letter);
            fputs(options[o].arg ? " -r -d '" : " -d '", stdout);
            quoted(options[o].help, "\\");
            puts("'");
        }
    }
}

int
print_completions(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else if (strcmp(shell, "fish") == 0)
        fish();
    else
        return 2;
    return 0;
}
