-- meta.lua: what travels in a model file beside the weights: the vocabulary, labels, scalers, whatever a script adds.
--
-- A file carries strings only. A string stands for itself; other values begin with @ and their kind:
-- "@number 12", "@scaler ...", "@table ..." (one line for each field).

local options = require "lstm.options"

local meta = {}

local function escaped(s) return (s:gsub("\\", "\\\\"):gsub("\n", "\\n"):gsub("=", "\\e")) end
local function unescaped(s)
  return (s:gsub("\\(.)", function(c) return c == "n" and "\n" or c == "e" and "=" or c end))
end

local function is_utf8(s)
  if not s:find("[%z\128-\255]") then return true end
  return utf8 ~= nil and utf8.len(s) ~= nil and not s:find("%z")
end

local function to_hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function from_hex(s) return (s:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function table_lines(value, where, depth)
  local lines = {"@table"}
  for _, key in ipairs(sorted_keys(value)) do
    lines[#lines + 1] = escaped(meta.encode(key, where, depth)) .. "=" .. escaped(meta.encode(value[key], where, depth))
  end
  return table.concat(lines, "\n")
end

--- The string that stands for a value: a string, number, boolean, vocabulary, scaler, or table of these.
-- Raises (at the user's script) for anything else. where: the value's name, for the message.
function meta.encode(value, where, depth)
  local kind = type(value)
  depth = (depth or 0) + 1
  if kind == "string" then
    if not is_utf8(value) then return "@hex " .. to_hex(value) end
    return value:sub(1, 1) == "@" and "@string " .. value or value
  elseif kind == "number" then
    return "@number " .. (value == math.floor(value) and math.abs(value) < 1e15 and "%.0f" or "%.17g"):format(value)
  elseif kind == "boolean" then
    return "@boolean " .. tostring(value)
  elseif kind == "table" and value.tometa then
    return (value.apply and "@scaler " or value.encode and "@vocab " or "@history ") .. value:tometa()
  elseif kind == "table" and depth < 10 then
    return table_lines(value, where, depth)
  end
  return require "lstm.core".raise(('meta: "%s" cannot be kept in a file: it is %s'):format(where, options.show(value)))
end

local function table_of(lines)
  local result = {}
  for line in lines:gmatch("[^\n]+") do
    local key, value = line:match("^([^=]*)=(.*)$")
    if not key then return nil end
    key, value = meta.decode(unescaped(key)), meta.decode(unescaped(value))
    if key == nil or value == nil then return nil end
    result[key] = value
  end
  return result
end

local decoders = {
  string = function(s) return s end,
  hex = from_hex,
  number = tonumber,
  boolean = function(s) return s == "true" end,
  vocab = function(s) return (require "lstm.vocab".frommeta(s)) end,
  scaler = function(s) return (require "lstm.scale".frommeta(s)) end,
  history = function(s) return (require "lstm.history".frommeta(s)) end,
  table = table_of,
}

--- The value that a string of `encode` stands for; nil where it is broken.
function meta.decode(text)
  local kind, rest = text:match("^@(%l+)[ \n]?(.*)$")
  if not kind then return text end
  local decoder = decoders[kind]
  return decoder and decoder(rest)
end

return meta
