# Make a C table of text files: cmake -DDIR=docs/diagnostics -DOUT=pages.c -P Embed.cmake
# Only files named as diagnostics are (E0214.md, W0214.md).
file(GLOB pages ${DIR}/[EW][0-9][0-9][0-9][0-9].md)
list(SORT pages)
set(text "/* Made from ${DIR} by cmake/Embed.cmake. */\n#include \"api/pages.h\"\n\n")
string(APPEND text "const struct wm_page wm_pages[] = {\n")
set(count 0)
foreach(page IN LISTS pages)
  get_filename_component(name ${page} NAME_WE)
  file(READ ${page} body)
  string(REPLACE "\\" "\\\\" body "${body}")
  string(REPLACE "\"" "\\\"" body "${body}")
  string(REPLACE "?" "\\?" body "${body}") # no trigraphs
  string(REPLACE "\n" "\\n\"\n     \"" body "${body}")
  string(APPEND text "    {\"${name}\",\n     \"${body}\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
string(APPEND text "    {\"\", \"\"},\n};\n\nconst size_t wm_npage = ${count};\n")
file(WRITE ${OUT} "${text}")
