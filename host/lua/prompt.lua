-- prompt.lua: what the prompt (host/repl.c) does in Lua: values printed, names completed, help.

local core = require "lstm.core"
local help = require "lstm.help"
local show = require "lstm.show"

local prompt = {}

-- Calls add(name) for the string keys of a table.
local function add_keys(t, add)
  for key in next, t do
    if type(key) == "string" then add(key) end
  end
end

-- The names that may follow a value: its own, those of its metatables, and those that the stubs give its class.
local function add_names(value, add)
  local meta, depth = value, 0
  if type(value) == "table" then add_keys(value, add) end
  while depth < 8 do
    meta, depth = getmetatable(meta), depth + 1
    if type(meta) ~= "table" then break end
    if type(rawget(meta, "sources")) == "table" then add_keys(meta.sources, add) end
    local index = rawget(meta, "__index")
    if type(index) == "table" then add_keys(index, add) end
    if rawget(meta, "__name") then add_keys(meta, add) end               -- a class is its objects' metatable
    meta = type(index) == "table" and index or nil
    if not meta then break end
  end
  local class = type(value) ~= "string" and help.class_of(value)
  for _, name in ipairs(class and help.methods(class) or {}) do add(name) end
end

-- The value of `a.b[1].c:`, from the globals, without calling anything but __index; nil where it leads nowhere.
local function value_of(path)
  local value = _G
  for name in path:gmatch("[%w_]+") do
    if type(value) ~= "table" and type(value) ~= "userdata" and type(value) ~= "string" then return nil end
    local fine, next_value = pcall(function() return value[tonumber(name) or name] end)
    if not fine then return nil end
    value = next_value
  end
  return value
end

local keywords = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}

-- What a name is followed by: "(" for functions, so that the next key is an argument.
local function suffix(value, name)
  local fine, member = pcall(function() return value[name] end)
  return fine and type(member) == "function" and "(" or ""
end

--- The words that could stand for the last one of a line, sorted; each begins as that one does.
function prompt.complete(line)
  local path, separator, start = line:match("([%a_][%w_%.%[%]]*)([.:])([%w_]*)$")
  if not path then path, separator, start = "", "", line:match("[%w_]*$") end
  if path == "" and line:sub(1, #line - #start):find("[.:]$") then return {} end      -- f(x).y: nothing is called
  local value = value_of(path)
  if value == nil then return {} end
  local words, seen = {}, {}
  local function add(name)
    if seen[name] or name:sub(1, #start) ~= start or not name:find("^[%a_][%w_]*$") then return end
    if name:sub(1, 2) == "__" and start:sub(1, 2) ~= "__" then return end
    local after = suffix(value, name)
    if separator == ":" and after == "" then return end
    seen[name] = true
    words[#words + 1] = name .. after
  end
  add_names(value, add)
  if path == "" then
    for _, word in ipairs(keywords) do add(word) end
  end
  table.sort(words)
  for i, word in ipairs(words) do words[i] = path .. separator .. word end
  return words
end

--- What the values of a line look like.
prompt.show = show.values

local Help = {}
function Help.__call(_, ...) return help.print(...) end
function Help.__tostring() return 'help() lists what there is; help(x) and help "fit" tell about a thing or a name' end

local Exit = {}
function Exit.__call(_, code) return os.exit(code == nil and true or code, true) end
function Exit.__tostring() return "Ctrl-D (or exit()) ends the prompt" end

--- The globals of the prompt: lstm, help, exit and quit, where a script has not made its own.
function prompt.open()
  for _, name in ipairs{"exit", "quit"} do
    if rawget(_G, name) == nil then rawset(_G, name, setmetatable({}, Exit)) end
  end
  if rawget(_G, "lstm") == nil then _G.lstm = require "lstm" end
  if rawget(_G, "help") == nil then _G.help = setmetatable({}, Help) end
end

--- The file that keeps the lines, or nil: LSTM_HISTORY ("" for none), else .lstm_history in the home folder.
function prompt.history()
  local path, home = os.getenv "LSTM_HISTORY", os.getenv "HOME"
  if path then return path ~= "" and path or nil end
  return home and core.exists(home) and home .. "/.lstm_history" or nil
end

return prompt
