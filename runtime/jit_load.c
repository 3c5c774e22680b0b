/* runtime/jit_load.c -- find and load the JIT's plug-in.
 *
 * Looked for: WMAP_JIT_PLUGIN in the environment and nowhere else where that is set; beside the
 * program; ../lib/wmap from there; where it was installed.  It stays mapped until the process ends:
 * LLVM does not like to be unloaded. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/jit.h"

enum { PLACES = 4 };

/* Candidates, most wanted first. */
static int
places(const struct wm_sys *sys, char path[PLACES][PATH_MAX])
{
    const char *env = secure_getenv("WMAP_JIT_PLUGIN");
    char exe[PATH_MAX], *slash;
    int n = 0;

    if (env && env[0]) {
        if (strlen(env) < PATH_MAX)
            strcpy(path[n++], env);
        return n;
    }
    if (sys->realpath("/proc/self/exe", exe) && (slash = strrchr(exe, '/'))) {
        *slash = '\0';
        if (snprintf(path[n], PATH_MAX, "%s/wmap-jit.so", exe) < PATH_MAX)
            n++;
        if (snprintf(path[n], PATH_MAX, "%s/../lib/wmap/wmap-jit.so", exe) < PATH_MAX)
            n++;
    }
    strcpy(path[n++], WMAP_JIT_INSTALLED);
    return n;
}

/* The first candidate that exists; -1: none does. */
static int
find(const struct wm_sys *sys, char path[PLACES][PATH_MAX], int *n)
{
    struct stat st;

    *n = places(sys, path);
    for (int i = 0; i < *n; i++)
        if (sys->stat(path[i], &st) == 0)
            return i;
    return -1;
}

bool
wm_jit_is_here(const struct wm_sys *sys)
{
    char(*path)[PATH_MAX] = sys->malloc(PLACES * PATH_MAX);
    int n, found = path ? find(sys, path, &n) : -1;

    sys->free(path);
    return found >= 0;
}

/* One shared object, opened and asked. */
static enum wm_status
load(const char *path, struct wm_jit_library *lib, struct wm_err *err)
{
    wm_jit_symbol *ask;
    void *symbol;
    char why[256];

    lib->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!lib->handle)
        return wm_fail(err, WM_EUSAGE, NULL, "the JIT's plug-in can not be loaded: %s", dlerror());
    symbol = dlsym(lib->handle, WM_JIT_SYMBOL);
    memcpy(&ask, &symbol, sizeof(ask));
    lib->plugin = symbol ? ask() : NULL;
    if (!lib->plugin || lib->plugin->abi != WM_JIT_ABI ||
        lib->plugin->size < sizeof(struct wm_jit_plugin))
        return wm_fail(err, WM_EUSAGE, NULL,
                       "the JIT's plug-in '%s' is of another version of wmap", path);
    lib->engine = lib->plugin->open(why, sizeof(why));
    if (!lib->engine)
        return wm_fail(err, WM_EUSAGE, NULL, "there is no JIT here: %s", why);
    return WM_OK;
}

enum wm_status
wm_jit_load(const struct wm_sys *sys, struct wm_jit_library *lib, struct wm_err *err)
{
    char(*path)[PATH_MAX] = sys->malloc(PLACES * PATH_MAX);
    enum wm_status result = WM_OK;
    int n, found;

    memset(lib, 0, sizeof(*lib));
    if (!path)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    found = find(sys, path, &n);
    if (found < 0)
        result = wm_fail(err, WM_EUSAGE, NULL,
                         "the JIT's plug-in wmap-jit.so is not here (looked for '%s'); wmap "
                         "was built without LLVM, or it is not installed",
                         n ? path[0] : "");
    else
        result = load(path[found], lib, err);
    if (result != WM_OK)
        wm_jit_unload(lib);
    sys->free(path);
    return result;
}

void
wm_jit_unload(struct wm_jit_library *lib)
{
    if (lib->engine)
        lib->plugin->close(lib->engine);
    if (lib->handle)
        dlclose(lib->handle);
    memset(lib, 0, sizeof(*lib));
}
