-- attacks.lua: scripts that try to get out, to stay, or to take everything; and what must come of each.
--
-- {name, script, exit code of lstm --sandbox, what it says, options =, embed = {exit code, what it says} or false}
-- The same is expected of the program that embeds (embed.c), which says no more than 1, unless embed tells otherwise.
-- DIR in options and scripts is a folder with: in/ (a.txt, out -> ../secret, pair -> nowhere, m.safetensors and broken
-- ones), out/, secret/s.txt, run.csv.

local TIME, MEMORY = "the time limit", "not enough memory"
local NO_PATTERN = {1, "a nil value (method 'find')"}
local NO_GSUB = {1, "a nil value (method 'gsub')"}
local list = {}
local function add(attack) list[#list + 1] = attack end

-- --- time -----------------------------------------------------------------------------------------------------------

add{"a loop", "while true do end", 124, TIME}
add{"a loop in pcall", "while true do pcall(function() while true do end end) end", 124, TIME}
add{"pcall in pcall", "local function f() pcall(f) while true do end end f()", 124, TIME}
add{"a loop of coroutines", "while true do coroutine.resume(coroutine.create(function() end)) end", 124, TIME}
add{"coroutines shorter than the hook's interval", [[
  local function grow(n)
    if n > 0 then for _ = 1, 4 do coroutine.wrap(grow)(n - 1) end end
  end
  grow(60)]], 124, TIME}
add{"the same, each caught", [[
  local function grow(n)
    if n > 0 then for _ = 1, 4 do coroutine.resume(coroutine.create(grow), n - 1) end end
  end
  grow(60)]], 124, TIME}
add{"a handler of xpcall that does not return", [[
  xpcall(function() while true do end end, function() while true do end end)]], 124, TIME}
add{"a handler of xpcall, after an error", "xpcall(error, function() while true do end end)", 124, TIME}
add{"a finalizer that does not return", [[
  setmetatable({}, {__gc = function() while true do end end})]], 1, "there is no __gc in the sandbox"}
add{"a finalizer through a class of lstm", [[
  local lstm = require "lstm"
  getmetatable(lstm.model{input = 1, hidden = 2, output = 1}).__gc = function() while true do end end
  lstm.model{input = 1, hidden = 2, output = 1}]], 1, "there is no __gc in the sandbox"}
add{"a finalizer through __metatable", [[
  local bait = setmetatable({}, {__metatable = {__gc = function() while true do end end}})
  setmetatable({}, getmetatable(bait))]], 1, "there is no __gc in the sandbox"}
add{"__close that does not return", [[
  local x <close> = setmetatable({}, {__close = function() while true do end end})]], 124, TIME}
add{"__close in a loop of errors", [[
  while true do
    pcall(function()
      local x <close> = setmetatable({}, {__close = function() while true do end end})
      error()
    end)
  end]], 124, TIME}
add{"a pattern that backtracks", [[("a"):rep(18):find(("a-"):rep(18) .. "b")]], 124, TIME, embed = NO_PATTERN}
add{"gsub over a megabyte, again and again", [[
  local s = ("a"):rep(2 ^ 20)
  while true do s:gsub(".", "b") end]], 124, TIME, embed = NO_GSUB}
add{"an empty string, 2^62 times", [[print(#(""):rep(1 << 62))]], 0, "0"}
add{"table.move over 2^62 places", "table.move({}, 1, (1 << 62) - 1, 2)", 1, "more than 16777216 elements"}
add{"table.move, the numbers as strings", [[table.move({}, "1", "4611686018427387903", "2")]], 1, "more than 16777216"}
add{"table.insert into what lies about its length", [[
  table.insert(setmetatable({}, {__len = function() return 1 << 62 end}), 1, 1)]], 1, "a table with __len"}
add{"table.remove from what lies about its length", [[
  table.remove(setmetatable({}, {__len = function() return 1 << 62 end}), 1)]], 1, "a table with __len"}
add{"a length that is another one each time", [[
  local n = 0
  local t = setmetatable({}, {__len = function() n = n + 1 return n > 1 and 1 << 62 or 0 end})
  table.insert(t, 1, 1)]], 1, "a table with __len"}
add{"__len behind __metatable", [[
  table.insert(setmetatable({}, {__metatable = false, __len = function() return 1 << 62 end}), 1, 1)]], 1,
  "a table with __len"}
add{"table.concat of what C functions make up", [[
  table.concat(setmetatable({}, {__index = rawlen}), "", 1, 1 << 62)]], 1, "more than 16777216 elements"}
add{"table.unpack of 2^30 values", "table.unpack({}, 1, 1 << 30)", 1, "more than 16777216 elements"}
add{"table.sort of what C functions make up", [[
  table.sort(setmetatable({}, {__len = function() return 1 << 30 end, __index = rawlen, __newindex = rawequal}))]], 1,
  "a table with __len"}
add{"table.sort with a comparator that lies", [[
  local t = {}
  for i = 1, 1000 do t[i] = i end
  while true do pcall(table.sort, t, function() return true end) end]], 124, TIME}
add{"table.sort of long strings", [[
  local s, t = ("a"):rep(2 ^ 23), {}
  for i = 1, 100000 do t[i] = s end
  table.sort(t)]], 124, TIME}
add{"upper and lower of a long string", [[
  local s = ("a"):rep(2 ^ 22)
  while true do s = s:upper():lower():reverse() end]], 124, TIME}
add{"chunks that take the parser long", [[
  local chunk = (";"):rep(2 ^ 22)
  while true do load(chunk) end]], 124, TIME}
add{"a chunk that is too long", [[assert(load((";"):rep(2 ^ 23)))]], 1, "load: more than"}
add{"a chunk without an end", [[assert(load(function() return "x = 1 " end))]], 1, "load: more than"}
add{"garbage with the collector off", [[
  collectgarbage("stop")
  while true do local t = {} end]], 124, TIME}
add{"an error object with __tostring", [[
  error(setmetatable({}, {__tostring = function() while true do end end}))]], 124, TIME,
  embed = {1, "an error without a message"}}
add{"print of an object with __tostring", [[
  print(setmetatable({}, {__tostring = function() while true do end end}))]], 124, TIME}
add{"an iterator that does not end", [[
  for _ in pairs(setmetatable({}, {__pairs = function() return rawlen, {}, 0 end})) do end]],
  124, TIME}
add{"output without an end", "while true do print(1) end", 124, TIME, quiet = true}
add{"waiting for input that has no end", "while true do io.read('l') end", 1, MEMORY,
  input = "/dev/zero", embed = false}
add{"a script that waits by the clock", "local t = os.time() + 20 while os.time() < t do end", 124, TIME}

-- --- memory ---------------------------------------------------------------------------------------------------------

add{"a table that grows", "local t = {} for i = 1, 1e9 do t[i] = i end", 1, MEMORY}
add{"tables in tables", "local t = {} while true do t = {t} end", 1, MEMORY}
add{"a string of a terabyte", [[print(#("x"):rep(2 ^ 40))]], 1, "resulting string too large"}
add{"a string that doubles", [[local s = "x" while true do s = s .. s end]], 1, MEMORY}
add{"a string by repetition, string taken away", [[string = nil local s = ("x"):rep(2 ^ 30)]], 1, MEMORY}
add{"deep recursion", "local function f() return 1 + f() end f()", 1, MEMORY}
add{"deep recursion in a metamethod", [[
  local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end print(t.x)]], 1, "overflow"}
add{"a chunk nested 100,000 deep", [[assert(load(("("):rep(1e5) .. (")"):rep(1e5)))]], 1, "overflow"}
add{"100,000 coroutines that stay", [[
  local t = {}
  for i = 1, 1e6 do t[i] = coroutine.create(print) end]], 1, MEMORY}
add{"an array of 2^28 numbers", [[require "lstm".zeros(2 ^ 28)]], 1, MEMORY}
add{"arrays that stay", [[
  local lstm, t = require "lstm", {}
  for i = 1, 1e6 do t[i] = lstm.zeros(1000) end]], 1, MEMORY}
add{"arrays that go", [[
  local lstm = require "lstm"
  for _ = 1, 2000 do lstm.zeros(100000) end
  print "went"]], 0, "went"}
add{"a model of 2^20 cells", [[
  assert(require "lstm".model{input = 1, hidden = 2 ^ 20, output = 1})]], 1, "more than",
  embed = {1, "too much for one call in the sandbox (the limit is 5000 million)"}}
add{"a model of 10,000 cells", [[
  assert(require "lstm".model{input = 1, hidden = 10000, output = 1, init = "zero"})]], 1, "out of memory"}
add{"models that stay", [[
  local lstm, t = require "lstm", {}
  for i = 1, 1e5 do t[i] = assert(lstm.model{input = 1, hidden = 400, output = 1, init = "zero"}) end]], 1,
  "out of memory"}
add{"models that go", [[
  local lstm = require "lstm"
  for _ = 1, 30 do assert(lstm.model{input = 1, hidden = 400, output = 1, init = "zero"}) end
  print "went"]], 0, "went"}
add{"a model that is long in the making", [[
  for _ = 1, 100 do require "lstm".model{input = 1, hidden = 1200, output = 1} end]], 124, TIME,
  embed = {1, "too much for one call in the sandbox"}}
add{"a state of a million lanes", [[
  local m = require "lstm".model{input = 1, hidden = 100, output = 1}
  assert(m:state(1000000))]], 1, "out of memory"}

-- --- files, processes, code -----------------------------------------------------------------------------------------

add{"what there is not", [[
  assert(not dofile and not loadfile and not debug and not package and not warn and not string.dump)
  assert(rawget(_G, "lstm") == nil)
  for _, name in ipairs{"popen", "tmpfile", "input", "output"} do assert(io[name] == nil, name) end
  for _, name in ipairs{"execute", "tmpname", "setlocale"} do assert(os[name] == nil, name) end
  print "none"]], 0, "none"}
add{"what only says that it is not there", [[
  for _, f in ipairs{io.open, io.lines, os.getenv, os.remove, os.rename} do
    local ok, message = pcall(f, "DIR/in/a.txt", "DIR/out/moved.txt")
    assert(not ok and #message > 0, message)
  end
  print(pcall(io.open, "DIR/in/a.txt"))]], 0, "io.open: not in the sandbox", options = "--read DIR --write DIR"}
add{"load in an environment of its own", [[
  assert(load("return os.execute", "x", "t")() == nil)
  assert(load("return io", "x", "bt", {})() == nil)
  assert(pcall(load("return os.execute", "x", "bt", nil)) == false)
  print "none"]], 0, "none"}
add{"load under the name of lstm's own files", [[load("return 1", "=lstm/x.lua")]], 1, 'cannot begin with "=lstm/"'}
add{"bytecode from string.dump", "load(string.dump(function() end))", 1, "a nil value (field 'dump')"}
add{"bytecode from elsewhere", [[assert(load("\27Lua\84\0\25\147\r\n\26\n", "x", "b"))]], 1, "binary chunk"}
add{"bytecode, piece by piece", [[
  local n = 0
  assert(load(function() n = n + 1 return ({"\27", "Lua", "\84"})[n] end))]], 1, "binary chunk"}
add{"the metatable of strings", [[
  assert(getmetatable("") == false)
  assert(not pcall(setmetatable, "", {}))
  local mine = string
  mine.rep = nil
  assert(("x"):rep(2) == "xx")
  print "locked"]], 0, "locked"}
add{"require of a library", [[require "os"]], 1, "the sandbox has only lstm and its modules, not os"}
add{"require of a file", [[require "DIR/in/a"]], 1, "the sandbox has only lstm and its modules"}
add{"require of the binding's core", [[require "lstm.core"]], 1, "the sandbox has only lstm and its modules"}
add{"everything that can be reached", [[
  local lstm = require "lstm"
  local seen, count, names = {}, 0, {popen = 1, execute = 1, tmpfile = 1, loadlib = 1, sethook = 1, getinfo = 1,
    dofile = 1, loadfile = 1, searchers = 1, preload = 1, setupvalue = 1, tmpname = 1, getregistry = 1}
  local function walk(value, path)
    if type(value) ~= "table" and type(value) ~= "userdata" or seen[value] then return end
    seen[value], count = true, count + 1
    assert(tostring(value):sub(1, 5) ~= "file ", path)
    walk(getmetatable(value), path .. "<meta>")
    if type(value) ~= "table" then return end
    assert(value == string or value == _G or rawget(value, "rep") == nil, path)
    for key, inner in next, value do
      assert(names[key] == nil, path .. "." .. tostring(key))
      walk(key, path .. "<key>")
      walk(inner, path .. "." .. tostring(key))
    end
  end
  for name, value in pairs(lstm) do walk(value, name) end
  for _, name in ipairs{"fit", "args", "plot", "report", "search", "model", "program", "sniff", "trials", "log",
    "cells", "vocab", "csv", "show", "svg", "text", "progress", "seq2seq", "options", "methods", "subject", "files"} do
    local ok, module = pcall(require, "lstm." .. name)
    if ok then walk(module, "lstm." .. name) end
  end
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  walk(m, "model") walk(m:state(), "state") walk(m.core, "core") walk(lstm.zeros(1), "array")
  walk(_G, "_G")
  assert(count > 50, count)
  print "nothing"]], 0, "nothing"}
add{"every function of lstm that reads a file", [[
  local lstm, path = require "lstm", "DIR/secret/s.txt"
  local said = "cannot read .*: the sandbox reads only what "
  if not string.find then said = nil end
  local function refused(what, ok, result, message)
    if ok then assert(not result, what .. " read it") else message = result end
    assert(not said or tostring(message):find(said), what .. ": " .. tostring(message))
  end
  for _, name in ipairs{"readfile", "csv", "load", "ts", "npy", "safetensors", "raw", "folder", "text", "wav"} do
    local known, f = pcall(function() return lstm[name] end)
    if known and f then refused(name, pcall(f, path)) end
  end
  local set = {x = lstm.zeros{4, 3, 1}, y = lstm.zeros{4, 1}}
  local m = lstm.model{input = 1, hidden = 2, output = 1, loss = "mse"}
  refused("init", pcall(m.fit, m, set, {epochs = 1, batch = 2, init = path}))
  refused("resume", pcall(m.fit, m, set, {epochs = 1, batch = 2, resume = path}))
  print "refused"]], 0, "refused"}
add{"every function of lstm that writes a file", [[
  local lstm, path = require "lstm", "DIR/secret/new"
  local said = "the sandbox writes only what "
  if not string.find then said = nil end
  local function refused(what, ok, result, message)
    if ok then assert(not result, what .. " wrote it") else message = result end
    assert(not said or tostring(message):find(said, 1, true), what .. ": " .. tostring(message))
  end
  local set = {x = lstm.zeros{4, 3, 1}, y = lstm.zeros{4, 1}}
  local m = lstm.model{input = 1, hidden = 2, output = 1, loss = "mse"}
  local history = m:fit(set, {epochs = 2, batch = 2, verbose = 0})
  refused("writefile", pcall(lstm.writefile, path, "x"))
  refused("writenpy", pcall(lstm.writenpy, path, lstm.zeros(1)))
  refused("writewav", pcall(lstm.writewav, path .. ".wav", lstm.zeros{4, 1}, 8000))
  refused("save", pcall(m.save, m, path))
  refused("plot", pcall(lstm.plot.history, history, path .. ".svg"))
  refused("report", pcall(lstm.report, path .. ".html", {model = m, history = history}))
  refused("checkpoint", pcall(m.fit, m, set, {epochs = 1, batch = 2, verbose = 0, checkpoint = path}))
  refused("csv", pcall(m.fit, m, set, {epochs = 1, batch = 2, verbose = 0, csv = path}))
  print "refused"]], 0, "refused"}
add{"around the folder by dots", [[
  local lstm = require "lstm"
  assert(lstm.readfile "DIR/in/a.txt")
  assert(lstm.readfile "DIR/in/./../in/a.txt")
  print(lstm.readfile "DIR/in/../secret/s.txt")]], 0, "cannot read DIR/in/../secret/s.txt: the sandbox",
  options = "--read DIR/in"}
add{"around the folder by a link", [[print(require "lstm".readfile "DIR/in/out/s.txt")]], 0,
  "cannot read DIR/in/out/s.txt: the sandbox", options = "--read DIR/in"}
add{"writing through a link to nowhere", [[
  print(require "lstm".writefile("DIR/in/pair", "x"))]], 0, "cannot write DIR/in/pair: the sandbox",
  options = "--write DIR/in"}
add{"a folder that is not there", [[
  print(require "lstm".writefile("DIR/out/sub/n.txt", "x"))]], 0,
  "cannot write DIR/out/sub/n.txt: No such file or directory", options = "--write DIR/out"}
add{"asking whether a folder outside is there", [[
  local lstm = require "lstm"
  for _, path in ipairs{"DIR/none/x", "DIR/secret/none/x", "DIR/out/../none/x", "DIR/out/../secret/none/x",
    "DIR/in/out/none/x", "DIR/in/out/none/none/x", "DIR/in/pair/x", "DIR/in/pair/none/x"} do
    local _, message = lstm.writefile(path, "x")
    assert(#message >= #path + 50, message)                         -- the sandbox writes only what --write names
  end
  print "not told"]], 0, "not told", options = "--write DIR/out --write DIR/in"}
add{"a name that begins like the folder's", [[
  print(require "lstm".readfile "DIR/in.txt")]], 0, "cannot read DIR/in.txt: the sandbox", options = "--read DIR/in"}
add{"a path with a zero in it", [[
  print(require "lstm".readfile "DIR/secret/s.txt\0/../../in/a.txt")]], 0, "cannot read", options = "--read DIR/in"}
add{"writing where only reading is allowed", [[
  print(require "lstm".writefile("DIR/in/new", "x"))]], 0, "cannot write DIR/in/new: the sandbox",
  options = "--read DIR/in"}
add{"what is allowed", [[
  local lstm = require "lstm"
  assert(lstm.writefile("DIR/out/a.txt", "x"))
  assert(lstm.readfile "DIR/out/a.txt" == "x")
  assert(lstm.model{input = 1, hidden = 2, output = 1}:save "DIR/out/m.safetensors")
  assert(lstm.load "DIR/out/m.safetensors")
  print "done"]], 0, "done", options = "--write DIR/out"}
add{"files that belong to a file", [[
  local lstm = require "lstm"
  assert(lstm.writefile("DIR/out/b", "x"))
  assert(lstm.writefile("DIR/out/b.encoder", "x"))
  print(lstm.writefile("DIR/out/bc", "x"))]], 0, "cannot write DIR/out/bc: the sandbox", options = "--write DIR/out/b"}
add{"a file whose name begins with a file's", [[
  local lstm = require "lstm"
  assert(lstm.readfile "DIR/in/a")
  print(lstm.readfile "DIR/in/a.txt")]], 0, "cannot read DIR/in/a.txt: the sandbox", options = "--read DIR/in/a"}
add{"a broken model", [[print(require "lstm".load "DIR/in/short.safetensors")]], 0, "short.safetensors: ",
  options = "--read DIR/in"}
add{"a model whose header is as long as its file says", [[
  print(require "lstm".load "DIR/in/huge.safetensors")]], 0, "huge.safetensors: ", options = "--read DIR/in"}
add{"every byte of a model changed", [[
  local lstm = require "lstm"
  local bytes = assert(lstm.readfile "DIR/in/m.safetensors")
  for i = 1, #bytes, 7 do
    local ok, m = pcall(lstm.load, nil, {data = bytes:sub(1, i - 1) .. "\255" .. bytes:sub(i + 1)})
    if ok and m then m:predict(lstm.zeros{1, 3, 1}) end
  end
  print "survived"]], 0, "survived", options = "--read DIR/in"}

-- --- lstm's own functions -------------------------------------------------------------------------------------------

local DATA = [[
  local lstm = require "lstm"
  local set = {x = lstm.zeros{64, 20, 1}, y = lstm.zeros{64, 1}}
  local m = lstm.model{input = 1, hidden = 32, output = 1, loss = "mse"}
]]
add{"training without an end", DATA .. "m:fit(set, {epochs = 1000000, batch = 8, verbose = 0})", 124, TIME}
add{"training without an end, caught", DATA .. [[
  while true do pcall(m.fit, m, set, {epochs = 1000000, batch = 8, verbose = 0}) end]], 124, TIME}
add{"a callback that does not return", DATA .. [[
  m:fit(set, {epochs = 2, batch = 8, verbose = 0, on_epoch = function() while true do end end})]], 124, TIME}
add{"a callback that catches", DATA .. [[
  m:fit(set, {epochs = 2, batch = 8, verbose = 0, on_epoch = function() while true do pcall(error) end end})]], 124,
  TIME}
add{"one training step that takes long", [[
  local lstm = require "lstm"
  local m = lstm.model{input = 1, hidden = 400, output = 1, loss = "mse"}
  m:fit({x = lstm.zeros{8, 1000, 1}, y = lstm.zeros{8, 1}}, {epochs = 100, batch = 8, verbose = 0})]], 124, TIME,
  options = "--memory 400M", embed = false}
add{"a forecast of 500,000 steps", [[
  local lstm = require "lstm"
  local m = lstm.model{input = 1, hidden = 300, output = 1}
  local y = m:predict(lstm.zeros{1, 500000, 1})]], 124, TIME, options = "--timeout 2",
  embed = {1, "too much for one call in the sandbox"}}
add{"steps of a state without an end", DATA .. "local s = m:state() while true do s:step(1) end", 124, TIME}
add{"text without an end", [[
  local lstm = require "lstm"
  local vocab = lstm.vocab("abc", "bytes")
  local m = lstm.model{input = vocab, lstm.embedding(4), lstm.lstm(64), output = vocab}
  for piece in m:generate{prime = "a", length = 2 ^ 31 - 1} do local _ = piece end]], 124, TIME}
add{"a thousand threads", [[print(pcall(require "lstm".threads, 1000))
  assert(require "lstm".threads(256) < 256)
  print "fewer"]], 0, "fewer"}
add{"the end of the program by lstm.args", [[require "lstm".args({{"file"}}, {"--nothing"})]], 2, "--nothing",
  embed = {1, "os.exit: not in the sandbox"}}
add{"options that close what is in use", DATA .. [[
  local t, v = m:trainer{batch = 8, seq = 20}, lstm.vocab("abc", "bytes")
  local x, y = lstm.zeros{20, 8, 1}, lstm.zeros{8, 1}
  local options = setmetatable({}, {__index = function() t:close() m.core:close() end})
  for _, name in ipairs{"train", "train_some", "gradcheck"} do assert(not pcall(t[name], t, x, y, options), name) end
  assert(not pcall(t.forward, t, x, options) and not pcall(t.evaluate, t, m:state(8), x, y, options))
  assert(t:train(x, y))
  local text = lstm.model{input = v, lstm.embedding(4), lstm.lstm(8), output = v}
  local s = text:state()
  text.vocab = nil
  setmetatable(text, {__index = function() s:close() text.core:close() return v end})
  assert(not pcall(s.step, s, "a") and s:step(1))
  print "open"]], 0, "open"}
add{"changed sources of lstm", [[
  local lstm = require "lstm"
  local sources = getmetatable(lstm).sources
  sources.other, sources.csv[1], sources.wav[1] = {"os"}, "lstm.core", "io"
  for _, source in pairs(sources) do source[2] = "open" end
  assert(not pcall(function() return lstm.other.getenv end))
  assert(type(lstm.csv) ~= "function" and not lstm.csv.exists and type(lstm.wav) == "function")
  assert(not lstm.wav "/etc/hosts")
  print "none"]], 0, "none"}
add{"changed functions of lstm", [[
  local lstm = require "lstm"
  local said = {}
  for _, name in ipairs{"options", "methods", "sniff", "args"} do
    for key, value in pairs(require("lstm." .. name)) do
      if type(value) == "function" then
        require("lstm." .. name)[key] = function(...)
          for _, one in ipairs{...} do
            assert(type(one) ~= "userdata" or tostring(one):sub(1, 4) ~= "file")
            said[#said + 1] = one
          end
          return value(...)
        end
      end
    end
  end
  pcall(lstm.csv, "DIR/run.csv")
  pcall(lstm.load, "DIR/run.csv")
  print "no file"]], 0, "no file", options = "--read DIR/run.csv"}
add{"changed globals", [[
  require, setmetatable, pcall, error, type, tostring, load, ipairs, pairs = nil, nil, nil, nil, nil, nil, nil, nil, nil
  string.format, table.concat, math.floor = nil, nil, nil
  io.stdout = nil
  io.write "fine"]], 0, "fine"}

-- --- only in programs that embed ------------------------------------------------------------------------------------

add{"instructions without an end", "while true do end", 0, "", process = false, options = "--instructions 1e6",
  embed = {1, "stopped after 1000000 instructions: the limit"}}
add{"coroutines instead of instructions", "while true do coroutine.wrap(function() end)() end", 0, "", process = false,
  options = "--instructions 1e6", embed = {1, "stopped after 1000000 instructions: the limit"}}
add{"training instead of instructions", DATA .. [[
  while true do pcall(m.predict, m, set.x) end]], 0, "", process = false, options = "--instructions 1e6",
  embed = {1, "stopped after 1000000 instructions: the limit"}}
add{"many calls, each with instructions of its own", [[
  return function() for _ = 1, 300000 do end end]], 0, "", process = false,
  options = "--instructions 1e6 --calls 12", embed = {0, ""}}
add{"one call of many that does not return", [[
  return function(k) print(k) while k == 3 do end end]], 0, "", process = false, options = "--calls 9",
  embed = {1, "3\nembed: stopped after 0.3 s: the time limit"}}

return list
