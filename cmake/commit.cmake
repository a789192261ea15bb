# cmake -D SOURCE=… -D OUT=… -P commit.cmake: writes a header with the commit that SOURCE is at, "" and 0 where there is
# no git or no repository. The header is touched only when it changes, so nothing is built anew without need.
cmake_minimum_required(VERSION 3.25)

function(ask_git result)
  execute_process(COMMAND git -C ${SOURCE} ${ARGN} OUTPUT_VARIABLE said ERROR_QUIET RESULT_VARIABLE code
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT code EQUAL 0)
    set(said "")
  endif()
  set(${result} "${said}" PARENT_SCOPE)
endfunction()

# A build folder inside some other repository is not at that repository's commit.
ask_git(top rev-parse --show-cdup)
ask_git(revision rev-parse HEAD)
ask_git(date log -1 --format=%ct)
ask_git(changes status --porcelain --untracked-files=no)
if(NOT top STREQUAL "" OR NOT date MATCHES "^[0-9]+$")
  set(revision "")
  set(date 0)
  set(changes "")
endif()
if(NOT changes STREQUAL "")
  string(APPEND revision "-dirty")
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define FERRY_REVISION \"@revision@\"\n#define FERRY_REVISION_DATE \"@date@\"\n" @ONLY)
