# A Debian package: cpack -G DEB in a build folder (script/package does it, the same bytes each time).
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ferry)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Ferry's developers <ferry@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "copy models from Hugging Face to a bucket, serve them and ask them")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libcurl4, ca-certificates") # loaded when needed, so no linker names it
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGE_CHECKSUM SHA256)
include(CPack)
