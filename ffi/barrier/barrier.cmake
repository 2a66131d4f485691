# Included before llama.cpp's own project() command: has ggml-cpu compiled with a barrier that sleeps.
#
# HEADRACE_BARRIER_FOLDER has a patched copy of ggml-cpu.c, which takes the place of the original in
# each target that compiles it: one, or one for every level of the processor.
if(NOT HEADRACE_BARRIER OR NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    return()
endif()

function(headrace_replace_in folder)
    get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target ${targets})
        get_target_property(type ${target} TYPE)
        if(NOT type MATCHES "LIBRARY$" OR type STREQUAL "INTERFACE_LIBRARY")
            continue()
        endif()
        get_target_property(sources ${target} SOURCES)
        if(NOT sources MATCHES "ggml-cpu/ggml-cpu\\.c(;|$)")
            continue()
        endif()
        list(TRANSFORM sources REPLACE "^.*ggml-cpu/ggml-cpu\\.c$"
            "${HEADRACE_BARRIER_FOLDER}/ggml-cpu.c")
        set_property(TARGET ${target} PROPERTY SOURCES ${sources})
        # Where the original finds the headers beside it.
        get_target_property(source_dir ${target} SOURCE_DIR)
        set_property(TARGET ${target} APPEND PROPERTY INCLUDE_DIRECTORIES "${source_dir}/ggml-cpu")
        set_property(GLOBAL PROPERTY HEADRACE_BARRIER_USED TRUE)
    endforeach()
    get_property(below DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
    foreach(each ${below})
        headrace_replace_in("${each}")
    endforeach()
endfunction()

function(headrace_replace_barrier)
    headrace_replace_in("${CMAKE_SOURCE_DIR}")
    get_property(used GLOBAL PROPERTY HEADRACE_BARRIER_USED)
    if(NOT used AND (NOT DEFINED GGML_CPU OR GGML_CPU))
        message(FATAL_ERROR "no target compiles ggml-cpu.c; HEADRACE_BARRIER=0 does without the patch")
    endif()
endfunction()

cmake_language(DEFER CALL headrace_replace_barrier)
