-- options.lua: checks tables of named options.
--
-- A mistyped key is the most common mistake in a script, and a library that ignores it trains the wrong
-- model for an hour. Here every unknown key raises at the caller's level and names the nearest one there is.

local core = require "lstm.core"

local options = {}

local tointeger = math.tointeger or function(x)      -- Lua 5.1 has no integers; a whole number is one
  return x == math.floor(x) and x - x == 0 and x or nil
end

-- Edit distance (insert, delete, substitute, swap of neighbours) between two short strings.
local function distance(a, b)
  local before, last = nil, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local row = {[0] = i}
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
    end
    before, last = last, row
  end
  return last[#b]
end

--- The name in `names` (a list of strings) that `name` was probably meant to be, or nil where nothing is near.
-- Case, `_` and `-` do not count, and a name that only starts with what was typed is near too.
function options.nearest(name, names)
  local function plain(s) return (tostring(s):lower():gsub("[_%s%-]", "")) end
  local typed = plain(name)
  local best, best_distance
  for _, candidate in ipairs(names) do
    local other = plain(candidate)
    local d = distance(typed, other)
    if #typed >= 2 and other:sub(1, #typed) == typed then d = math.min(d, 1) end
    if d <= math.max(1, math.floor(#other / 3)) and (not best or d < best_distance) then
      best, best_distance = candidate, d
    end
  end
  return best
end

--- The strings of `names` as `a, b and c`. Limit: the first `limit` (default 60) of them, then how many more.
function options.list(names, limit)
  limit = limit or 60
  if #names == 0 then return "none" end
  if #names > limit then
    return table.concat(names, ", ", 1, limit) .. " and " .. (#names - limit) .. " more"
  end
  if #names == 1 then return tostring(names[1]) end
  return table.concat(names, ", ", 1, #names - 1) .. " and " .. tostring(names[#names])
end

-- What other libraries call them.
local elsewhere = {
  learning_rate = "lr", batch_size = "batch", validation_data = "validation", units = "hidden", hidden_size = "hidden",
  input_size = "input", num_layers = "layers", seq_length = "seq", seq_len = "seq", return_sequences = "read",
  sample_weight = "weights", class_weight = "class_weights", max_epochs = "epochs", early_stopping = "patience",
  max_length = "length", look_ahead = "ahead", lookback = "look_back", callbacks = "on_epoch", features = "columns",
}

-- The name here of what has another one elsewhere, where it is among these names.
local function translated(name, names)
  for _, candidate in ipairs(names) do
    if candidate == elsewhere[name] then return candidate end
  end
end

--- The sentence for a name that does not exist: `unknown KIND "hiden", did you mean "hidden"? ...`.
-- kind: what the name is ("option", "column"); names: what exists, in the order to show.
function options.unknown(kind, name, names)
  local is_name = type(name) == "string" or type(name) == "number"
  local near = is_name and (translated(name, names) or options.nearest(name, names))
  return ("unknown %s %s%s (there %s %s)"):format(kind, is_name and '"' .. name .. '"' or options.show(name),
    near and (', did you mean "' .. tostring(near) .. '"?') or "",
    #names == 1 and "is" or "are", options.list(names))
end

--- A short description of a value for messages: `"fast" (a string)`, `3.5`, `a table`.
function options.show(value)
  local kind = type(value)
  if kind == "string" then
    local cut = #value > 40 and value:sub(1, 37) .. "..." or value
    return ('"%s" (a string)'):format(cut)
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return "a " .. kind
end

local articles = {integer = "a whole number", number = "a number", string = "a string", boolean = "true or false",
  table = "a table", ["function"] = "a function", userdata = "an object", ["nil"] = "nil"}

local function kinds_of(rule)
  if type(rule.type) == "table" then return rule.type end
  return rule.type and {rule.type} or {}
end

-- Whether value is of one of the kinds, and the value itself (a whole float becomes an integer).
local function matches(value, kinds)
  for _, kind in ipairs(kinds) do
    if kind == "any" or type(value) == kind then return true, value end
    if kind == "integer" and type(value) == "number" and tointeger(value) then return true, tointeger(value) end
  end
  return #kinds == 0, value
end

-- "a whole number from 1 to 10", "one of "adam" and "sgd"": what a rule asks for, in words.
local function wanted(rule)
  if rule.choices then
    local quoted = {}
    for i, choice in ipairs(rule.choices) do quoted[i] = type(choice) == "string" and '"' .. choice .. '"' or choice end
    return "one of " .. options.list(quoted)
  end
  local words = {}
  for i, kind in ipairs(kinds_of(rule)) do words[i] = articles[kind] or kind end
  local text = #words > 0 and table.concat(words, " or ") or "a value"
  if rule.above then text = text .. " above " .. rule.above end
  if rule.min and rule.below then return ("%s of at least %s and below %s"):format(text, rule.min, rule.below) end
  if rule.below then text = text .. (rule.above and " and" or "") .. " below " .. rule.below end
  if rule.min and rule.max then return ("%s from %s to %s"):format(text, rule.min, rule.max) end
  if rule.min then text = text .. " of at least " .. rule.min end
  if rule.max then text = text .. (rule.above and " and" or " of") .. " at most " .. rule.max end
  return text
end

local function in_range(value, rule)
  if type(value) ~= "number" then return true end
  if value ~= value then return rule.nan or false end
  return not (rule.min and value < rule.min or rule.max and value > rule.max
    or rule.above and value <= rule.above or rule.below and value >= rule.below)
end

local function is_choice(value, choices)
  for _, choice in ipairs(choices) do if choice == value then return true end end
  return false
end

--- Checks one value against a rule. Returns the value (a whole float as an integer), or nil and what was wanted.
-- rule: {type = name or list of names, min, max, above, below, choices}; names are Lua's and "integer", "any".
function options.value(value, rule)
  local ok, converted = matches(value, kinds_of(rule))
  if not ok or not in_range(converted, rule) or rule.choices and not is_choice(converted, rule.choices) then
    return nil, wanted(rule)
  end
  return converted
end

--- An argument of a function: the value, if it is of the type (a name or a list of names, as in a rule); else raises
-- "WHAT must be a string, got nil" at the line of the user's script.
function options.argument(value, kind, what)
  local checked, want = options.value(value, {type = kind, nan = true})
  if checked == nil then core.raise(("%s must be %s, got %s"):format(what, want, options.show(value))) end
  return checked
end

-- A spec entry is a rule table, `true` (anything goes), or a plain default whose type is then the rule.
local function rule_of(entry)
  if type(entry) == "table" then return entry end
  if entry == true then return {} end
  return {type = type(entry), default = entry}
end

-- The names a spec allows, sorted, and name -> rule.
local function read_spec(spec)
  local names, rules = {}, {}
  for key, entry in pairs(spec) do
    local name = type(key) == "number" and entry or key
    rules[name] = type(key) == "number" and {} or rule_of(entry)
    if name ~= "#" then names[#names + 1] = name end
  end
  table.sort(names)
  return names, rules
end

local function check_keys(given, names, rules, where)
  for key in pairs(given) do
    if type(key) == "number" then
      if not rules["#"] then
        core.raise(("%s: options are named, as in {%s = ...}; got %s without a name"):format(
          where, names[1] or "name", options.show(given[key])))
      end
    elseif not rules[key] or key == "#" then
      core.raise(where .. ": " .. options.unknown("option", key, names))
    end
  end
end

-- The choice that a mistyped one was probably meant to be, as the end of a sentence.
local function near_choice(value, rule)
  local near = rule.choices and type(value) == "string" and options.nearest(value, rule.choices)
  return near and (', did you mean "%s"?'):format(near) or ""
end

--- Checks a table of options and returns a new table with the defaults filled in. The argument is not changed.
-- given: the table the caller passed, or nil for no options.
-- spec: a list of allowed names {"seq", "batch"}, and/or name = entry, where an entry is
--   a rule {type = "integer", default = 32, min = 1, max, above, below, choices = {...}, required = true},
--   a plain default (`batch = 32`: must then be of the same type), or `true` (anything).
--   ["#"] = true allows elements without a name; they are copied.
-- where: the function's name for messages ("fit").
-- Raises, at the line of the user's script, on an unknown key (naming the nearest and listing what exists), a wrong
-- type, and a value out of range.
function options.check(given, spec, where)
  if given ~= nil and type(given) ~= "table" then
    core.raise(("%s: options must be a table, as in {name = value}; got %s"):format(where, options.show(given)))
  end
  given = given or {}
  local names, rules = read_spec(spec)
  check_keys(given, names, rules, where)
  local result = {}
  for i, value in ipairs(given) do result[i] = value end
  for _, name in ipairs(names) do
    local rule, value = rules[name], given[name]
    if value == nil then
      if rule.required then core.raise(('%s: option "%s" is missing'):format(where, name)) end
      result[name] = rule.default
    else
      local checked, want = options.value(value, rule)
      if checked == nil then
        core.raise(('%s: option "%s" must be %s, got %s%s'):format(where, name, want, options.show(value),
          near_choice(value, rule)))
      end
      result[name] = checked
    end
  end
  return result
end

return options
