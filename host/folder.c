/* folder.c: what is in a folder, and which paths name the same file. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host.h"

#define FOLDER_BOX "lstm.folder_box"

static int close_folder(lua_State *L) {
  DIR **box = (DIR **)luaL_checkudata(L, 1, FOLDER_BOX);
  if (*box) closedir(*box);
  *box = NULL;
  return 0;
}

/* folder(path) -> a list of the names in it, in no order and without . and ..; or nil, message, status. */
static int folder_names(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "folder: the path");
  DIR **box = (DIR **)host_newuserdata(L, sizeof *box, 0);
  struct dirent *entry;
  int count = 0;
  *box = NULL;
  luaL_setmetatable(L, FOLDER_BOX);
  if (!host_may(L, path, 0)) return host_refuse(L, path, 0);
  *box = opendir(path);
  if (!*box) {
    lua_pushfstring(L, "cannot read %s: %s", path, strerror(errno));
    return host_fault(L, LSTM_ERR_IO);
  }
  lua_newtable(L);
  while ((entry = readdir(*box)) != NULL) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, ++count);
  }
  closedir(*box);
  *box = NULL;
  return 1;
}

/* file_id(path) -> a string that all names of the same regular file share, whether it exists or would be made
   there; nil for what is no regular file, and where the folder cannot be looked at. */
static int file_id(lua_State *L) {
  const char *path = host_checkstring(L, 1, NULL, "file_id: the path");
  const char *name = strrchr(path, '/');
  struct stat found;
  char text[64];
  if (!host_may(L, path, 0)) return 0;
  if (stat(path, &found) == 0) {
    if (!S_ISREG(found.st_mode)) return 0;
    name = "";
  } else {
    if (name) lua_pushlstring(L, path, (size_t)(name - path) + 1);
    else lua_pushliteral(L, ".");
    if (stat(lua_tostring(L, -1), &found) != 0) return 0;
    name = name ? name + 1 : path;
  }
  snprintf(text, sizeof text, "%llu:%llu/", (unsigned long long)found.st_dev, (unsigned long long)found.st_ino);
  lua_pushfstring(L, "%s%s", text, name);
  return 1;
}

void host_open_folder(lua_State *L, int core) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"folder", folder_names}, {"file_id", file_id}, {NULL, NULL}};
  host_newtype(L, FOLDER_BOX, none, close_folder);
  lua_pop(L, 1);
  lua_pushvalue(L, core);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
