# ferry_embed(file name output): writes output, a C file that defines `const char name[]` and `const size_t
# name_bytes`: the bytes of the file, and a NUL behind them. Written again when the file changes.
#
# Run as a script (cmake -P) it is what writes. Bytes are written as characters, since those over 127 are no char.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${FILE} hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n    " lines "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," values "${lines}")
  file(WRITE ${OUTPUT} "#include <stddef.h>\n
extern const char ${NAME}[];\nextern const size_t ${NAME}_bytes;\n
const size_t ${NAME}_bytes = ${bytes};\nconst char ${NAME}[] = {\n    ${values}0};\n")
  return()
endif()

set(FERRY_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(ferry_embed file name output)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DFILE=${file} -DNAME=${name} -DOUTPUT=${output} -P ${FERRY_EMBED_SCRIPT}
    DEPENDS ${file} ${FERRY_EMBED_SCRIPT}
    COMMENT "Embedding ${name}")
endfunction()
