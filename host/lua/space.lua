-- space.lua: what a search tries: lists of values and ranges by name, and the trials that come of them.

local core = require "lstm.core"
local options = require "lstm.options"

local space = {}
local Range = {}
Range.__index = Range
Range.__name = "lstm.range"

--- All numbers from low to high, for lstm.search. opts: log (true: uniform in the logarithm), whole (true: whole
-- numbers), steps (how many a grid tries, evenly spaced). Raises for what is no range.
function space.range(low, high, opts)
  opts = options.check(opts, {
    log = {type = "boolean"}, whole = {type = "boolean"}, steps = {type = "integer", min = 2},
  }, "range")
  for _, value in ipairs{low, high} do
    if not options.value(value, {type = opts.whole and "integer" or "number"}) then low = nil end
  end
  if type(low) ~= "number" or type(high) ~= "number" or low >= high or high == math.huge then
    core.raise(("range: two %s expected, the smaller one first, as in lstm.range(%s)"):format(
      opts.whole and "whole numbers" or "numbers", opts.log and "1e-4, 1e-1, {log = true}" or "0, 0.5"))
  end
  if opts.log and low <= 0 then core.raise("range: log = true needs numbers above 0") end
  return setmetatable({low = low, high = high, log = opts.log, whole = opts.whole, steps = opts.steps}, Range)
end

-- The number at a share (0..1) of the range. For whole numbers each has the same part of it.
local function at(range, share, inner)
  local low, high = range.low, range.high
  if range.whole and not inner then low, high = low - 0.5, high + 0.5 end
  if range.log then
    low = math.max(low, range.low / 2)
    local value = low * (high / low) ^ share
    return range.whole and math.floor(value + 0.5) or value
  end
  local value = low + (high - low) * share
  return range.whole and math.max(range.low, math.min(range.high, math.floor(value + 0.5))) or value
end

local function is_range(value) return getmetatable(value) == Range end

function Range:__tostring()
  return ("from %.7g to %.7g%s%s"):format(self.low, self.high, self.log and ", log" or "",
    self.whole and ", whole" or "")
end

-- --- values as text ------------------------------------------------------------------------------------------------

--- A value of a trial as text: 0.01, adam, {64, 32}.
function space.text(value)
  if type(value) == "table" then
    local words = {}
    for i, one in ipairs(value) do words[i] = space.text(one) end
    return "{" .. table.concat(words, ", ") .. "}"
  end
  if type(value) ~= "number" then return tostring(value) end
  if value == math.floor(value) and math.abs(value) < 1e15 then return ("%.0f"):format(value) end
  return ("%.6g"):format(value)
end

--- The values of a trial as text: "hidden 64, lr 0.01".
function space.words(names, values)
  local words = {}
  for i, name in ipairs(names) do words[i] = name .. " " .. space.text(values[name]) end
  return table.concat(words, ", ")
end

-- --- trials ---------------------------------------------------------------------------------------------------------

local function check_entry(name, entry)
  if type(name) ~= "string" then
    core.raise("search: space names options, as in space = {lr = {1e-3, 1e-2}}; got a value without a name")
  end
  if is_range(entry) then return end
  if type(entry) ~= "table" or #entry == 0 or next(entry, #entry) ~= nil then
    core.raise(("search: space: %s must be a list of values or lstm.range(low, high), got %s"):format(name,
      type(entry) == "table" and "a table without a list" or options.show(entry)))
  end
  for i, value in ipairs(entry) do
    local kind = type(value)
    if kind ~= "number" and kind ~= "string" and kind ~= "boolean" and kind ~= "table" then
      core.raise(("search: space: value %d of %s must be a number, a string, true, false or a list, got %s"):format(i,
        name, options.show(value)))
    end
  end
end

--- The names of a space, sorted. Raises for what is none.
function space.names(given)
  local names = {}
  for name, entry in pairs(given) do
    check_entry(name, entry)
    names[#names + 1] = name
  end
  if #names == 0 then core.raise("search: the space is empty") end
  table.sort(names)
  return names
end

-- The values that a grid tries.
local function grid_values(name, entry)
  if not is_range(entry) then return entry end
  if not entry.steps then
    core.raise(("search: space: a grid needs steps for the range of %s: lstm.range(low, high, {steps = 5})"):format(
      name))
  end
  local list = {}
  for i = 1, entry.steps do
    local value = at(entry, (i - 1) / (entry.steps - 1), true)
    if value ~= list[#list] then list[#list + 1] = value end
  end
  return list
end

--- All combinations: the last name changes fastest.
function space.grid(given, names)
  local trials = {{}}
  for _, name in ipairs(names) do
    local values, more = grid_values(name, given[name]), {}
    for _, trial in ipairs(trials) do
      for _, value in ipairs(values) do
        local copy = {}
        for key, one in pairs(trial) do copy[key] = one end
        copy[name] = value
        more[#more + 1] = copy
      end
    end
    trials = more
    if #trials > 100000 then core.raise("search: the grid has more than 100000 combinations: use kind = \"random\"") end
  end
  return trials
end

local TRIES = 200                                    -- draws for a combination that was not there yet

--- count combinations drawn at random, none twice; fewer where there are no more. The first ones do not depend on
-- count.
function space.random(given, names, count, seed)
  local rng, trials, seen = core.rng(seed), {}, {}
  for _ = 1, count do
    for _ = 1, TRIES do
      local trial = {}
      for _, name in ipairs(names) do
        local entry = given[name]
        if is_range(entry) then trial[name] = at(entry, rng:uniform())
        else trial[name] = entry[rng:index(#entry)] end
      end
      local text = space.words(names, trial)
      if not seen[text] then
        seen[text] = true
        trials[#trials + 1] = trial
        break
      end
    end
  end
  return trials
end

--- What tells this space from another.
function space.describe(given, names)
  local lines = {}
  for i, name in ipairs(names) do
    local entry = given[name]
    lines[i] = name .. "=" .. (is_range(entry) and ("%.17g %.17g %s %s %s"):format(entry.low, entry.high,
      tostring(entry.log), tostring(entry.whole), tostring(entry.steps)) or space.text(entry))
  end
  return table.concat(lines, "\n")
end

return space
