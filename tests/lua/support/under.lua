-- under.lua TEST.lua [ARGUMENT...]: runs a test file with the interpreter that runs this, and the Lua module. The
-- tests are written for Lua 5.4: what they use of its library, but never what the module uses, is made up here for
-- older ones.

-- luacheck: globals arg unpack setfenv loadstring
local unpack = table.unpack or unpack
require "lstm"                                                             -- its parts are found from now on

local function inherit(from, fields) return setmetatable(fields, {__index = from}) end

-- 5.1 returns what the system does: the code times 256.
local function execute(command)
  local code, kind, number = os.execute(command)
  if type(code) ~= "number" then return code, kind, number end
  if code % 256 ~= 0 then return nil, "signal", code % 256 end
  return code == 0 or nil, "exit", code / 256
end

local function is_whole(x) return type(x) == "number" and x == math.floor(x) and x - x == 0 end

local env = inherit(_G, {
  table = inherit(table, {unpack = unpack, pack = function(...) return {n = select("#", ...), ...} end}),
  os = inherit(os, {execute = execute}),
  math = inherit(math, {
    type = math.type or function(x) return is_whole(x) and "integer" or type(x) == "number" and "float" or nil end,
    tointeger = math.tointeger or function(x) return is_whole(x) and x or nil end,
  }),
  utf8 = utf8 or {
    len = function(text)
      local utf, n = require "lstm.utf", 0
      local bad = utf.broken_at(text)
      if bad then return nil, bad end
      for _ in utf.characters(text) do n = n + 1 end
      return n
    end,
    char = function(code)
      if code < 0x80 then return string.char(code) end
      if code < 0x800 then return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64) end
      return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
    end,
  },
})

-- --- what older parsers lack ----------------------------------------------------------------------------------------
-- #object calls __len of tables since 5.2: where it does not, #object in a test becomes __len(object). \u{...} is known
-- since 5.3, and by LuaJIT.

local asks = #setmetatable({}, {__len = function() return 1 end}) == 1

-- The place after the string, comment or bracket that begins at i; or nil: nothing of the kind begins there.
local function after(text, i)
  local c = text:match("^%-%-%[=*%[", i) or text:match("^%-%-", i) or text:match("^%[=*%[", i) or text:sub(i, i)
  if c == "--" then return text:find("\n", i, true) or #text + 1 end
  if #c > 1 then return select(2, text:find("]" .. c:match "=*" .. "]", i, true)) + 1 end
  if c == '"' or c == "'" then
    repeat i = i + (text:sub(i, i) == "\\" and 2 or 1) until text:sub(i, i) == c
    return i + 1
  end
  if not c:find "[({%[]" then return nil end
  i = i + 1
  while not text:find("^[)}%]]", i) do i = after(text, i) or i + 1 end
  return i + 1
end

-- The place after the operand of a # that stands before i.
local function after_operand(text, i)
  i = text:match("^[%a_][%w_]*()", i) or after(text, i)
  while true do
    local next_one = text:match("^%.[%a_][%w_]*()", i) or text:match("^:[%a_][%w_]*()", i)
      or text:find("^[({%[\"]", i) and after(text, i)
    if not next_one then return i end
    i = next_one
  end
end

local function with_len(text)
  local parts, i, from = {}, 1, 1
  while i <= #text do
    if text:find("^#[%a_(]", i) then
      local stop = after_operand(text, i + 1)
      parts[#parts + 1] = text:sub(from, i - 1) .. "__len(" .. with_len(text:sub(i + 1, stop - 1)) .. ")"
      i, from = stop, stop
    else
      local c = text:sub(i, i)
      i = (c == '"' or c == "'" or text:find("^%-%-", i) or text:find("^%[=*%[", i)) and after(text, i) or i + 1
    end
  end
  return table.concat(parts) .. text:sub(from)
end

local function escape(code) return (utf8 or env.utf8).char(tonumber(code, 16)):gsub(".", function(c)
  return "\\" .. c:byte()
end) end

local function translated(text)
  if _VERSION < "Lua 5.3" then text = text:gsub("\\u{(%x+)}", escape) end
  return asks and text or with_len(text)
end

env.__len = require "lstm".len
function env.load(chunk, name, mode, own)
  if type(chunk) == "string" then chunk = translated(chunk) end
  if not setfenv then return load(chunk, name, mode or "bt", own or env) end
  local f, message = (type(chunk) == "string" and loadstring or load)(chunk, name)
  return f and setfenv(f, own or env), message
end
function env.loadfile(path) return env.load(assert(env.require "lstm".readfile(path)), "@" .. path) end
function env.dofile(path) return assert(env.loadfile(path))() end
env._G = env
getmetatable(env).__newindex = _G

local file = table.remove(arg, 1)
arg[0] = file
assert(env.loadfile(file))(unpack(arg))
