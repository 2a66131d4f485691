# Included before llama.cpp's own project() command: has patched copies of its files compiled.
#
# HEADRACE_PATCHED_FOLDER has the copies. HEADRACE_PATCHED names the originals by their last folder and
# name, each behind the switch that leaves its patch out: HEADRACE_BARRIER:ggml-cpu/ggml-cpu.c. A copy
# takes the original's place in each target that compiles it: one, or one for every level of the
# processor.
if(NOT HEADRACE_PATCHED OR NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    return()
endif()

function(headrace_replace_in folder original)
    get_filename_component(place "${original}" DIRECTORY)
    get_filename_component(name "${original}" NAME)
    string(REPLACE "." "\\." pattern "${original}")
    get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target ${targets})
        get_target_property(type ${target} TYPE)
        if(NOT type MATCHES "LIBRARY$" OR type STREQUAL "INTERFACE_LIBRARY")
            continue()
        endif()
        get_target_property(sources ${target} SOURCES)
        if(NOT sources MATCHES "${pattern}(;|$)")
            continue()
        endif()
        list(TRANSFORM sources REPLACE "^.*${pattern}$" "${HEADRACE_PATCHED_FOLDER}/${name}")
        set_property(TARGET ${target} PROPERTY SOURCES ${sources})
        # Where the original finds the headers beside it.
        get_target_property(source_dir ${target} SOURCE_DIR)
        set_property(TARGET ${target} APPEND PROPERTY INCLUDE_DIRECTORIES "${source_dir}/${place}")
        set_property(GLOBAL PROPERTY "HEADRACE_USED_${name}" TRUE)
    endforeach()
    get_property(below DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
    foreach(each ${below})
        headrace_replace_in("${each}" "${original}")
    endforeach()
endfunction()

function(headrace_replace_patched)
    foreach(each ${HEADRACE_PATCHED})
        string(REPLACE ":" ";" pair "${each}")
        list(GET pair 0 switch)
        list(GET pair 1 original)
        headrace_replace_in("${CMAKE_SOURCE_DIR}" "${original}")
        get_filename_component(name "${original}" NAME)
        get_property(used GLOBAL PROPERTY "HEADRACE_USED_${name}")
        if(NOT used AND (NOT DEFINED GGML_CPU OR GGML_CPU))
            message(FATAL_ERROR "no target compiles ${name}; ${switch}=0 does without the patch")
        endif()
    endforeach()
endfunction()

cmake_language(DEFER CALL headrace_replace_patched)
