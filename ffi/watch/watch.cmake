# Included by llama.cpp's own project() command: has libllama-common watched; see watch.h.
#
# Nothing of llama.cpp's tree is changed. What names its targets waits until they are there.
if(NOT HEADRACE_WATCH OR NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    return()
endif()
set(HEADRACE_WATCH_FOLDER "${CMAKE_CURRENT_LIST_DIR}")

function(headrace_watch_common)
    # The option that leaves files out, without which the standard library's code calls too, is GCC's.
    if(NOT TARGET llama-common OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR WIN32)
        return()
    endif()
    get_target_property(folder llama-common SOURCE_DIR)
    file(GLOB watched
        "${folder}/jinja/*.cpp" "${folder}/chat*.cpp" "${folder}/peg-parser.cpp"
        "${folder}/parsers/*.cpp" "${folder}/json-schema*.cpp")
    set_property(SOURCE ${watched} TARGET_DIRECTORY llama-common APPEND PROPERTY COMPILE_OPTIONS
        -finstrument-functions -finstrument-functions-exclude-file-list=/include/c++/,vendor/nlohmann)
    target_sources(llama-common PRIVATE "${HEADRACE_WATCH_FOLDER}/watch.cpp")
endfunction()

cmake_language(DEFER CALL headrace_watch_common)
