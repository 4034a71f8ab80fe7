-- sets.lua: what a model can learn from or be applied to, brought into one form.
--
-- A set has `count` sequences of `seq` steps; set:batch(indices) gives x [T][B][I] (or ids [T][B]) and y for the
-- numbers (int32 [B], from 0). Arrays are made once for each batch size.

local core = require "lstm.core"
local options = require "lstm.options"

local sets = {}
local Set = {}
Set.__index = Set

--- The arrays x and y of the sequences with these numbers. They are used again by the next batch of this size.
function Set:batch(indices)
  local n = #indices
  if not self.buffers[n] then self.buffers[n] = {self:make(n)} end
  local x, y = self.buffers[n][1], self.buffers[n][2]
  self:fill(indices, x, y)
  return x, y
end

local function new(fields)
  fields.buffers = {}
  return setmetatable(fields, Set)
end

-- #object, also where Lua ignores __len of tables (5.1).
local function length(object)
  local meta = getmetatable(object)
  return type(meta) == "table" and meta.__len and meta.__len(object) or #object
end

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- Windows of a table, and every user's object with the same fields and gather(indices, x, y).
local function from_windows(model, data, where)
  local inputs, outputs, _, takes_ids = model.core:sizes()
  if takes_ids then core.raise(where .. ": the model takes tokens, not windows of numbers") end
  if data.width ~= inputs then
    core.raise(("%s: the model takes %s, the windows have %s"):format(where, plural(inputs, "input"),
      plural(data.width, "column")))
  end
  if data.outputs ~= outputs then
    core.raise(("%s: the model gives %s, the windows have %s"):format(where, plural(outputs, "output"),
      plural(data.outputs, "target")))
  end
  return new{
    count = length(data), seq = data.look_back, has_targets = true, source = data.data,
    make = function(_, n) return core.zeros{data.look_back, n, data.width}, core.zeros{n, data.outputs} end,
    fill = function(_, indices, x, y) data:gather(indices, x, y) end,
  }
end

-- Inputs as an array [N][T][I] or ids [N][T]; a float array [N][T] is taken as one input.
local function inputs_of(model, x, where)
  local inputs, _, _, takes_ids = model.core:sizes()
  if type(x) == "table" then x = core.array(x, takes_ids and "int32" or "float32") end
  local n, t, i, more = x:shape()
  if takes_ids then
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

-- Class numbers from 1, or labels, as ids from 0.
local function class_ids(model, y, where)
  local _, outputs = model.core:sizes()
  local function id_of(value)
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
    core.raise(where .. ': the model gives an output at every step, y has none for them: make it with read = "last"')
  end
  if timed and a ~= seq then core.raise(("%s: x has %d steps, y has %d"):format(where, seq, a)) end
  if loss == "cross_entropy" then return timed and {seq, n} or {n}, timed end
  if (b or a) ~= outputs then
    core.raise(("%s: the model gives %s, y has %s"):format(where, plural(outputs, "output"), tostring(b or a)))
  end
  return timed and {seq, n, outputs} or {n, outputs}, timed
end

local function from_arrays(model, data, loss, where)
  for key in pairs(data) do
    if key ~= "x" and key ~= "y" and key ~= "kind" then
      core.raise(where .. ": " .. options.unknown("field", key, {"x", "y"}))
    end
  end
  local x = inputs_of(model, data.x, where)
  local y = data.y and loss and targets_of(model, data.y, loss, #x, where)
  local count, seq, width = x:shape()
  local timed = y and select(2, target_shape(model, y, loss, 1, seq, where))
  return new{
    count = count, seq = seq, has_targets = y and true or false, source = x, targets = y,
    make = function(_, n)
      return core.zeros(width and {seq, n, width} or {seq, n}, x:kind()),
        y and core.zeros(target_shape(model, y, loss, n, seq, where), y:kind())
    end,
    fill = function(_, indices, bx, by)
      core.gather(x, indices, bx, true)
      if y then core.gather(y, indices, by, timed) end
    end,
  }
end

--- Brings data into the form above. model: the public model; loss: its loss, nil where targets are not needed;
-- where: the method's name for messages. Raises at the user's line for what fits no model or not this one.
function sets.of(model, data, loss, where)
  if type(data) == "userdata" then data = {x = data} end
  if type(data) ~= "table" then
    core.raise(where .. ": windows, tokens or {x =, y =} expected, got " .. options.show(data))
  end
  if data.gather then return from_windows(model, data, where) end
  if data.kind == "table" then
    core.raise(where .. ": a table of rows is not a set of windows: use rows:windows{look_back = ...}")
  end
  if data.x == nil then core.raise(where .. ": windows, tokens or {x =, y =} expected, got a table without x") end
  if loss and data.y == nil then core.raise(where .. ": the set has no targets y") end
  return from_arrays(model, data, loss, where)
end

--- Whether data is a token sequence; raises where the model cannot read it.
function sets.is_tokens(model, data, where)
  if type(data) ~= "table" or data.kind ~= "tokens" then return false end
  local inputs, _, _, takes_ids = model.core:sizes()
  if not takes_ids then core.raise(where .. ": the model takes numbers, not tokens: give it input = vocab") end
  if data.vocab and model.vocab and data.vocab ~= model.vocab then
    core.raise(where .. ": the tokens come from another vocabulary than the model's")
  end
  if data.vocab and data.vocab:size() ~= inputs then
    core.raise(("%s: the model knows %d tokens, the vocabulary has %d"):format(where, inputs, data.vocab:size()))
  end
  return true
end

return sets
