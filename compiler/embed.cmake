# Writes OUT: every file of FILES (paths below ROOT) as a byte array, in one table that
# compiler/embedded.h declares. Run by CMake at build time.
file(WRITE ${OUT} "#include \"compiler/embedded.h\"\n")
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
file(APPEND ${OUT} "const Embedded embedded[] = {\n${rows}    {0, 0, 0},\n};\n")
