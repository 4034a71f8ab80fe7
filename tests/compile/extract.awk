# Takes the C examples out of the manual in lstm.h or out of README.md: the text between ``` lines ("```c" in Markdown).
# usage: awk -v dir=DIRECTORY -v prefix=NAME [-v cpp=1] -f extract.awk FILE
# An example with main() is a program. Any other stands inside a function of tests/compile/fragment.h. In C++, {0} is {}.
/^ *```/ {
  if (inside) { close(file); inside = 0; next }
  inside = 1
  wanted = /```c *$/ || FILENAME ~ /\.h$/
  file = sprintf("%s/%s_%02d.%s", dir, prefix, ++count, cpp ? "cc" : "c")
  if (!wanted) file = "/dev/null"; else { printf "" > file; print file }
  next
}
inside {
  if (cpp) gsub(/= \{0\}/, "= {}")
  sub(/^   /, "")
  print > file
}
