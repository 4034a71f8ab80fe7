-- methods.lua: what a script hears that calls a method that is not there.

local core = require "lstm.core"
local options = require "lstm.options"

local methods = {}

local function names_of(class)
  local names = {}
  for name in pairs(class) do
    if type(name) == "string" and name:sub(1, 2) ~= "__" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- The sentence: `model: there is no method "fti"; did you mean "fit"?`, and the near name.
function methods.missing(kind, name, class)
  local near = options.nearest(name, names_of(class))
  return ('%s: there is no method "%s"%s'):format(kind, tostring(name),
    near and ('; did you mean "%s"?'):format(near) or ""), near
end

local function set(names)
  local result = {}
  for _, name in ipairs(names or {}) do result[name] = true end
  return result
end

--- Makes a class raise for a method that it does not have: where the name is near to one of its own; with strict =
-- true, always. fields: names that may be asked for in vain.
function methods.guard(class, kind, fields, strict)
  local may_miss = set(fields)
  return setmetatable(class, {__index = function(_, name)
    if may_miss[name] or type(name) ~= "string" or name:sub(1, 2) == "__" then return nil end
    local sentence, near = methods.missing(kind, name, class)
    if near or strict then core.raise(sentence) end
  end})
end

--- #object, also where Lua ignores __len of tables (5.1, LuaJIT).
function methods.len(object)
  local meta = getmetatable(object)
  if type(object) == "table" and type(meta) == "table" and meta.__len then return meta.__len(object) end
  local ok, n = pcall(function() return #object end)
  if not ok then core.raise("len: something with a length expected, got " .. options.show(object)) end
  return n
end

return methods
