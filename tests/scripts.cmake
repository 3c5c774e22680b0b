# Tests that are scripts.  Append yours.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# Golden tests of the parser, the printer and the diagnostics; run.py --bless writes them anew.
add_executable(golden ${CMAKE_CURRENT_SOURCE_DIR}/golden/golden.c)
target_link_libraries(golden PRIVATE wmap_compiler)
wmap_warnings(golden)
add_test(NAME golden/text COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/golden/run.py $<TARGET_FILE:golden>)
set_tests_properties(golden/text PROPERTIES LABELS golden)

# Folders of pytest: label and name are the folder's.  They drive the built command; WMAP_PYTHON is a Python with what
# they need (tests/peers/setup.sh makes one).
function(wmap_pytest folder timeout)
  add_test(NAME ${folder} COMMAND sh -c
    "exec \"\${WMAP_PYTHON:-python3}\" -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
  set_tests_properties(${folder} PROPERTIES LABELS ${folder} TIMEOUT ${timeout}
    ENVIRONMENT "WMAP_BIN=$<TARGET_FILE:wmap_cli>;PYTHONDONTWRITEBYTECODE=1")
endfunction()

wmap_pytest(peers 900)     # the shipped maps against the peers' own code
wmap_pytest(property 1200) # random maps against an independent evaluator
wmap_pytest(attacks 600)   # hostile files
wmap_pytest(cli 600)       # the commands
wmap_pytest(docs 600)      # every example of the documentation
wmap_pytest(examples 300)  # examples/ against formulas
wmap_pytest(bench 600)    # bench/run.py, small
wmap_pytest(meta 300)      # rules of the repository
wmap_pytest(editors 300)  # the grammars of editors
