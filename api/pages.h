/* api/pages.h -- texts that are built in; the table is made by cmake/Embed.cmake. */
#ifndef WM_API_PAGES_H
#define WM_API_PAGES_H

#include <stddef.h>

struct wm_page {
    const char *name; /* "E0214": the file's name without its suffix */
    const char *text;
};

extern const struct wm_page wm_pages[];
extern const size_t wm_npage;

#endif
