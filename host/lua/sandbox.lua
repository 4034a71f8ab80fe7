-- sandbox.lua: what a script in a sandbox sees (host/sandbox.c), and what lstm's own Lua keeps there.
--
-- lstm's own Lua has the old globals, where files go through the gate. A script has a table of its own: copies of what
-- is harmless, and of the rest functions that bound their work. No function of the script may run with hooks off (as
-- finalizers do), and no C function may work for long by a number that a script made up.

local sandbox = {}

local own = _G

local function copy(t, names)
  local result = {}
  for _, name in ipairs(names) do result[name] = t[name] end
  return result
end

local function all_of(t)
  local result = {}
  for name, value in pairs(t) do result[name] = value end
  return result
end

-- --- functions that bound their work --------------------------------------------------------------------------------

-- The metatable is looked for __gc when it is set, and never again.
local function guarded_setmetatable(setmetatable)
  return function(t, meta)
    if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
      error("setmetatable: there is no __gc in the sandbox", 2)
    end
    return setmetatable(t, meta)
  end
end

-- bound(f, kind): a C function that counts the work of f before it calls it (host/sandbox.c).
local function bounded_table(bound)
  local result = copy(table, {"pack"})
  for _, name in ipairs{"insert", "remove", "move", "concat", "unpack"} do result[name] = bound(table[name], name) end
  result.sort = bound(table.sort, "sort", function(a, b) return a < b end)   -- long strings: instructions of it
  return result
end

local function bounded_string(bound)
  local result = all_of(string)
  result.dump = nil
  for _, name in ipairs{"upper", "lower", "reverse"} do result[name] = bound(string[name], "string") end
  result.rep = bound(string.rep, "rep")
  return result
end

-- A chain of coroutines that each end before the hook counts to its interval would never meet it.
local function bounded_coroutine(bound)
  local result = copy(coroutine, {"close", "isyieldable", "running", "status", "yield"})
  result.create, result.resume = bound(coroutine.create, "create"), bound(coroutine.resume, "resume")
  result.wrap = bound(coroutine.wrap, "wrap")
  return result
end

-- The real handler of xpcall runs where the error was raised, which may be inside a hook; this one comes after.
local function late_xpcall(f, handler, ...)
  local function finish(ok, ...)
    if ok then return true, ... end
    return false, select(2, pcall(handler, ...))
  end
  return finish(pcall(f, ...))
end

-- Text only, in the script's own globals, and never under the name of one of lstm's own files.
local function text_load(load, globals, tools)
  local longest = tools.by_process and 2 ^ 22 or 2 ^ 18          -- no hook interrupts the parser
  local function count(text)
    if type(text) ~= "string" then return 0 end
    tools.charge(#text)
    return #text
  end
  return function(chunk, name, _, ...)
    local size, reader = count(chunk), chunk
    name = name or type(chunk) == "string" and chunk or "=(load)"
    if type(name) == "string" and name:sub(1, 6) == "=lstm/" then
      error('load: a name cannot begin with "=lstm/"', 2)
    end
    if type(reader) == "function" then
      chunk = function()
        local piece = size <= longest and reader() or nil
        size = size + count(piece)
        return piece
      end
    end
    local env = globals
    if select("#", ...) > 0 then env = ... end
    local made, message = nil, nil
    if size <= longest then made, message = load(chunk, name, "t", env) end
    if size > longest then return nil, ("load: more than %d bytes"):format(longest) end
    return made, message
  end
end

local hidden = {["lstm.core"] = true, ["lstm.sandbox"] = true, ["lstm.prompt"] = true, ["lstm.commands"] = true}

local function own_require(require)
  return function(name)
    if name ~= "lstm" and (type(name) ~= "string" or not name:find("^lstm%.%w+$") or hidden[name]) then
      error(("require: the sandbox has only lstm and its modules, not %s"):format(tostring(name)), 2)
    end
    return (require(name))
  end
end

-- What is left of a file: nothing that opens, closes or moves it.
local function writer(file)
  local result = {}
  function result.write(_, ...)
    local ok, message = file:write(...)
    if not ok then return nil, message end
    return result
  end
  function result.flush()
    file:flush()
    return result
  end
  function result.setvbuf() return true end
  return result
end

-- --- lstm's own globals ---------------------------------------------------------------------------------------------

local function gated_io(may)
  local open, io = io.open, io
  local result = copy(io, {"write", "read", "flush", "stdout", "stderr"})
  function result.open(path, mode)
    local fine, message, status = may(path, mode ~= nil and mode ~= "r" and mode ~= "rb")
    if not fine then return nil, message, status end
    return open(path, mode)
  end
  return result
end

local function gated_os(may, by_process)
  local os = os
  local result = copy(os, {"time", "clock", "date", "difftime", "getenv", "exit"})
  function result.remove(path)
    local fine, message, status = may(path, true)
    if not fine then return nil, message, status end
    return os.remove(path)
  end
  function result.rename(from, to)
    for _, path in ipairs{from, to} do
      local fine, message, status = may(path, true)
      if not fine then return nil, message, status end
    end
    return os.rename(from, to)
  end
  if not by_process then
    function result.exit() error("os.exit: not in the sandbox", 2) end
  end
  return result
end

-- Only what is in the binary is found.
local function close_package(package)
  package.path, package.cpath, package.loadlib, package.searchpath = "", "", nil, nil
  while #package.searchers > 1 do table.remove(package.searchers) end
  package.loaded.package, package.loaded._G = nil, nil
  own.package, own._G = nil, nil
end

local function restrict_own(tools)
  local load, getinfo = load, debug.getinfo
  own.io, own.os = gated_io(tools.may), gated_os(tools.may, tools.by_process)
  own.debug = {getinfo = function(f) return getinfo(f, "S") end}
  own.load = function(chunk, name) return load(chunk, name, "t", own) end
  own.setmetatable = guarded_setmetatable(setmetatable)
  own.dofile, own.loadfile, own.xpcall = nil, nil, late_xpcall
  for _, name in ipairs{"io", "os", "debug"} do package.loaded[name] = own[name] end
  close_package(package)
end

-- --- the script's globals -------------------------------------------------------------------------------------------

local PLAIN = {"assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget",
  "rawlen", "rawset", "select", "tonumber", "tostring", "type", "_VERSION"}

-- "count" tells, "collect" collects; the rest is the sandbox's.
local function harmless_collectgarbage(collectgarbage, charge)
  return function(what)
    if what == "count" then return collectgarbage "count" end
    if what == nil or what == "collect" then
      charge(collectgarbage "count" * 4)
      collectgarbage()
    end
    return 0
  end
end

-- What scripts expect and do not get says what to take instead. given: "--" or "limits."
local function add_absent(globals, given)
  local function absent(library, name, advice)
    globals[library][name] = function() error(("%s.%s: not in the sandbox%s"):format(library, name, advice), 2) end
  end
  absent("io", "open", (": lstm.readfile and lstm.writefile take what %sread and %swrite name"):format(given, given))
  absent("io", "lines", (": lstm.readfile reads what %sread names"):format(given))
  absent("os", "getenv", ": give the script arguments")
  for _, name in ipairs{"remove", "rename"} do absent("os", name, "") end
end

--- Restricts what lstm's own Lua has, and returns the globals of scripts.
-- tools: may(path, writing), charge(instructions), bound(f, kind), split(own strings, scripts' strings), patterns,
-- by_process
function sandbox.make(tools)
  local charge, strings = tools.charge, getmetatable("")
  local globals = copy(own, PLAIN)
  local bounded = bounded_string(tools.bound)
  globals._G = globals
  globals.setmetatable, globals.xpcall = guarded_setmetatable(setmetatable), late_xpcall
  globals.load, globals.require = text_load(load, globals, tools), own_require(require)
  globals.collectgarbage = harmless_collectgarbage(collectgarbage, charge)
  globals.coroutine, globals.table = bounded_coroutine(tools.bound), bounded_table(tools.bound)
  globals.math, globals.utf8, globals.string = all_of(math), all_of(utf8), all_of(bounded)
  globals.os = copy(os, {"time", "clock", "date", "difftime", tools.by_process and "exit" or nil})
  globals.io = {stdout = writer(io.stdout), stderr = writer(io.stderr), read = tools.by_process and io.read or nil}
  local out = globals.io.stdout
  function globals.io.write(...) return out.write(out, ...) end
  globals.io.flush = out.flush
  add_absent(globals, tools.by_process and "--" or "limits.")
  strings.__index, strings.__metatable = bounded, false
  if not tools.patterns then
    local plain = all_of(bounded)
    for _, name in ipairs{"find", "match", "gmatch", "gsub"} do plain[name], globals.string[name] = nil, nil end
    strings.__index = tools.split(bounded, plain)
  end
  restrict_own(tools)
  return globals
end

return sandbox
