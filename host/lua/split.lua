-- split.lua: parts of sets: ranges, fractions, folds, batches. A set has `#`, slice(from, to), and pick(numbers), which
-- gives the elements with these numbers (int32 array, from 1).

local core = require "lstm.core"
local options = require "lstm.options"
local seeds = require "lstm.seeds"

local cuts = {}

--- from..to of n things, 1-based, both included; negative counts from the end; `to` defaults to n.
-- Raises at the user's line where there are none.
function cuts.range(noun, n, from, to)
  if to == nil then to = n end
  for _, bound in ipairs{from or false, to} do
    if not options.value(bound, {type = "integer"}) then
      core.raise(("slice: %s must be whole numbers, got %s"):format(noun, options.show(bound or nil)))
    end
  end
  if from < 0 then from = n + 1 + from end
  if to < 0 then to = n + 1 + to end
  if from < 1 or to > n or from > to then core.raise(("slice: %s %d to %d of %d"):format(noun, from, to, n)) end
  return from, to
end

--- The places where parts of n things end: {0.8, 0.1} of 100 -> {80, 90, 100}. Raises where a part would be empty.
function cuts.ends(noun, n, fractions)
  local ends, sum = {}, 0
  if #fractions == 0 then core.raise("split: give a fraction, as in split(0.9)") end
  for i, fraction in ipairs(fractions) do
    if type(fraction) ~= "number" or not (fraction > 0 and fraction < 1) then
      core.raise(("split: fraction %d must be between 0 and 1, got %s"):format(i, options.show(fraction)))
    end
    sum = sum + fraction
    ends[i] = math.floor(n * sum + 1e-6)             -- 0.29 * 100 is a hair below 29
  end
  if sum >= 1 - 1e-9 then core.raise("split: the fractions leave nothing for the last part") end
  ends[#ends + 1] = n
  for i, to in ipairs(ends) do
    if to <= (ends[i - 1] or 0) then core.raise(("split: part %d of %d %s would be empty"):format(i, n, noun)) end
  end
  return ends
end

-- The numbers 1..n in one list, or, by labels, in one for each label, in the order of their first element.
local function groups(n, labels)
  if not labels then return {core.range(1, n)} end
  local lists, by_label = {}, {}
  for i = 1, n do
    local list = by_label[labels[i]]
    if not list then
      list = {}
      lists[#lists + 1], by_label[labels[i]] = list, list
    end
    list[#list + 1] = i
  end
  for k, list in ipairs(lists) do lists[k] = core.array(list, "int32") end
  return lists
end

local function joined(pieces)
  local all = pieces[1]
  for i = 2, #pieces do all = core.join(all, pieces[i]) end
  return all
end

-- Shuffled groups: one for "random", one for each label for "stratified".
local function shuffled(set, noun, opts, where)
  local labels
  if opts.by == "stratified" then
    labels = rawget(set, "labels") and set.y
    if not labels then core.raise(('%s: by = "stratified" needs labels, these %s have none'):format(where, noun)) end
  end
  local lists, rng = groups(set:__len(), labels), core.rng(opts.seed or seeds.next())
  for _, list in ipairs(lists) do rng:shuffle(list) end
  return lists
end

--- What the `split` methods do: fractions, then perhaps {by = "time" (default), "random" or "stratified", seed =}.
-- By time the parts are views. Stratified: each part has its share of each label. noun: "rows", for messages.
function cuts.split(set, noun, ...)
  local fractions, parts, n = {...}, {}, set:__len()
  local opts = type(fractions[#fractions]) == "table" and table.remove(fractions) or nil
  opts = options.check(opts, {by = {choices = {"time", "random", "stratified"}, default = "time"},
    seed = {type = "integer"}}, "split", 3)
  local ends = cuts.ends(noun, n, fractions)
  if opts.by == "time" then
    for i, to in ipairs(ends) do parts[i] = set:slice((ends[i - 1] or 0) + 1, to) end
  else
    for i = 1, #ends do parts[i] = {} end
    for _, list in ipairs(shuffled(set, noun, opts, "split")) do
      local from = 1
      for i, to in ipairs(ends) do
        local last = math.floor(to / n * #list + 0.5)
        if last >= from then parts[i][#parts[i] + 1] = list:slice(from, last) end
        from = last + 1
      end
    end
    for i, pieces in ipairs(parts) do
      if #pieces == 0 then core.raise(("split: part %d of %d %s would be empty"):format(i, n, noun)) end
      parts[i] = set:pick(joined(pieces):sort())     -- in their old order
    end
  end
  return (table.unpack or unpack)(parts)             -- luacheck: ignore unpack
end

-- Fold i of k by time: learns from the first i blocks of k + 1, is measured on the next. known: see cuts.folds.
local function expanding(set, k, i, known)
  local n = set:__len()
  local first, last = math.floor(n * i / (k + 1)), math.floor(n * (i + 1) / (k + 1))
  return set:slice(1, known and known(first) or first), set:slice(first + 1, last)
end

-- Fold i of k: elements i, i + k, ... of the order are measured, the others learnt.
local function held_out(set, order, k, i)
  local train, validation = {}, nil
  for j = 1, k do
    local piece = core.pick(order, core.range(j, math.floor((#order - j) / k) + 1, k))
    if j == i then validation = piece else train[#train + 1] = piece end
  end
  return set:pick(joined(train):sort()), set:pick(validation:sort())
end

--- What the `folds` methods do: an iterator for `for fold, train, validation in set:folds(5) do`. opts: {by =, seed =};
-- by = "random" (each element is measured once), "stratified" (the same, with each label in its share) or "expanding"
-- (fold i learns from the first i of k + 1 blocks and is measured on the next: for series). default: of `by`.
-- known (optional): a function of n that says how many of the first n elements are all known before element n + 1 is
-- foretold.
function cuts.folds(set, noun, default, k, opts, known)
  if not options.value(k, {type = "integer", min = 2, max = math.max(2, set:__len() - 1)}) then
    core.raise(("folds: the number of folds must be a whole number from 2 to %d, got %s"):format(
      math.max(2, set:__len() - 1), options.show(k)))
  end
  opts = options.check(opts, {by = {choices = {"random", "stratified", "expanding"}, default = default},
    seed = {type = "integer"}}, "folds", 3)
  local order = opts.by ~= "expanding" and joined(shuffled(set, noun, opts, "folds"))
  local i = 0
  return function()
    i = i + 1
    if i > k then return nil end
    if order then return i, held_out(set, order, k, i) end
    return i, expanding(set, k, i, known)
  end
end

--- What the `batches` methods do: an iterator over make(numbers from 0, int32 [B]).
function cuts.batches(n, opts, make)
  opts = options.check(opts, {batch = {type = "integer", min = 1, default = 32}, shuffle = {type = "boolean"},
    seed = {type = "integer"}}, "batches", 3)
  local order, from = core.range(0, n), 1
  if opts.shuffle then core.rng(opts.seed or seeds.next()):shuffle(order) end
  return function()
    if from > n then return nil end
    local to = math.min(n, from + opts.batch - 1)
    local numbers = order:slice(from, to)
    from = to + 1
    return make(numbers)
  end
end

--- The numbers (from 1) of a list or an int32 array, for `pick` methods. Raises where one is not of 1..n.
function cuts.numbers(noun, n, list)
  if type(list) == "table" then
    for i, number in ipairs(list) do
      if not options.value(number, {type = "integer"}) then
        core.raise(("pick: number %d must be a whole number, got %s"):format(i, options.show(number)))
      end
    end
    list = core.array(list, "int32")
  end
  if not core.is_array(list) or list:kind() ~= "int32" then
    core.raise(("pick: numbers of %s expected, as a list or an int32 array, got %s"):format(noun, options.show(list)))
  end
  if #list == 0 then core.raise(("pick: no %s are named"):format(noun)) end
  local low, high = list:min(), list:max()
  if low < 1 or high > n then
    core.raise(("pick: %s %d, there are 1 to %d"):format(noun, low < 1 and low or high, n))
  end
  return list
end

return cuts
