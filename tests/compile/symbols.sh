# What an object file of lstm.h defines and needs: only lstm_ names, and nothing but the libc functions listed here.
# usage: sh tests/compile/symbols.sh COMPILER DIRECTORY [FLAGS]
set -eu
object=$2/symbols-$1.o
# PIC, as in a shared library; no stack protector, so that only what the source asks for is needed
"$1" -std=c99 -O2 ${3:-} -fPIC -fno-stack-protector -U_FORTIFY_SOURCE -I. \
  -DLSTM_IMPLEMENTATION -x c -c -o "$object" lstm.h
status=0
foreign=$(nm -g --defined-only "$object" | awk '$3 !~ /^lstm_/ || $3 ~ /^lstm__/ {print $3}')
if [ -n "$foreign" ]; then
  echo "defined, but not named lstm_:" $foreign
  status=1
fi
allowed=' malloc free memcpy memmove memset memcmp strlen strcmp strncmp strchr strrchr strspn fopen fclose fread fwrite
  fseek ftell fflush ferror rename remove memchr strstr strerror __errno_location bcmp _GLOBAL_OFFSET_TABLE_
  __cpu_model __cpu_indicator_init '
allowed=" $(echo $allowed) "
for name in $(nm -u "$object" | awk '{print $2}'); do
  case $allowed in
    *" $name "*) ;;
    *) echo "needed, but not allowed: $name"; status=1 ;;
  esac
done
exit $status
