# What every target is built with, and how a layer, a test and a fuzz target are declared.

add_library(ferry_flags INTERFACE)
target_compile_options(ferry_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wundef -Wformat=2 -Wwrite-strings -Wpointer-arith -Wcast-qual -Wimplicit-fallthrough
  -fno-common -fno-strict-aliasing -fvisibility=hidden -fstack-protector-strong)
target_compile_definitions(ferry_flags INTERFACE _GNU_SOURCE)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(ferry_flags INTERFACE -ffunction-sections -fdata-sections)
  target_link_options(ferry_flags INTERFACE -Wl,--gc-sections -Wl,-z,relro -Wl,--as-needed)
endif()
if(FERRY_SANITIZE)
  target_compile_options(ferry_flags INTERFACE -fsanitize=${FERRY_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(ferry_flags INTERFACE -fsanitize=${FERRY_SANITIZE})
endif()
if(FERRY_FUZZ)
  target_compile_options(ferry_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# ferry_layer(name SOURCES ... DEPS lower layers ... LIBS others ...)
#
# Makes the library ferry_<name>. Its public headers are those directly in src/<name>/; other layers
# reach them as "<name>/x.h" only by naming <name> in DEPS, because each layer has an include folder of
# its own that holds nothing else. Headers in subfolders are private: the layer itself (and tests, which
# say so with ferry_private) include them as "<name>/sub/x.h".
function(ferry_layer name)
  cmake_parse_arguments(L "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  set(public ${PROJECT_BINARY_DIR}/include/${name}/public)
  set(private ${PROJECT_BINARY_DIR}/include/${name}/private)
  file(MAKE_DIRECTORY ${public}/${name} ${private})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/src/${name} ${private}/${name} SYMBOLIC)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.h)
  foreach(h IN LISTS headers)
    get_filename_component(leaf ${h} NAME)
    file(CREATE_LINK ${h} ${public}/${name}/${leaf} SYMBOLIC)
  endforeach()
  add_library(ferry_${name} STATIC ${L_SOURCES})
  target_include_directories(ferry_${name} PRIVATE ${private} INTERFACE ${public})
  list(TRANSFORM L_DEPS PREPEND ferry_)
  target_link_libraries(ferry_${name} PUBLIC ferry_flags ${L_DEPS} ${L_LIBS})
endfunction()

# ferry_private(target layer...): lets a test see a layer's private headers too.
function(ferry_private target)
  foreach(layer IN LISTS ARGN)
    target_include_directories(${target} BEFORE PRIVATE ${PROJECT_BINARY_DIR}/include/${layer}/private)
  endforeach()
endfunction()

# ferry_test(name LAYERS ... [PRIVATE layers whose private headers it includes] [SOURCES ...] [LABELS ...])
# A cmocka program tests/<folder>/<name>.c, run in the source folder tests/ with the build folder as $1.
function(ferry_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LAYERS;PRIVATE;LABELS" ${ARGN})
  add_executable(${name} ${name}.c ${T_SOURCES})
  list(TRANSFORM T_LAYERS PREPEND ferry_)
  target_link_libraries(${name} PRIVATE ferry_flags ${T_LAYERS} cmocka)
  ferry_private(${name} ${T_PRIVATE})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/tests)
  set_tests_properties(${name} PROPERTIES LABELS "unit;${T_LABELS}" TIMEOUT 300)
endfunction()

# ferry_fuzz(name LAYERS ... [PRIVATE ...]): fuzz_<name>.c with LLVMFuzzerTestOneInput. Under the fuzz preset
# a libFuzzer program; in every other build a runner that feeds it the corpus tests/fuzz/corpus/<name>/,
# so that each past crash is a test of every preset.
function(ferry_fuzz name)
  cmake_parse_arguments(F "" "" "LAYERS;PRIVATE" ${ARGN})
  list(TRANSFORM F_LAYERS PREPEND ferry_)
  set(target fuzz_${name})
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(FERRY_FUZZ)
    add_executable(${target} ${target}.c)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    set(found ${PROJECT_BINARY_DIR}/found/${name})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME ${target} COMMAND ${target} -max_total_time=5 -timeout=10 -rss_limit_mb=2048
      -artifact_prefix=${found}/ ${found} ${corpus})
  else()
    add_executable(${target} ${target}.c ${PROJECT_SOURCE_DIR}/tests/fuzz/run_corpus.c)
    add_test(NAME ${target} COMMAND ${target} ${corpus})
  endif()
  target_link_libraries(${target} PRIVATE ferry_flags ${F_LAYERS})
  ferry_private(${target} ${F_PRIVATE})
  set_tests_properties(${target} PROPERTIES LABELS "fuzz" TIMEOUT 120)
endfunction()
