-- batches.lua: where fit takes its batches from: a text as streams side by side, or sets in a new order each epoch.
--
-- A source has per_epoch (batches), lanes, seq, carry, data, targets, lengths, and batch(self, k), which gives x, y and
-- the batch's options for batch number k (from 0) of the whole run: it follows from k and the seed alone.

local core = require "lstm.core"

local batches = {}

--- A text as `batch` streams that are read side by side, `seq` tokens at a time; states are carried from window to
-- window and begin at zero when the streams begin again.
function batches.tokens(tokens, opts)
  local n, lanes, seq = #tokens.ids, opts.batch, opts.seq
  local length = math.floor(n / lanes)
  local windows = math.floor((length - 1) / seq)
  if windows < 1 then
    core.raise(("fit: %d tokens are too few for batch = %d streams of seq = %d: at least %d are needed"):format(
      n, lanes, seq, lanes * (seq + 1)))
  end
  local x, y = core.zeros({seq, lanes}, "int32"), core.zeros({seq, lanes}, "int32")
  local first, again, on = {}, {reset = true, burn_in = opts.burn_in}, {burn_in = opts.burn_in}
  for lane = 1, lanes do first[lane] = (lane - 1) * length end
  return {
    per_epoch = windows, lanes = lanes, seq = seq, carry = true, data = tokens.ids,
    batch = function(_, k)
      local window, starts = k % windows, {}
      for lane = 1, lanes do starts[lane] = first[lane] + window * seq end
      core.gather_streams(tokens.ids, core.array(starts, "int32"), seq, x, y)
      return x, y, window == 0 and again or on
    end,
  }
end

-- The order of an epoch: counters far apart, so that epoch e is shuffled without the epochs before it.
local function epoch_order(count, seed, epoch, shuffle)
  local order = core.range(0, count)
  return shuffle and core.rng(seed, epoch * 4294967296):shuffle(order) or order
end

local BUCKET = 50                                    -- batches whose sequences are sorted by length together

-- The same order with sequences of similar length side by side: pieces of it are sorted by length, and the batches they
-- make come in a new order. The last, smaller batch stays the last.
local function bucketed(order, lengths, size, rng)
  local list, sorted = order:totable(), {}
  for from = 1, #list, BUCKET * size do
    local piece, place = {}, {}
    for i = from, math.min(#list, from + BUCKET * size - 1) do
      piece[#piece + 1] = list[i]
      place[list[i]] = i
    end
    table.sort(piece, function(a, b)
      local first, second = lengths[a + 1], lengths[b + 1]
      if first ~= second then return first < second end
      return place[a] < place[b]
    end)
    for _, i in ipairs(piece) do sorted[#sorted + 1] = i end
  end
  local places, result = rng:shuffle(core.range(0, math.floor(#list / size))), {}
  for k = 1, #places do
    for i = 1, size do result[#result + 1] = sorted[places[k] * size + i] end
  end
  for i = #result + 1, #sorted do result[i] = sorted[i] end
  return core.array(result, "int32")
end

--- Sequences that do not depend on each other, in a new order each epoch; the last batch may be smaller.
function batches.set(set, opts)
  local lanes = math.min(opts.batch, set.count)
  local count = math.ceil(set.count / opts.batch)
  local epoch, order = -1, nil
  return {
    per_epoch = count, lanes = lanes, seq = set.seq, carry = false, data = set.source, targets = set.targets,
    lengths = set.lengths, given_seq = set.given_seq,
    batch = function(_, k)
      if math.floor(k / count) ~= epoch then
        epoch = math.floor(k / count)
        order = epoch_order(set.count, opts.seed, epoch, opts.shuffle)
        if opts.bucket then
          order = bucketed(order, set.lengths, opts.batch, core.rng(opts.seed, epoch * 4294967296 + 2147483648))
        end
      end
      local from = k % count * opts.batch
      return set:batch(order:slice(from + 1, math.min(set.count, from + opts.batch)))
    end,
  }
end

--- What tells these data from others.
function batches.hash(source)
  local hash = core.hash(source.data) .. (source.targets and core.hash(source.targets) or "")
  return source.lengths and hash .. core.hash(source.lengths) or hash
end

return batches
