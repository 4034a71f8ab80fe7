-- From the root of the sources: luarocks make host/lstm-0.1.0-1.rockspec. It builds the Lua module, with GNU make and a
-- C compiler; the command line program lstm and the header are for `make install`.
rockspec_format = "3.0"
package = "lstm"
version = "0.1.0-1"
source = {url = "git+file://."} -- there is nothing to fetch: this file is in the sources
description = {
  summary = "Train and use LSTM networks: data, training, models, pictures, reports",
  detailed = "LSTM and GRU networks on the CPU, with no dependency but Lua and the C library.",
  license = "Unlicense or MIT-0",
  labels = {"machine-learning", "lstm", "neural-network"},
}
supported_platforms = {"unix"}
dependencies = {"lua >= 5.1, < 5.5"}
build = {
  type = "make",
  build_target = "build/rock/lstm.so",
  build_variables = {
    BUILD = "build/rock", CC = "$(CC)", LUA_CFLAGS = "-I$(LUA_INCDIR)", LUA_LIBS = "-L$(LUA_LIBDIR)",
  },
  install_pass = false,
  install = {lib = {lstm = "build/rock/lstm.so"}},
}
