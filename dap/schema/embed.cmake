# Writes the migrations (NNNN_name.sql) into one C file, so that programs carry their schema.
#   cmake -DSOURCES="a.sql;b.sql" -DOUTPUT=schema_migrations.c -P embed.cmake
set(arrays "")
set(rows "")
foreach(source ${SOURCES})
    get_filename_component(file ${source} NAME_WE)
    if(NOT file MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
        message(FATAL_ERROR "${source}: a migration is called NNNN_name.sql")
    endif()
    math(EXPR version "1${CMAKE_MATCH_1} - 10000")
    set(name ${CMAKE_MATCH_2})
    file(READ ${source} bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const unsigned char s_sql_${version}[] = {\n    ${bytes}0x00};\n\n")
    string(APPEND rows "    {${version}, \"${name}\", (const char *)s_sql_${version}},\n")
endforeach()
file(WRITE ${OUTPUT} "/* Made from dap/schema by embed.cmake. */\n"
    "#include \"dap/schema.h\"\n\n${arrays}"
    "const schema_migration_t schema_migrations[] = {\n${rows}};\n"
    "const size_t schema_migrations_len = sizeof schema_migrations / sizeof *schema_migrations;\n")
