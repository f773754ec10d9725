# install() and find_package(ssdq).
include(CMakePackageConfigHelpers)
set(ssdq_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ssdq)
install(TARGETS ssdq ssdq_core EXPORT ssdqTargets)
install(EXPORT ssdqTargets NAMESPACE ssdq:: DESTINATION ${ssdq_cmake_dir})
install(DIRECTORY ssdq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY configs datasets DESTINATION ${CMAKE_INSTALL_DATADIR}/ssdq USE_SOURCE_PERMISSIONS)
configure_package_config_file(cmake/ssdqConfig.cmake.in ssdqConfig.cmake INSTALL_DESTINATION ${ssdq_cmake_dir})
write_basic_package_version_file(ssdqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ssdqConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/ssdqConfigVersion.cmake
        DESTINATION ${ssdq_cmake_dir})
