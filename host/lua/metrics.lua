-- metrics.lua: lstm.metrics: figures of a truth and a guess, arrays or lists. The truth comes first.

local confusion = require "lstm.confusion"
local core = require "lstm.core"
local options = require "lstm.options"

local metrics = {}
local is_array = confusion.is_array

-- Two arrays of one shape, as the outputs and targets of core.sum_errors.
local function sums_of(truth, guess, where)
  if not is_array(truth) or not is_array(guess) then
    local bad = is_array(truth) and guess or truth
    core.raise(("%s: two arrays expected, got %s"):format(where, options.show(bad)))
  end
  local shapes = {table.concat({truth:shape()}, "]["), table.concat({guess:shape()}, "][")}
  if shapes[1] ~= shapes[2] then
    core.raise(("%s: the truth has shape [%s], the guess [%s]"):format(where, shapes[1], shapes[2]))
  end
  local n = 1
  for _, size in ipairs{truth:shape()} do n = n * size end
  if n == 0 then core.raise(where .. ": the arrays are empty") end
  local function flat(a) return (a:kind() == "float32" and a or core.array(a:totable())):reshape{n, 1, 1} end
  return core.sum_errors(flat(guess), flat(truth))
end

--- Root of the mean squared difference of two arrays of one shape.
function metrics.rmse(truth, guess)
  local squares, _, _, n = sums_of(truth, guess, "rmse")
  return math.sqrt(squares / n)
end

--- Mean absolute difference of two arrays of one shape.
function metrics.mae(truth, guess)
  local _, absolutes, _, n = sums_of(truth, guess, "mae")
  return absolutes / n
end

--- Error-to-signal ratio, as for audio: the sum of squared differences over the sum of the truth's squares.
function metrics.esr(truth, guess)
  local squares, _, signal = sums_of(truth, guess, "esr")
  return squares / signal
end

--- The confusion matrix of two lists (or int32 arrays) of labels or numbers. A truth of false does not count.
-- labels: their order; default: those that occur, sorted. Raises for lists of different length, and for what is not
-- among the labels.
function metrics.confusion(truth, guess, labels)
  return (confusion.count("confusion", truth, guess, labels))
end

--- The share of equal elements of two lists or int32 arrays.
function metrics.accuracy(truth, guess) return (confusion.count("accuracy", truth, guess):accuracy()) end

--- F1 of two lists or int32 arrays: of the class `positive`, or the mean over the classes that occur ("macro").
function metrics.f1(truth, guess, positive) return (confusion.count("f1", truth, guess):f1(positive)) end

--- How many classes a guess is as unsure as between: exp of the mean -log p of the true ones.
-- truth: classes from 1, a list or an int32 array [N]; probabilities: an array [N][K].
function metrics.perplexity(truth, probabilities)
  if not is_array(probabilities) or select("#", probabilities:shape()) ~= 2 then
    core.raise("perplexity: the probabilities must be an array [N][K]")
  end
  local list, classes = confusion.list(truth, "truth", "perplexity"), select(2, probabilities:shape())
  if #list ~= #probabilities then
    core.raise(("perplexity: %d classes, but %d rows of probabilities"):format(#list, #probabilities))
  end
  local sum, n = 0, 0
  for i, value in ipairs(list) do
    if value ~= false and not options.value(value, {type = "integer", min = 1, max = classes}) then
      core.raise(("perplexity: class %d must be a whole number from 1 to %d, got %s"):format(i, classes,
        options.show(value)))
    end
    if value then sum, n = sum - math.log(probabilities[i][value]), n + 1 end
  end
  return math.exp(sum / n)
end

return metrics
