# mayfly_embed(TARGET FILE SYMBOL): makes a source file of the target that defines `const std::string_view mayfly::SYMBOL` with FILE's bytes.
#
# This file is also the script that the build runs for it: cmake -DINPUT=… -DOUTPUT=… -DSYMBOL=… -P EmbedFile.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," array "${hex}")
  string(REPEAT "0x..," 24 row)
  string(REGEX REPLACE "(${row})" "\\1\n" array "${array}")
  file(WRITE "${OUTPUT}" "#include <string_view>
namespace mayfly {
namespace {
const unsigned char kBytes[] = {
${array}
0};
}
extern const std::string_view ${SYMBOL};
const std::string_view ${SYMBOL}(reinterpret_cast<const char*>(kBytes), ${bytes});
}  // namespace mayfly
")
  return()
endif()

set(MAYFLY_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")
function(mayfly_embed target file symbol)
  set(output "${CMAKE_BINARY_DIR}/embedded/${symbol}.cpp")
  add_custom_command(OUTPUT "${output}"
                     COMMAND "${CMAKE_COMMAND}" "-DINPUT=${file}" "-DOUTPUT=${output}" "-DSYMBOL=${symbol}" -P "${MAYFLY_EMBED_SCRIPT}"
                     DEPENDS "${file}" "${MAYFLY_EMBED_SCRIPT}" VERBATIM)
  target_sources(${target} PRIVATE "${output}")
endfunction()
