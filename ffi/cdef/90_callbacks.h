/* Python functions that the shim calls; each stores its exception and returns a code. */

extern "Python" int headrace_progress(float progress, void *user);
extern "Python" int headrace_check(void *user);
