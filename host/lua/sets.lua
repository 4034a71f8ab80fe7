-- sets.lua: what a model can learn from or be applied to, brought into one form.
--
-- A set has `count` sequences of at most `seq` steps; set:batch(indices) gives x [T][B][I] (or ids [T][B]), y and the
-- options of the batch (lengths, weights, burn_in) for the numbers (int32 [B], from 0). Arrays are made once for each
-- batch size.

local core = require "lstm.core"
local methods = require "lstm.methods"
local options = require "lstm.options"
local sequences = require "lstm.sequences"

local sets = {}
local Set = {}
Set.__index = Set

--- The arrays x and y of the sequences with these numbers, and the batch's options (nil: none). They are used again by
-- the next batch of this size.
function Set:batch(indices)
  local n = #indices
  if not self.buffers[n] then self.buffers[n] = {self:make(n)} end
  local x, y, extra = self.buffers[n][1], self.buffers[n][2], self.buffers[n][3]
  local short_x, short_y = self:fill(indices, x, y, extra)
  if self.burn_in then
    extra = extra or {}
    extra.burn_in = self.burn_in
  end
  return short_x or x, short_y or y, extra
end

local function new(fields)
  fields.buffers = {}
  return setmetatable(fields, Set)
end

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- Windows of a table, and every user's object with the same fields and gather(indices, x, y).
local function from_windows(model, data, learns, where)
  local inputs, outputs, _, takes_ids, once = model.core:sizes()
  if takes_ids then core.raise(where .. ": the model takes tokens, not windows of numbers") end
  if learns and not once then
    core.raise(where .. ': a window has one target, the model gives an output at every step: make it with '
      .. 'read = "last"')
  end
  if data.width ~= inputs then
    core.raise(("%s: the model takes %s, the windows have %s"):format(where, plural(inputs, "input"),
      plural(data.width, "column")))
  end
  if data.outputs ~= outputs then
    core.raise(("%s: the model gives %s, the windows have %s"):format(where, plural(outputs, "output"),
      plural(data.outputs, "target")))
  end
  return new{
    count = methods.len(data), seq = data.look_back, has_targets = true, source = data.data, targets = data.starts,
    make = function(_, n) return core.zeros{data.look_back, n, data.width}, core.zeros{n, data.outputs} end,
    fill = function(_, indices, x, y) data:gather(indices, x, y) end,
  }
end

-- Inputs as an array [N][T][I] or ids [N][T]; a float array [N][T] is taken as one input.
local function inputs_of(model, x, where)
  local inputs, _, _, takes_ids = model.core:sizes()
  if type(x) == "table" then
    if #x == 0 then core.raise(where .. ": the set is empty") end
    x = core.array(x, takes_ids and "int32" or "float32")
  end
  if not core.is_array(x) then core.raise(where .. ": data for this model are needed, got " .. options.show(x)) end
  local n, t, i, more = x:shape()
  if n > 0 and t == 0 then core.raise(where .. ": sequence 1 is empty") end
  if takes_ids then
    if x:kind() == "uint8" then x = core.whole(x) end
    if x:kind() ~= "int32" or not t or i then core.raise(where .. ": x must be an int32 array of ids [N][T]") end
    return x
  end
  if t and not i and inputs == 1 then return x:reshape{n, t, 1} end
  if x:kind() ~= "float32" or not i or more then
    core.raise(where .. ": x must be a float32 array [N][T][" .. inputs .. "]")
  end
  if i ~= inputs then
    core.raise(("%s: the model takes %s, x has %d"):format(where, plural(inputs, "input"), i))
  end
  return x
end

-- Class numbers from 1, or labels, as ids from 0; false, where there is no target, as -1.
local function class_ids(model, y, where)
  local _, outputs = model.core:sizes()
  local function id_of(value)
    if value == false then return -1 end
    local id = type(value) == "string" and model:index(value) or value
    if type(id) ~= "number" or id < 1 or id > outputs or id ~= math.floor(id) then
      core.raise(("%s: %s is not one of the model's %s"):format(where, options.show(value), plural(outputs, "class")
        :gsub("classs", "classes")))
    end
    return id - 1
  end
  local function convert(t)
    local ids = {}
    for k, value in ipairs(t) do ids[k] = type(value) == "table" and convert(value) or id_of(value) end
    return ids
  end
  return core.array(convert(type(y) == "table" and y or y:totable()), "int32")
end

-- Targets as [N][O] or [N][T][O], or classes [N] or [N][T].
local function targets_of(model, y, loss, count, where)
  local _, outputs = model.core:sizes()
  if loss == "cross_entropy" then
    y = class_ids(model, y, where)
  else
    if type(y) == "table" then y = core.array(y) end
    local n, second = y:shape()
    if not second and outputs == 1 then y = y:reshape{n, 1} end
  end
  if #y ~= count then core.raise(("%s: x has %d sequences, y has %d"):format(where, count, #y)) end
  return y
end

-- The shape of a batch of targets, and whether they have a time axis.
local function target_shape(model, y, loss, n, seq, where)
  local _, outputs, _, _, last = model.core:sizes()
  local _, a, b = y:shape()
  local timed = loss == "cross_entropy" and a ~= nil or b ~= nil
  if timed and last then
    core.raise(where .. ': y has a time axis, but the model reads the last step only: make it with read = "all"')
  elseif not timed and not last then
    core.raise(where .. ': the model gives an output at every step, y has one target for a sequence: make it with '
      .. 'read = "last"')
  end
  if timed and a ~= seq then core.raise(("%s: x has %d steps, y has %d"):format(where, seq, a)) end
  if loss == "cross_entropy" then return timed and {seq, n} or {n}, timed end
  if (b or a) ~= outputs then
    core.raise(("%s: the model gives %s, y has %s"):format(where, plural(outputs, "output"), tostring(b or a)))
  end
  return timed and {seq, n, outputs} or {n, outputs}, timed
end

local function check_fields(data, names, where)
  for key in pairs(data) do
    local known = key == "kind"
    for _, name in ipairs(names) do known = known or key == name end
    if not known then core.raise(where .. ": " .. options.unknown("field", key, names)) end
  end
end

-- The lengths [N] of padded sequences, as int32.
local function lengths_of(given, count, seq, where)
  if given == nil then return nil end
  local list = type(given) == "userdata" and given:totable() or given
  if type(list) ~= "table" or #list ~= count then
    core.raise(("%s: lengths must be a list of %s"):format(where, plural(count, "whole number")))
  end
  for i, steps in ipairs(list) do
    if not options.value(steps, {type = "integer", min = 1, max = seq}) then
      core.raise(("%s: length %d must be a whole number from 1 to %d, got %s"):format(where, i, seq,
        options.show(steps)))
    end
  end
  return core.array(list, "int32")
end

-- The weights of targets: [N][T], or [N] where a sequence has one target.
local function weights_of(given, count, seq, timed, where)
  if given == nil then return nil end
  local weights = type(given) == "table" and core.array(given) or given
  local n, t, more = weights:shape()
  if n ~= count or t ~= (timed and seq or nil) or more or weights:kind() ~= "float32" then
    core.raise(("%s: weights must be a float32 array [%d]%s, as the targets are"):format(where, count,
      timed and ("[%d]"):format(seq) or ""))
  end
  return weights
end

-- What a batch of n has beside x and y; nil for nothing.
local function new_extra(lengths, weights, timed, n, seq)
  if not lengths and not weights then return nil end
  return {
    lengths = lengths and core.zeros(n, "int32"), weights = weights and core.zeros{timed and seq or 1, n},
  }
end

local function from_arrays(model, data, loss, where)
  check_fields(data, {"x", "y", "lengths", "weights"}, where)
  local x = inputs_of(model, data.x, where)
  local y = data.y and loss and targets_of(model, data.y, loss, #x, where)
  local count, seq, width = x:shape()
  local timed = y and select(2, target_shape(model, y, loss, 1, seq, where))
  local lengths = lengths_of(data.lengths, count, seq, where)
  local weights = y and weights_of(data.weights, count, seq, timed, where)
  return new{
    count = count, seq = seq, has_targets = y and true or false, source = x, targets = y, lengths = lengths,
    make = function(_, n)
      return core.zeros(width and {seq, n, width} or {seq, n}, x:kind()),
        y and core.zeros(target_shape(model, y, loss, n, seq, where), y:kind()),
        new_extra(lengths, weights, timed, n, seq)
    end,
    fill = function(_, indices, bx, by, extra)
      core.gather(x, indices, bx, true)
      if y then core.gather(y, indices, by, timed) end
      if lengths then core.gather(lengths, indices, extra.lengths) end
      if weights then core.gather(weights, indices, extra.weights, timed) end
    end,
  }
end

-- --- sequences of different length ----------------------------------------------------------------------------------

local function packed_inputs(model, data, where)
  local inputs, _, _, takes_ids = model.core:sizes()
  local list = sequences.encoded(data.x, model.vocab, where)
  return sequences.pack(list, takes_ids and "int32" or "float32", takes_ids and 0 or inputs, "x", where)
end

-- One target for each sequence: an array of classes [N] or of numbers [N][O].
local function targets_once(model, y, loss, where)
  local _, outputs = model.core:sizes()
  local rows = {}
  for i = 1, type(y) == "table" and #y or 0 do
    local value = y[i]
    local wide = type(value) == "userdata" or type(value) == "table"
    if wide and (loss == "cross_entropy" or #value ~= outputs) then
      core.raise(where .. ': y has more than one target for a sequence, but the model reads it once: targets at every '
        .. 'step need a model with read = "all"')
    end
    if value == false and loss ~= "cross_entropy" then
      core.raise(("%s: sequence %d has no target (false is for classes): leave it out"):format(where, i))
    end
    rows[i] = wide and type(value) == "userdata" and value:totable() or value
  end
  return targets_of(model, type(y) == "table" and rows or y, loss, #y, where)
end

-- Targets at each step of each sequence, packed as x is.
local function targets_timed(model, data, loss, x, where)
  local _, outputs = model.core:sizes()
  local classes, list = loss == "cross_entropy", {}
  for i = 1, #data.y do
    local kind = type(data.y[i])
    if kind == "number" or kind == "boolean" or kind == "string" and not model.output_vocab then
      core.raise(where .. ': the model gives an output at every step, y has one target for a sequence: make it with '
        .. 'read = "last"')
    end
  end
  for i, value in ipairs(sequences.encoded(data.y, model.output_vocab, where)) do
    local tokens = type(value) == "table" and value.kind == "tokens"
    list[i] = classes and not tokens and class_ids(model, value, where) or value
  end
  local y = sequences.pack(list, classes and "int32" or "float32", classes and 0 or outputs, "y", where)
  for i = 1, #y.lengths do
    if y.lengths[i] ~= x.lengths[i] then
      core.raise(("%s: sequence %d has %d steps, its targets have %d"):format(where, i, x.lengths[i], y.lengths[i]))
    end
  end
  return y
end

-- The packed x and y of a set; they are kept in it, as one set is looked at again and again.
local function packed_set(model, data, loss, where)
  local kept = sequences.kept(data, model, loss)
  if kept then return kept end
  local x = packed_inputs(model, data, where)
  local _, _, _, _, once = model.core:sizes()
  local y
  if loss and data.y then
    y = once and targets_once(model, data.y, loss, where) or targets_timed(model, data, loss, x, where)
  end
  return sequences.keep(data, {model = model, loss = loss, x = x, y = y, once = once})
end

local function from_sequences(model, data, loss, where)
  if #data.x == 0 then return new{count = 0, seq = 0} end
  local packed = packed_set(model, data, loss, where)
  local x, y, once = packed.x, packed.y, packed.once
  local _, outputs = model.core:sizes()
  local function zeros(n, kind, width)
    return core.zeros(width > 0 and {x.longest, n, width} or {x.longest, n}, kind)
  end
  return new{
    count = #data.x, seq = x.longest, has_targets = y ~= nil, source = x.data, targets = y and (once and y or y.data),
    lengths = x.lengths,
    make = function(_, n)
      local by = nil
      if y and once then by = core.zeros(y:kind() == "int32" and {n} or {n, outputs}, y:kind()) end
      if y and not once then by = zeros(n, y.kind, y.width) end
      return zeros(n, x.kind, x.width), by, {lengths = core.zeros(n, "int32")}
    end,
    fill = function(_, indices, bx, by, extra)
      local short_y = nil
      if y and once then core.gather(y, indices, by) end
      if y and not once then short_y = sequences.gather(y, indices, by, extra.lengths) end
      return sequences.gather(x, indices, bx, extra.lengths), short_y
    end,
  }
end

--- Brings data into the form above. model: the public model; loss: its loss, nil where targets are not needed;
-- where: the method's name for messages. Raises at the user's line for what fits no model or not this one.
function sets.of(model, data, loss, where)
  if type(data) == "userdata" then data = {x = data} end
  if type(data) ~= "table" then
    core.raise(where .. ": windows, tokens, sequences or {x =, y =} expected, got " .. options.show(data))
  end
  if data.kind == "sequences" then
    if loss and data.y == nil then core.raise(where .. ": the set has no targets y") end
    return from_sequences(model, data, loss, where)
  end
  if data.gather then return from_windows(model, data, loss ~= nil, where) end
  if data.kind == "table" then
    core.raise(where .. ": a table of rows is not a set of windows: use rows:windows{look_back = ...}")
  end
  if data.x == nil then
    core.raise(where .. ": windows, tokens, sequences or {x =, y =} expected, got a table without x")
  end
  if loss and data.y == nil then core.raise(where .. ": the set has no targets y") end
  if sequences.is_list(data.x) then
    check_fields(data, {"x", "y"}, where)
    return from_sequences(model, sequences.new{x = data.x, y = data.y}, loss, where)
  end
  return from_arrays(model, data, loss, where)
end

--- Raises where the first steps, which only warm up the state, are all there are: no target would count.
function sets.check_burn_in(model, burn_in, steps, where)
  if (burn_in or 0) == 0 then return end
  if select(5, model.core:sizes()) then
    core.raise(where .. ": burn_in is for models that give an output at every step, this one reads a sequence once")
  end
  if burn_in < steps then return end
  core.raise(("%s: burn_in = %d leaves no target: the longest sequence has %s"):format(where, burn_in,
    plural(steps, "step")))
end

--- Whether data is a token sequence; raises where the model cannot read it, or (learns) not learn from it.
function sets.is_tokens(model, data, where, learns)
  if type(data) ~= "table" or data.kind ~= "tokens" then return false end
  local inputs, _, _, takes_ids, once, bidirectional = model.core:sizes()
  if not takes_ids then core.raise(where .. ": the model takes numbers, not tokens: give it input = vocab") end
  if data.vocab and model.vocab and data.vocab ~= model.vocab then
    core.raise(where .. ": the tokens come from another vocabulary than the model's")
  end
  if data.vocab and data.vocab:size() ~= inputs then
    core.raise(("%s: the model knows %d tokens, the vocabulary has %d"):format(where, inputs, data.vocab:size()))
  end
  if learns and once then
    core.raise(where .. ': a text has a target at every step, the model gives one output: make it with read = "all"')
  end
  if learns and bidirectional then
    core.raise(where .. ": a bidirectional model sees the tokens that it would have to foretell")
  end
  return true
end

return sets
