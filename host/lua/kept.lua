-- kept.lua: the options of a run as its checkpoint keeps them: what must be the same when it goes on, and what is taken
-- over where it is not given again.

local options = require "lstm.options"
local training = require "lstm.training"

local kept = {}

-- What must be the same in a run that goes on: name = value, one a line. What is not given has no line.
local fixed = {"batch", "accumulate", "seq", "loss", "shuffle", "bucket", "burn_in", "monitor", "mode", "min_delta",
  "plateau"}
for _, name in ipairs(training.names) do fixed[#fixed + 1] = name end

local function kept_text(value)
  if math.type and math.type(value) == "integer" then return ("%d"):format(value) end
  if type(value) == "number" then return ("%.17g"):format(value) end
  if type(value) == "userdata" then value = value:totable() end
  if type(value) ~= "table" then return tostring(value) end
  local words = {}
  for key, one in pairs(value) do
    words[#words + 1] = type(key) == "string" and key .. " " .. kept_text(one) or nil
  end
  table.sort(words)
  for i, one in ipairs(value) do words[i] = kept_text(one) end
  return (table.concat(words, ", "):gsub("[\n=]", "?"))
end

--- The fixed options that were given, as text.
function kept.text(opts)
  local lines = {}
  for _, name in ipairs(fixed) do
    if opts[name] ~= nil then lines[#lines + 1] = name .. "=" .. kept_text(opts[name]) end
  end
  return table.concat(lines, "\n")
end

local function read_options(text)
  local values = {}
  for name, value in text:gmatch("([^\n=]+)=([^\n]*)") do
    if value ~= "nil" then values[name] = value end          -- older files have a line for everything
  end
  return values
end

-- A kept text as it is shown.
local function shown(text)
  local number = not text:find("^%-?%d+$") and tonumber(text)
  return number and ("%.7g"):format(number) or text
end

--- The first option that differs between two texts, as a sentence that says what to do, or nil.
function kept.changed(before, now)
  before, now = read_options(before), read_options(now)
  for _, name in ipairs(fixed) do
    local was, is = before[name], now[name]
    if was ~= is then
      local old, new = shown(was or "the default"), shown(is or "the default")
      if old == new then old, new = was, is end
      return ('option "%s" was %s in that run and is %s now: %s, or begin a new run without resume'):format(name, old,
        new, was and ("give %s = %s again"):format(name, old) or ("leave %s out"):format(name))
    end
  end
  return nil
end

-- A value of training.spec from its kept text; nil for tables and for what is none.
local function kept_value(name, text)
  local rule = training.spec[name]
  if text == "true" or text == "false" then return text == "true" end
  local value = options.value(tonumber(text), rule)
  if value == nil and rule.choices then value = options.value(text, rule) end
  return value
end

--- The options that say how weights move, and the seed: where they were not given, as they were in that run.
function kept.recall(opts, given, text)
  local before = read_options(text)
  for _, name in ipairs(training.names) do
    if given[name] == nil and before[name] and type(opts[name]) ~= "table" then
      local value = kept_value(name, before[name])
      if value ~= nil then opts[name] = value end
    end
  end
end

return kept
