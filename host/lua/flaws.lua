-- flaws.lua: finds the NaN or infinity in data that would ruin a training run, and says where it is.

local core = require "lstm.core"

local flaws = {}

-- "sequence 6, step 2, input 1 of x" from the place of a number in [N][T][W], [N][W] or [N]; lengths: of sequences that
-- are packed as [M][W].
local function words(array, at, lengths, name)
  local _, second, third = array:shape()
  local width = third or second or 1
  local row, column = math.floor((at - 1) / width), (at - 1) % width + 1
  local sequence, step = row + 1, nil
  if third then
    sequence, step = math.floor(row / second) + 1, row % second + 1
  elseif lengths then
    sequence, step = 1, row + 1
    while step > lengths[sequence] do sequence, step = sequence + 1, step - lengths[sequence] end
  end
  local text = ("sequence %d"):format(sequence)
  if step then text = ("%s, step %d"):format(text, step) end
  if width > 1 then text = ("%s, %s %d"):format(text, name == "x" and "input" or "output", column) end
  return ("%s of %s"):format(text, name)
end

-- The place of the first bad number in the steps that count of padded sequences [N][T][W], or nil.
local function bad_step(array, lengths)
  local _, steps, width = array:shape()
  for i = 1, #array do
    local fine, at = array[i]:slice(1, lengths[i]):finite()
    if not fine then return (i - 1) * steps * width + at end
  end
end

local function find(data, set, array, name)
  local fine, at = array:finite()
  if fine then return nil end
  if data.kind == "windows" then
    local width = select(2, array:shape())
    return ('row %d, column "%s"'):format(math.floor((at - 1) / width) + 1, data.columns[(at - 1) % width + 1])
  end
  local lengths, timed = set.lengths, select(3, array:shape()) ~= nil
  if lengths and timed then
    at = bad_step(array, lengths)
    if not at then return nil end
  end
  local packed = lengths and not timed and #array ~= set.count and lengths or nil
  return words(array, at, packed, name)
end

--- Where data (windows, arrays, sequences) have a NaN or an infinity that training would meet, in words; nil: nowhere.
-- set: what sets.of made of them. Padding may hold anything, and so may targets that weights or a burn-in leave out.
function flaws.find(data, set)
  local place = nil
  if set.source:kind() == "float32" then place = find(data, set, set.source, "x") end
  if place or not set.targets or set.targets:kind() ~= "float32" or set.burn_in or data.weights then return place end
  return find(data, set, set.targets, "y")
end

-- [Inputs that should be scaled]

local LARGE = 20                             -- networks learn from numbers near 0..1

-- The first column of inputs [..][W] whose values are large, and how large: the root of the mean square.
local function large_column(array)
  if not core.is_array(array) or array:kind() ~= "float32" then return nil end
  if #array == 0 then return nil end
  local sizes = {array:shape()}
  local width = #sizes > 1 and sizes[#sizes] or 1
  local count = 1
  for k = 1, #sizes do count = count * sizes[k] end
  local rows = array:reshape{count / width, width}
  local squares = (rows * rows):mean(1)
  for j = 1, width do
    local size = math.sqrt(squares[j])
    if size > LARGE then return j, size end
  end
end

local told = setmetatable({}, {__mode = "k"})

--- A sentence where the inputs of training data (windows, arrays, sequences) are large and nothing scaled them; once
-- for each model, else nil.
function flaws.unscaled(model, train)
  if told[model] or type(train) ~= "table" or train.scaler then return nil end
  local inputs = train.data or train.x
  local column, size = large_column(train.kind == "sequences" and inputs and inputs[1] or inputs)
  if not column then return nil end
  told[model] = true
  local name = train.columns and ('column "%s"'):format(train.columns[column]) or ("input %d"):format(column)
  return ("the inputs are not scaled: %s is about %.3g, and models learn best near 0..1; %s"):format(name, size,
    'help "minmax" shows how')
end

return flaws
