# Writes OUT: every file of FILES (paths below ROOT) as a byte array, in one table that a header
# declares: -DHEADER=compiler/embedded.h "-DTABLE=const Embedded embedded". A row is name, bytes
# and size; the last one's name is NULL. Run by CMake at build time.
file(WRITE ${OUT} "#include \"${HEADER}\"\n")
set(rows "")
set(n 0)
foreach(path IN LISTS FILES)
  file(READ ${path} hex HEX)
  file(RELATIVE_PATH name ${ROOT} ${path})
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  file(APPEND ${OUT} "static const unsigned char f${n}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${name}\", f${n}, sizeof f${n} - 1},\n")
  math(EXPR n "${n} + 1")
endforeach()
file(APPEND ${OUT} "${TABLE}[] = {\n${rows}    {0, 0, 0},\n};\n")
