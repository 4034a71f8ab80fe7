-- sequences.lua: sets of sequences of different length, as lists.
--
--   lstm.sequences{x = {a, b, c}, y = {"up", "down", "up"}}        one label each: a model that reads once
--   lstm.sequences{x = {a, b, c}, y = {ya, yb, yc}}                targets at each step: a model that reads all
-- Among classes and labels, false stands for no target.
--
-- A sequence is an array [T][I], [T] (one input) or of ids [T], a table of such numbers, tokens, or, where the model
-- has a vocabulary, a string.

local core = require "lstm.core"
local cuts = require "lstm.split"
local methods = require "lstm.methods"
local options = require "lstm.options"

local sequences = {}
local Sequences = methods.guard({}, "sequences", {"y", "packed", "gather", "labels", "scaler"})
Sequences.__index = Sequences
Sequences.__name = "lstm.sequences"

local function is_tokens(value) return type(value) == "table" and rawget(value, "kind") == "tokens" end

-- One sequence: arrays, tokens and strings as they are, tables of numbers as arrays.
local function normal(value, i, where)
  where = where or "sequences"
  if type(value) == "string" or is_tokens(value) then return value end
  if type(value) == "table" then value = core.array(value) end
  if not core.is_array(value) then
    core.raise(("%s: sequence %d must be an array, a table of numbers, tokens or a string, got %s"):format(where, i,
      options.show(value)))
  end
  local n, _, more = value:shape()
  if more then core.raise(("%s: sequence %d has more than two axes"):format(where, i)) end
  if n == 0 then core.raise(("%s: sequence %d is empty"):format(where, i)) end
  return value
end

--- One sequence: as an array, tokens or a string. Raises for what is none.
function sequences.of(value, where)
  if type(value) == "table" and not is_tokens(value) and not sequences.is_list(value) then value = core.array(value) end
  if not core.is_array(value) and type(value) ~= "string" and not is_tokens(value) then
    core.raise(where .. ": one sequence expected, got " .. options.show(value))
  end
  if value == "" or type(value) == "userdata" and #value == 0 then core.raise(where .. ": the sequence is empty") end
  return value
end

-- The distinct strings among targets, sorted; nil where there are none.
local function labels_of(y)
  if type(y) ~= "table" then return nil end
  local seen, labels = {}, {}
  for i = 1, #y do
    if type(y[i]) == "string" and not seen[y[i]] then
      seen[y[i]] = true
      labels[#labels + 1] = y[i]
    end
  end
  table.sort(labels)
  return #labels > 0 and labels or nil
end

local function make(x, y, labels, scaler)
  return setmetatable({kind = "sequences", x = x, y = y, labels = labels, scaler = scaler}, Sequences)
end

-- An array [N][T] or [N][T][W] as a list of views.
local function rows_of(array)
  local list = {}
  for i = 1, #array do list[i] = array[i] end
  return list
end

-- Labels that were given: distinct strings.
local function check_labels(labels, y)
  local known = {}
  for i, label in ipairs(labels) do
    if type(label) ~= "string" or known[label] then
      core.raise(("sequences: labels must be different strings, number %d is %s"):format(i, options.show(label)))
    end
    known[label] = true
  end
  for i = 1, type(y) == "table" and #y or 0 do
    if type(y[i]) == "string" and not known[y[i]] then
      core.raise(("sequences: target %d: %s"):format(i, options.unknown("label", y[i], labels)))
    end
  end
  return labels
end

--- A set of sequences. opts: x (a list of them, or an array [N][T] or [N][T][W]; default: none yet), y (a list of as
-- many targets; not needed to predict), labels (all that there are, where not all occur in y).
-- The field `labels` lists the different strings in y, sorted.
-- Raises for unknown options, and for what is no sequence.
function sequences.new(opts)
  opts = options.check(opts, {x = {type = {"table", "userdata"}}, y = {type = {"table", "userdata"}},
    labels = {type = "table"}}, "sequences")
  local list, x = {}, opts.x or {}
  if core.is_array(x) then x = rows_of(x) end
  for i, value in ipairs(x) do list[i] = normal(value, i) end
  if opts.y and #opts.y ~= #list then
    core.raise(("sequences: x has %d sequences, y has targets for %d"):format(#list, #opts.y))
  end
  return make(list, opts.y, opts.labels and check_labels(opts.labels, opts.y) or labels_of(opts.y))
end

--- Adds one sequence, and its target where the others have one. Returns the set.
-- Raises for what is no sequence, and where the target is missing or one too many.
function Sequences:add(x, y)
  local value = normal(x, #self.x + 1, "add")
  if #self.x == 0 and y ~= nil and self.y == nil then self.y = {} end
  if (y ~= nil) ~= (self.y ~= nil) then
    core.raise(y == nil and "add: the other sequences have targets, this one has none"
      or "add: the other sequences have no targets, this one has one")
  end
  if core.is_array(self.y) then core.raise("add: the targets of this set are one array: give a list to add to") end
  self.x[#self.x + 1], self.packed = value, nil
  if y ~= nil then
    self.y[#self.x] = y
    if type(y) == "string" then
      local seen = false
      for _, label in ipairs(self.labels or {}) do seen = seen or label == y end
      if not seen then
        self.labels = self.labels or {}
        self.labels[#self.labels + 1] = y
        table.sort(self.labels)
      end
    end
  end
  return self
end

--- Whether a value is a list of sequences rather than one array: of arrays, tokens, strings, or of tables that differ
-- in length.
function sequences.is_list(x)
  if type(x) ~= "table" or getmetatable(x) or #x == 0 then return false end
  local kind, length = type(x[1]), type(x[1]) == "table" and #x[1]
  if kind ~= "table" then return kind == "userdata" or kind == "string" end
  if is_tokens(x[1]) then return true end
  for _, value in ipairs(x) do
    if type(value) == "table" and #value ~= length then return true end
  end
  return false
end

--- How many sequences there are.
function Sequences:__len() return #self.x end

-- The sequences with these numbers (a list or array, from 1).
local function some(self, numbers)
  local x, y = {}, self.y and {}
  for k = 1, #numbers do
    x[k] = self.x[numbers[k]]
    if y then y[k] = self.y[numbers[k]] end
  end
  return make(x, y, self.labels, self.scaler)
end

--- Sequences from..to (1-based, both included; negative counts from the end; `to` defaults to the last).
-- Raises where there are none.
function Sequences:slice(from, to)
  from, to = cuts.range("sequences", #self.x, from, to)
  return some(self, core.range(from, to - from + 1))
end

--- The sequences with these numbers, a list or an int32 array, from 1. Raises for numbers that are not there.
function Sequences:pick(numbers) return some(self, cuts.numbers("sequences", #self.x, numbers)) end

--- Cuts the set: split(0.8) gives the first 80 % and the rest. The last argument may be {by = "random" or "stratified"
-- (each part has its share of each label), seed = n}. Raises for fractions that leave nothing.
function Sequences:split(...) return cuts.split(self, "sequences", ...) end

--- Folds for cross-validation: `for fold, train, validation in set:folds(5) do`. opts: by = "stratified" (default where
-- there are labels), "random" or "expanding", seed.
function Sequences:folds(k, opts)
  return cuts.folds(self, "sequences", self.labels and "stratified" or "random", k, opts)
end

function Sequences:__tostring()
  return ("%d sequences%s"):format(#self.x, self.y and " with targets" or "")
end

-- Numbers of one sequence as an array of this kind, and how many steps. kind: of the block; width: 0 for
-- ids [T].
local function block(value, i, kind, width, name, where)
  local function refuse(wanted)
    core.raise(("%s: %s of sequence %d must be %s"):format(where, name, i, wanted))
  end
  if is_tokens(value) then value = value.ids end
  if type(value) == "table" then value = core.array(value, kind) end
  local steps, columns = value:shape()
  if value:kind() ~= kind then
    if kind == "float32" then refuse("float32 numbers, not ids") end
    value = core.whole(value) or refuse("whole numbers, ids from 0")
  end
  if width == 0 and columns then refuse("ids [T]") end
  if width > 0 and (columns or 1) ~= width then
    refuse(("an array [T][%d], it is [%d]%s"):format(width, steps, columns and ("[%d]"):format(columns) or ""))
  end
  return value, steps
end

--- Many sequences in one block: {data = [M] or [M][width], first = int32 [N], lengths = int32 [N], longest = n}.
-- list: sequences without strings; kind "float32" or "int32"; width 0: ids [T]; name: "x" or "y" for messages.
function sequences.pack(list, kind, width, name, where)
  local pieces, first, lengths, total, longest = {}, {}, {}, 0, 0
  for i, value in ipairs(list) do
    pieces[i], lengths[i] = block(value, i, kind, width, name, where)
    first[i] = total
    total, longest = total + lengths[i], math.max(longest, lengths[i])
  end
  local data = core.zeros(width > 0 and {total, width} or {total}, kind)
  for i, piece in ipairs(pieces) do core.put(data, first[i] + 1, piece) end
  return {
    data = data, first = core.array(first, "int32"),
    lengths = core.array(lengths, "int32"), longest = longest, width = width, kind = kind,
  }
end

-- Whether a list has other elements than a copy of it had; of an array, whether it is another one.
local function changed(list, copy)
  if type(list) ~= "table" or type(copy) ~= "table" then return not rawequal(list, copy) end
  for i = 1, math.max(#list, #copy) do
    if not rawequal(list[i], copy[i]) then return true end
  end
  return false
end

local function copied(list)
  if type(list) ~= "table" then return list end
  local copy = {}
  for i = 1, #list do copy[i] = list[i] end
  return copy
end

--- What a set keeps of a model's packed data (model, loss, ...), as one set is looked at again and again. Returns it.
function sequences.keep(set, packed)
  packed.was_x, packed.was_y = copied(set.x), copied(set.y)
  set.packed = packed
  return packed
end

--- What was kept for this model and loss, unless the script has put other sequences or targets into the lists; or nil.
function sequences.kept(set, model, loss)
  local kept = rawget(set, "packed")
  if not kept or kept.model ~= model or kept.loss ~= loss then return nil end
  return not (changed(set.x, kept.was_x) or changed(set.y, kept.was_y)) and kept or nil
end

--- The steps of all sequences of a set as one array [M][W]. Raises where they are no numbers or differ in width.
function sequences.rows(set, where)
  if #set.x == 0 then core.raise(where .. ": the set is empty") end
  for i, x in ipairs(set.x) do
    if not core.is_array(x) or x:kind() ~= "float32" then
      core.raise(("%s: sequence %d has no numbers to scale"):format(where, i))
    end
  end
  return sequences.pack(set.x, "float32", select(2, set.x[1]:shape()) or 1, "x", where).data
end

--- A set with f(i, x) in place of each sequence, with this scaler. Raises where they are no numbers.
function sequences.map(set, where, f, scaler)
  local list = {}
  for i, x in ipairs(set.x) do
    if not core.is_array(x) or x:kind() ~= "float32" then
      core.raise(("%s: sequence %d has no numbers to scale"):format(where, i))
    end
    list[i] = f(i, x)
  end
  return make(list, set.y, set.labels, scaler)
end

--- The sequences, with every string encoded by the vocabulary.
function sequences.encoded(list, vocab, where)
  local result = {}
  for i = 1, #list do
    local value = list[i]
    if type(value) == "string" then
      if not vocab then core.raise(where .. ": the model has no vocabulary to read strings with") end
      if value == "" then core.raise(("%s: sequence %d is empty"):format(where, i)) end
      local ok, tokens = pcall(vocab.encode, vocab, value)
      if not ok then
        core.raise(("%s: sequence %d: %s"):format(where, i, (tostring(tokens):gsub("^[^\n]-:%d+: ", ""))))
      end
      value = tokens
    elseif is_tokens(value) and vocab and value.vocab and value.vocab ~= vocab then
      core.raise(where .. ": the tokens come from another vocabulary than the model's")
    end
    result[i] = value
  end
  return result
end

--- Fills arrays with the packed sequences of these numbers (int32 [B], from 0), padded with zeros. out: [T][B] or
-- [T][B][width] with T of at least the longest; lengths: int32 [B], filled too. Returns out without the steps that no
-- lane has.
function sequences.gather(packed, indices, out, lengths)
  return out:slice(1, core.gather_ragged(packed.data, packed.first, packed.lengths, indices, out, lengths))
end

-- Whether y has a target at each step of each sequence.
local function is_timed(set)
  for i, x in ipairs(set.x) do
    local y = set.y[i]
    if type(y) ~= "table" and type(y) ~= "userdata" or #y ~= (is_tokens(x) and #x.ids or #x) then return false end
  end
  return true
end

-- The targets of a set: packed where each step has one, else an array: labels as their numbers from 0, or [N][k].
local function targets_of(set)
  local y = set.y
  if core.is_array(y) then return y end
  local numbers = {}
  for k, label in ipairs(set.labels or {}) do numbers[label] = k - 1 end
  if set.labels then
    local list = {}
    for i = 1, #y do
      list[i] = numbers[y[i]] or y[i] == false and -1
        or core.raise(("batches: target %d is no label: %s"):format(i, options.show(y[i])))
    end
    return core.array(list, "int32")
  end
  if is_timed(set) then
    local ids = is_tokens(y[1]) or core.is_array(y[1]) and y[1]:kind() ~= "float32"
    local width = core.is_array(y[1]) and select(2, y[1]:shape()) or 1
    return sequences.pack(y, ids and "int32" or "float32", ids and 0 or width, "y", "batches")
  end
  local rows = {}
  for i = 1, #y do rows[i] = type(y[i]) == "number" and {y[i]} or core.is_array(y[i]) and y[i]:totable() or y[i] end
  return core.array(rows)
end

--- Batches: `for x, y, extra in set:batches{batch = 32, shuffle = true, seed = 1} do`: x [T][B][W] or ids [T][B],
-- padded with zeros to the longest of the batch; y: int32 [B], the numbers (from 0) of labels, else [B][k], or, where
-- each step has a target, as x; nil without targets; extra: {lengths = int32 [B]}, as trainer:train takes them.
-- Raises for strings: encode them first.
function Sequences:batches(opts)
  if #self.x == 0 then core.raise("batches: the set is empty") end
  for i, x in ipairs(self.x) do
    if type(x) == "string" then core.raise(("batches: sequence %d is a string: encode it first"):format(i)) end
  end
  local first = self.x[1]
  local ids = is_tokens(first) or first:kind() ~= "float32"
  local width = ids and 0 or select(2, first:shape()) or 1
  local packed = sequences.pack(self.x, ids and "int32" or "float32", width, "x", "batches")
  local y = self.y and targets_of(self)
  local function part(whole, numbers, lengths)
    local n = #numbers
    local out = core.zeros(whole.width > 0 and {whole.longest, n, whole.width} or {whole.longest, n}, whole.kind)
    return sequences.gather(whole, numbers, out, lengths)
  end
  return cuts.batches(#self.x, opts, function(numbers)
    local n = #numbers
    local lengths, by = core.zeros(n, "int32"), nil
    if core.is_array(y) then
      by = core.zeros({n, select(2, y:shape())}, y:kind())
      core.gather(y, numbers, by)
    elseif y then
      by = part(y, numbers, lengths)
    end
    return part(packed, numbers, lengths), by, {lengths = lengths}
  end)
end

return sequences
