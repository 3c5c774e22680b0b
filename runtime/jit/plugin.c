/* runtime/jit/plugin.c -- the plug-in: nests to machine code by LLVM's ORC JIT.
 *
 * The only program text that knows LLVM is in this folder, and it is a shared object of its own.
 * Code is written to pages that are writable and then made executable: no page is both. Each kernel
 * is a module in a context of its own, verified, optimised for this processor, linked by LLJIT. */
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/jit/emit.h"

struct engine {
    LLVMOrcLLJITRef jit;
    LLVMTargetMachineRef machine;
    unsigned n; /* kernels so far: their names */
};

static const char *
version(void)
{
    return "LLVM " WMAP_LLVM_VERSION;
}

/* Some hosts allow no page to become executable; LLVM would find out in the middle. */
static bool
may_execute(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool may;

    if (p == MAP_FAILED)
        return false;
    may = mprotect(p, page, PROT_READ | PROT_EXEC) == 0;
    munmap(p, page);
    return may;
}

/* The text of an error, which is let go of; true where there was one. */
static bool
failed(LLVMErrorRef err, char *why, size_t n)
{
    char *text;

    if (!err)
        return false;
    text = LLVMGetErrorMessage(err);
    snprintf(why, n, "%s", text);
    LLVMDisposeErrorMessage(text);
    return true;
}

static LLVMTargetMachineRef
machine(char *why, size_t n)
{
    char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(),
         *features = LLVMGetHostCPUFeatures(), *text = NULL;
    LLVMTargetRef target;
    LLVMTargetMachineRef m = NULL;

    if (LLVMGetTargetFromTriple(triple, &target, &text) != 0)
        snprintf(why, n, "%s", text ? text : "no such target");
    else
        m = LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault,
                                    LLVMRelocDefault, LLVMCodeModelJITDefault);
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    if (text)
        LLVMDisposeMessage(text);
    return m;
}

static void
close_engine(void *user)
{
    struct engine *g = user;

    if (g->jit)
        LLVMConsumeError(LLVMOrcDisposeLLJIT(g->jit));
    if (g->machine)
        LLVMDisposeTargetMachine(g->machine);
    free(g);
}

/* memcpy and its like, where the code generator calls them. */
static bool
find_functions(struct engine *g, char *why, size_t n)
{
    LLVMOrcDefinitionGeneratorRef gen;

    if (failed(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                   &gen, LLVMOrcLLJITGetGlobalPrefix(g->jit), NULL, NULL),
               why, n))
        return false;
    LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(g->jit), gen);
    return true;
}

static void *
open_engine(char *why, size_t n)
{
    struct engine *g;
    LLVMTargetMachineRef m;
    LLVMOrcLLJITBuilderRef b;

    snprintf(why, n, "out of memory");
    if (!may_execute()) {
        snprintf(why, n, "this host does not allow memory to become executable");
        return NULL;
    }
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    g = calloc(1, sizeof(*g));
    if (!g || !(g->machine = machine(why, n)) || !(m = machine(why, n))) {
        if (g)
            close_engine(g);
        return NULL;
    }
    b = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
        b, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(m)); /* takes m */
    if (failed(LLVMOrcCreateLLJIT(&g->jit, b), why, n) || !find_functions(g, why, n)) {
        close_engine(g);
        return NULL;
    }
    return g;
}

/* The module of a nest, optimised; NULL where it is none. */
static LLVMModuleRef
make(struct engine *g, LLVMContextRef ctx, const struct wm_jit_nest *nest, const char *name)
{
    LLVMModuleRef m = wm_emit_nest(ctx, nest, name);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(g->machine);
    char *triple = LLVMGetTargetMachineTriple(g->machine), why[256];
    LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
    bool bad;

    LLVMSetModuleDataLayout(m, layout);
    LLVMSetTarget(m, triple);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    LLVMPassBuilderOptionsSetLoopVectorization(o, 1);
    LLVMPassBuilderOptionsSetSLPVectorization(o, 1);
    LLVMPassBuilderOptionsSetLoopUnrolling(o, 1);
    LLVMPassBuilderOptionsSetLoopInterleaving(o, 1);
    bad = LLVMVerifyModule(m, LLVMReturnStatusAction, NULL) != 0 ||
          failed(LLVMRunPasses(m, "default<O2>", g->machine, o), why, sizeof(why));
    LLVMDisposePassBuilderOptions(o);
    if (!bad)
        return m;
    LLVMDisposeModule(m);
    return NULL;
}

static wm_jit_fn *
compile(void *user, const struct wm_jit_nest *nest)
{
    struct engine *g = user;
    LLVMOrcThreadSafeContextRef ctx = LLVMOrcCreateNewThreadSafeContext();
    LLVMOrcThreadSafeModuleRef safe;
    LLVMOrcExecutorAddress at = 0;
    LLVMModuleRef m;
    wm_jit_fn *fn;
    char name[32], why[256];

    snprintf(name, sizeof(name), "wmap_kernel_%u", g->n++);
    m = make(g, LLVMOrcThreadSafeContextGetContext(ctx), nest, name);
    safe = m ? LLVMOrcCreateNewThreadSafeModule(m, ctx) : NULL;
    LLVMOrcDisposeThreadSafeContext(ctx);
    if (!safe ||
        failed(LLVMOrcLLJITAddLLVMIRModule(g->jit, LLVMOrcLLJITGetMainJITDylib(g->jit), safe), why,
               sizeof(why)) ||
        failed(LLVMOrcLLJITLookup(g->jit, &at, name), why, sizeof(why)))
        return NULL;
    memcpy(&fn, &at, sizeof(fn));
    return fn;
}

static char *
text(void *user, const struct wm_jit_nest *nest, const char *name)
{
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMModuleRef m = make(user, ctx, nest, name);
    char *s = m ? LLVMPrintModuleToString(m) : NULL;

    if (m)
        LLVMDisposeModule(m);
    LLVMContextDispose(ctx);
    return s;
}

__attribute__((visibility("default"))) wm_jit_symbol wmap_jit_plugin;

const struct wm_jit_plugin *
wmap_jit_plugin(void)
{
    static const struct wm_jit_plugin plugin = {
        WM_JIT_ABI, sizeof(plugin), version,           open_engine, close_engine,
        compile,    text,           LLVMDisposeMessage};

    return &plugin;
}
