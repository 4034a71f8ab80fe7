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
local Sequences = methods.guard({}, "sequences", {"y", "packed", "gather"})
Sequences.__index = Sequences
Sequences.__name = "lstm.sequences"

local function is_tokens(value) return type(value) == "table" and rawget(value, "kind") == "tokens" end

-- One sequence: arrays, tokens and strings as they are, tables of numbers as arrays.
local function normal(value, i)
  if type(value) == "string" or is_tokens(value) then return value end
  if type(value) == "table" then value = core.array(value) end
  if type(value) ~= "userdata" then
    core.raise(("sequences: sequence %d must be an array, a table of numbers, tokens or a string, got %s"):format(i,
      options.show(value)))
  end
  local n, _, more = value:shape()
  if more then core.raise(("sequences: sequence %d has more than two axes"):format(i)) end
  if n == 0 then core.raise(("sequences: sequence %d is empty"):format(i)) end
  return value
end

--- One sequence: as an array, tokens or a string. Raises for what is none.
function sequences.of(value, where)
  if type(value) == "table" and not is_tokens(value) and not sequences.is_list(value) then value = core.array(value) end
  if type(value) ~= "userdata" and type(value) ~= "string" and not is_tokens(value) then
    core.raise(where .. ": one sequence expected, got " .. options.show(value))
  end
  if value == "" or type(value) == "userdata" and #value == 0 then core.raise(where .. ": the sequence is empty") end
  return value
end

--- A set of sequences. opts: x (a list of them), y (a list of as many targets; not needed to predict).
-- Raises for unknown options, and for what is no sequence.
function sequences.new(opts)
  opts = options.check(opts, {x = {type = "table", required = true}, y = {type = {"table", "userdata"}}}, "sequences")
  local list = {}
  for i, value in ipairs(opts.x) do list[i] = normal(value, i) end
  if opts.y and #opts.y ~= #list then
    core.raise(("sequences: x has %d sequences, y has targets for %d"):format(#list, #opts.y))
  end
  return setmetatable({kind = "sequences", x = list, y = opts.y}, Sequences)
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

--- Sequences from..to (1-based, both included; negative counts from the end; `to` defaults to the last).
-- Raises where there are none.
function Sequences:slice(from, to)
  local n = #self.x
  to = to or n
  if from < 0 then from = n + 1 + from end
  if to < 0 then to = n + 1 + to end
  if from < 1 or to > n or from > to then
    error(("slice: sequences %d to %d of %d"):format(from, to, n), 2)
  end
  local x, y = {}, self.y and {}
  for i = from, to do
    x[#x + 1] = self.x[i]
    if y then y[#y + 1] = self.y[i] end
  end
  return setmetatable({kind = "sequences", x = x, y = y}, Sequences)
end

--- Cuts the set by position: split(0.8) gives the first 80 % and the rest. Raises for fractions that leave nothing.
function Sequences:split(...)
  local parts, from = {}, 1
  for i, to in ipairs(cuts("split", #self.x, "sequences", ...)) do
    parts[i] = self:slice(from, to)
    from = to + 1
  end
  return (table.unpack or unpack)(parts)             -- luacheck: ignore unpack
end

function Sequences:__tostring()
  return ("%d sequences%s"):format(#self.x, self.y and " with targets" or "")
end

-- Numbers of one sequence as the bytes of a row-major block, and how many steps. kind: of the block; width: 0 for
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
    local ok, ids = pcall(core.array, value:totable(), "int32")
    if not ok then refuse("whole numbers, ids from 0") end
    value = ids
  end
  if width == 0 and columns then refuse("ids [T]") end
  if width > 0 and (columns or 1) ~= width then
    refuse(("an array [T][%d], it is [%d]%s"):format(width, steps, columns and ("[%d]"):format(columns) or ""))
  end
  return value:bytes(), steps
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
  local shape = width > 0 and {total, width} or {total}
  return {
    data = core.frombytes(table.concat(pieces), kind, shape), first = core.array(first, "int32"),
    lengths = core.array(lengths, "int32"), longest = longest, width = width, kind = kind,
  }
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

return sequences
