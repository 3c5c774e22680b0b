# Tests that are scripts.  Append yours.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# Golden tests of the parser, the printer and the diagnostics; run.py --bless writes them anew.
add_executable(golden ${CMAKE_CURRENT_SOURCE_DIR}/golden/golden.c)
target_link_libraries(golden PRIVATE wmap_compiler)
wmap_warnings(golden)
add_test(NAME golden/text COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/golden/run.py $<TARGET_FILE:golden>)
set_tests_properties(golden/text PROPERTIES LABELS golden)

# The shipped maps against the peers' own code; WMAP_PYTHON is the Python of tests/peers/setup.sh.
add_test(NAME peers COMMAND sh -c
  "exec \"\${WMAP_PYTHON:-python3}\" -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_SOURCE_DIR}/peers")
set_tests_properties(peers PROPERTIES LABELS peers TIMEOUT 900
  ENVIRONMENT "WMAP_BIN=$<TARGET_FILE:wmap_cli>;PYTHONDONTWRITEBYTECODE=1")

# The documentation: every example of docs/ and README.md is run.
foreach(name diagnostics)
  add_test(NAME docs/${name} COMMAND sh -c
    "exec \"\${WMAP_PYTHON:-python3}\" -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_SOURCE_DIR}/docs/test_${name}.py")
  set_tests_properties(docs/${name} PROPERTIES LABELS docs
    ENVIRONMENT "WMAP_BIN=$<TARGET_FILE:wmap_cli>;PYTHONDONTWRITEBYTECODE=1")
endforeach()
