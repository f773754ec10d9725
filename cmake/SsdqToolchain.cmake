# Compiler flags and build accelerators. Flags live on the interface target ssdq_flags, which only
# our own targets link; third-party headers are SYSTEM and stay quiet.
add_library(ssdq_flags INTERFACE)
target_compile_options(ssdq_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                            -Wno-sign-conversion)
if(SSDQ_WERROR)
  target_compile_options(ssdq_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # GCC 14 sees out-of-bounds copies in std::vector<bool> where LibTorch's autograd templates inline it.
  target_compile_options(ssdq_flags INTERFACE -Wno-array-bounds -Wno-stringop-overflow)
endif()
if(SSDQ_SANITIZE)
  add_compile_options(-fsanitize=${SSDQ_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SSDQ_SANITIZE})
  target_compile_definitions(ssdq_flags INTERFACE SSDQ_SANITIZED=1)
  # GCC's own <regex> seems uninitialised to it once instrumented.
  target_compile_options(ssdq_flags INTERFACE -Wno-maybe-uninitialized)
endif()

if(PROJECT_IS_TOP_LEVEL)
  find_program(SSDQ_CCACHE ccache)
  if(SSDQ_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Without this sloppiness ccache never hits a file that uses a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        CCACHE_NOHASHDIR=1 ${SSDQ_CCACHE})
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
  find_program(SSDQ_MOLD mold)
  if(SSDQ_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
    add_link_options(-fuse-ld=mold)
  endif()
endif()
