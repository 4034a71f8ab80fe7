-- advice.lua: one plain sentence about a run from its curves.
--
-- Every judgement compares means over parts of a curve, as single looks are noisy. All changes are relative.

local FEWEST, RISING = 6, 3                          -- looks that make a curve, and one that goes up
local WORSE, FLAT, EQUAL, MUCH = 0.02, 0.005, 0.05, 0.7
local CLEAR = 0.03                                   -- of all that was gained: a gain that promises more

local function finite(x) return x ~= nil and x == x and math.abs(x) < math.huge end

-- The mean of values from..to.
local function mean(values, from, to)
  local sum = 0
  for i = from, to do sum = sum + values[i] end
  return sum / (to - from + 1)
end

-- How much the mean of the last part of values is above an earlier level, relative to that.
local function above(value, level) return (value - level) / math.max(math.abs(level), 1e-12) end

-- The mean of the last sixth, and that of the sixth before the last third.
local function ends(values)
  local n = #values
  local part = math.max(1, math.floor(n / 6))
  local before = math.max(1, n - math.max(2, math.floor(n / 3)))
  return mean(values, n - part + 1, n), mean(values, math.max(1, before - part + 1), before)
end

-- How far values of the second half jump to and fro from look to look, relative to their level; nil where they rather
-- move in one direction.
local function jumps(values)
  local from = math.floor(#values / 2) + 1
  local turns, sum, last = 0, 0, nil
  for i = from + 1, #values do
    local d = values[i] - values[i - 1]
    if last and d * last < 0 then turns = turns + 1 end
    sum, last = sum + math.abs(d), d
  end
  local count = #values - from
  local middle = from + math.floor(count / 2)
  local net = math.abs(mean(values, middle + 1, #values) - mean(values, from, middle))
  if count < 4 or turns < (count - 1) / 2 or sum / count < 2 * net then return nil end
  return sum / count / math.max(math.abs(mean(values, from, #values)), 1e-12)
end

-- How far values of the second half lie from the middle of their neighbours, relative to the last one.
local function jitter(values)
  local sum, count = 0, 0
  for i = math.max(2, math.floor(#values / 2)), #values - 1 do
    sum, count = sum + math.abs(values[i] - (values[i - 1] + values[i + 1]) / 2), count + 1
  end
  return sum / math.max(count, 1) / math.max(math.abs(values[#values]), 1e-12)
end

-- Whether values still fell at the end, more than by chance.
local function falls(values)
  local now, before = ends(values)
  return above(before, now) > math.max(FLAT, 2.5 * jitter(values))
end

local function lowest(values)
  local best = 1
  for i = 2, #values do
    if values[i] < values[best] then best = i end
  end
  return best
end

-- Whether more of the same promises more: the last look is the best one, and the last third gained a clear part of all.
local function promises(values)
  local now, before = ends(values)
  return lowest(values) == #values and before - now > CLEAR * (values[1] - now)
end

-- A column, without the rows where it is not finite.
local function column(record, name)
  local values = {}
  for _, row in ipairs(record) do
    if finite(row[name]) then values[#values + 1] = row[name] end
  end
  return values
end

local function diverged(record, loss)
  local last = record[#record]
  if record.stopped == "not_finite" or last.loss and not finite(last.loss) then
    return "the loss is no longer a number (diverged): try a smaller lr, or clip"
  end
  local best = lowest(loss)
  if #loss >= RISING and best <= #loss / 2 and above((ends(loss)), loss[best]) > 1 then
    return ("the training loss rose from %.3g to %.3g (diverged): try a smaller lr, or clip"):format(loss[best],
      loss[#loss])
  end
end

-- Whether the last third fell by more than a plateau does, be it by chance.
local function moves(values)
  local now, before = ends(values)
  return above(before, now) > EQUAL
end

-- Training and validation at the end of a run that no longer moves.
local function settled(loss, val, step)
  local now, first = ends(loss), loss[1]
  if math.abs(above(ends(val), now)) < EQUAL and now > MUCH * first then
    return "training and validation are alike and fall no more (underfitting): a larger model, a longer memory or " ..
      "a larger lr may do better"
  end
  return ("hardly anything has improved since step %d (a plateau): more of the same will not help; a smaller lr " ..
    "from there on might, or stop sooner"):format(step)
end

-- The first value that is as good as the best but for what chance may do: a curve that creeps on has its best at its
-- end, but no longer improves.
local function reached(values, best)
  local margin = math.max(FLAT, 2.5 * jitter(values))
  for i = 1, best do
    if above(values[i], values[best]) <= margin then return i end
  end
end

local function of_validation(record, loss, val)
  local best, n = lowest(val), #val
  local now = ends(val)
  local jump = jumps(val)
  if jump and jump > EQUAL then
    return ("the validation loss jumps by %.0f %% from look to look, too noisy to tell which weights are best: more " ..
      "validation data, or a smaller lr"):format(jump * 100)
  end
  local worse = math.max(WORSE, 3 * jitter(val))
  if best <= n * 2 / 3 and above(now, val[best]) > worse then
    if above((ends(loss)), loss[best]) > worse / 2 then
      return "training and validation both got worse after their best: a smaller lr, at least from there on, may help"
    end
    return "validation got worse while training went on (overfitting): more data, dropout, or a smaller model may help"
  end
  if falls(val) then return promises(val) and "validation was still improving at the end: train longer" or nil end
  if moves(val) or above(mean(val, math.ceil(n / 2), n), val[best]) > worse then return nil end
  best = reached(val, best)
  return settled(loss, val, record[best].step or best)
end

local function of_training(loss)
  if falls(loss) then
    return promises(loss) and
      "the training loss was still falling: train longer (validation data would tell how long)" or nil
  end
  if moves(loss) or lowest(loss) <= #loss / 2 then return nil end
  return "the training loss hardly falls any more (a plateau): a smaller lr from there on, or a larger model, may " ..
    "do better"
end

--- record: a history. Returns a sentence, or nil where there is nothing to say.
return function(record)
  if #record == 0 then return nil end
  local loss, val = column(record, "loss"), column(record, "val_loss")
  local problem = diverged(record, loss)
  if problem or #loss < FEWEST then return problem end
  if #val == #loss and #val >= FEWEST then return of_validation(record, loss, val) end
  if #val == 0 then return of_training(loss) end
  return nil
end
