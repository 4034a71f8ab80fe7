-- seq2seq.lua: an encoder that reads a sequence, and a decoder that writes another one from the state in which the
-- encoder ends. In training the decoder is given what it should have written (teacher forcing); in use, what it wrote.

local core = require "lstm.core"
local layers = require "lstm.layers"
local methods = require "lstm.methods"
local models = require "lstm.model"
local options = require "lstm.options"
local pipeline = require "lstm.pipeline"
local seeds = require "lstm.seeds"
local sequences = require "lstm.sequences"
local training = require "lstm.training"

local seq2seq = {}
local Pair = methods.guard({}, "seq2seq", {"numbers", "places", "inverse", "start", "stop"}, true)
Pair.__index = Pair
Pair.__name = "lstm.seq2seq"

-- --- making one -----------------------------------------------------------------------------------------------------

local function refuse(sentence, ...) core.raise(("seq2seq: " .. sentence):format(...)) end

local function check_model(model, name)
  if not models.is(model) then refuse("%s must be a model, got %s", name, options.show(model)) end
end

-- The recurrent layers of a model as they begin or end: two directions count as one layer of twice the size.
local function states_of(model)
  local list = {}
  for _, layer in ipairs(model.core:describe().layers) do
    if layers.is_recurrent(layer) then
      local directions = layer.bidirectional and 2 or 1
      list[#list + 1] = {
        type = layer.type, size = directions * layer.size, directions = directions,
        projection = layer.projection and directions * layer.projection,
      }
    end
  end
  return list
end

local function described(state)
  local text = ("%s of %d"):format(state.type, state.size)
  if state.projection then text = ("%s, projected to %d"):format(text, state.projection) end
  return state.directions == 2 and text .. " (both directions)" or text
end

-- The decoder must begin with layers like those that the encoder ends in, one by one.
local function check_states(from, to)
  if #from ~= #to then
    refuse("the encoder has %d recurrent layer%s, the decoder %d: the states of each become those of its counterpart",
      #from, #from == 1 and "" or "s", #to)
  end
  for i, state in ipairs(from) do
    local other = to[i]
    if state.type ~= other.type or state.size ~= other.size or state.projection ~= other.projection then
      refuse("recurrent layer %d of the encoder ends as %s, that of the decoder begins as %s: type, size and " ..
        "projection must be the same", i, described(state), described(other))
    end
  end
end

-- Where each number of the decoder's state is in the encoder's, or nil where that is the same place. A layer's h and c
-- follow each other; of two directions there are h, c forward, then h, c backward, which are h h, c c to the decoder.
local function places_of(from)
  local places, at, both = {}, 0, false
  local function take(first, n)
    for i = first + 1, first + n do places[#places + 1] = i end
  end
  for _, state in ipairs(from) do
    local h = math.floor((state.projection or state.size) / state.directions)
    local c = state.type == "lstm" and math.floor(state.size / state.directions) or 0
    for direction = 0, state.directions - 1 do take(at + direction * (h + c), h) end
    for direction = 0, state.directions - 1 do take(at + direction * (h + c) + h, c) end
    at, both = at + state.directions * (h + c), both or state.directions == 2 and c > 0
  end
  return both and core.array(places, "int32") or nil
end

-- The inverse: where each number of the encoder's state is in the decoder's.
local function inverse_of(places)
  if not places then return nil end
  local inverse = {}
  for i, from in ipairs(places:totable()) do inverse[from] = i end
  return core.array(inverse, "int32")
end

-- States [B][S] with the numbers of each row taken from these places.
local function reordered(states, places) return places and core.pick_columns(states, places) or states end

-- The decoder must begin where the encoder ends, and what it writes must be what it reads.
local function check_fit(encoder, decoder)
  local inputs, outputs, _, _, once, bidirectional = decoder.core:sizes()
  if bidirectional then refuse("the decoder is bidirectional, but it must write step by step") end
  if once then refuse('the decoder must give an output at every step: make it with read = "all"') end
  check_states(states_of(encoder), states_of(decoder))
  if inputs ~= outputs then
    refuse("the decoder reads what it has written: its %d inputs must be as many as its %d outputs", inputs, outputs)
  end
end

-- The id (from 0) of a symbol, or of a number from 1; without one the end of a line.
local function symbol_id(decoder, symbol, name)
  local _, outputs = decoder.core:sizes()
  local i = symbol
  if type(symbol) ~= "number" then i = decoder:index(symbol or "\n") end
  if not i or i < 1 or i > outputs then
    refuse('%s = %s is no symbol of the decoder', name, options.show(symbol or "\n"))
  end
  return i - 1
end

-- The id of start or stop: as given, as the decoder has learned it (meta.seq2seq, which travels in its file), or the
-- end of a line. A decoder that has learned with one cannot go on with another.
local function chosen_id(opts, name)
  local decoder = opts.decoder
  local learned = decoder.meta.seq2seq
  learned = type(learned) == "table" and learned[name] or nil
  local id = symbol_id(decoder, opts[name] or learned, name)
  if learned and id ~= learned - 1 then
    refuse("%s = %s, but the decoder belongs to %s = %s (decoder.meta.seq2seq = nil makes it forget that)", name,
      options.show(opts[name]), name, options.show(decoder:label(learned)))
  end
  return id
end

--- A pair of models that learns sequences from sequences.
-- opts: encoder, decoder (models; a decoder of tokens, with output = its vocabulary, or of numbers), start and stop
--   (what a sentence of the decoder begins and ends with: a symbol, or its number from 1; default: the end of a line).
--   start and stop are kept in the decoder's meta. lstm.load(path) loads what pair:save(path) wrote.
-- Recurrent layer by layer, the decoder has the type and size of the encoder, or twice the size of a bidirectional one.
-- Raises where the encoder's final state is no initial state of the decoder.
function seq2seq.new(opts)
  local symbol = {type = {"string", "integer"}}
  opts = options.check(opts, {
    encoder = {required = true}, decoder = {required = true}, start = symbol, stop = symbol,
  }, "seq2seq")
  check_model(opts.encoder, "encoder")
  check_model(opts.decoder, "decoder")
  check_fit(opts.encoder, opts.decoder)
  local self = {encoder = opts.encoder, decoder = opts.decoder, loss = opts.decoder.loss}
  self.places = places_of(states_of(opts.encoder))
  self.inverse = inverse_of(self.places)
  if select(4, opts.decoder.core:sizes()) then
    self.start, self.stop = chosen_id(opts, "start"), chosen_id(opts, "stop")
    opts.decoder.meta.seq2seq = {start = self.start + 1, stop = self.stop + 1}
  else
    self.numbers = true
    if opts.start or opts.stop then refuse("start and stop are for a decoder of tokens, this one writes numbers") end
  end
  return setmetatable(self, Pair)
end

-- --- data -----------------------------------------------------------------------------------------------------------

-- Targets with what the decoder is given first and should write last around them: {start, ids ..., stop}, or a row of
-- zeros before the rows of numbers.
local function framed(self, list, where)
  local _, outputs = self.decoder.core:sizes()
  local result = {}
  for i, value in ipairs(sequences.encoded(list, self.decoder.vocab, where)) do
    if type(value) == "table" and value.kind == "tokens" then value = value.ids end
    if type(value) == "table" then value = core.array(value, self.numbers and "float32" or "int32") end
    if self.numbers then
      local bytes = ("\0"):rep(4 * outputs) .. value:bytes()
      result[i] = core.frombytes(bytes, "float32", {math.floor(#bytes / (4 * outputs)), outputs})
    else
      local ids = value:totable()
      table.insert(ids, 1, self.start)
      ids[#ids + 1] = self.stop
      result[i] = core.array(ids, "int32")
    end
  end
  return result
end

-- The packed targets once more, a step later or earlier: the same block, other beginnings.
local function shifted(packed, by)
  local first, lengths = packed.first:totable(), packed.lengths:totable()
  for i = 1, #first do first[i], lengths[i] = first[i] + by, lengths[i] - 1 end
  return {
    data = packed.data, first = core.array(first, "int32"), lengths = core.array(lengths, "int32"),
    longest = packed.longest - 1, width = packed.width, kind = packed.kind,
  }
end

-- What a model reads: the kind of its numbers and how many (0: ids).
local function inputs_of(model)
  local inputs, _, _, takes_ids = model.core:sizes()
  return takes_ids and "int32" or "float32", takes_ids and 0 or inputs
end

local function packed_set(self, data, where)
  if type(data) ~= "table" or type(data.x) ~= "table" or type(data.y) ~= "table" then
    core.raise(where .. ": a set {x = list of sequences, y = list of sequences} expected")
  end
  if data.kind ~= "sequences" then data = sequences.new{x = data.x, y = data.y} end
  local kept = sequences.kept(data, self)
  if kept then return kept end
  if #data.x == 0 then core.raise(where .. ": the set is empty") end
  local kind, width = inputs_of(self.encoder)
  local x = sequences.pack(sequences.encoded(data.x, self.encoder.vocab, where), kind, width, "x", where)
  kind, width = inputs_of(self.decoder)
  local y = sequences.pack(framed(self, data.y, where), kind, width, "y", where)
  return sequences.keep(data, {model = self, count = #data.x, x = x, given = shifted(y, 0), wanted = shifted(y, 1)})
end

local function new_array(packed, n)
  return core.zeros(packed.width > 0 and {packed.longest, n, packed.width} or {packed.longest, n}, packed.kind)
end

-- A set as fit.lua wants it: batch(indices) -> x, y, {lengths =, given =, given_lengths =}.
local function set_of(self, data, where)
  local packed = packed_set(self, data, where)
  local buffers = {}
  return {
    count = packed.count, seq = packed.x.longest, given_seq = packed.given.longest, lengths = packed.x.lengths,
    source = packed.x.data, targets = packed.given.data,
    batch = function(_, indices)
      local n = #indices
      local b = buffers[n]
      if not b then
        b = {x = new_array(packed.x, n), given = new_array(packed.given, n), wanted = new_array(packed.wanted, n),
          lengths = core.zeros(n, "int32"), given_lengths = core.zeros(n, "int32")}
        buffers[n] = b
      end
      local x = sequences.gather(packed.x, indices, b.x, b.lengths)
      local given = sequences.gather(packed.given, indices, b.given, b.given_lengths)
      local wanted = sequences.gather(packed.wanted, indices, b.wanted, b.given_lengths)
      return x, wanted, {lengths = b.lengths, given = given, given_lengths = b.given_lengths}
    end,
  }
end

-- --- training -------------------------------------------------------------------------------------------------------

-- Two trainers that take their steps together; to fit.lua it is a trainer like another.
local Trainer = methods.guard({}, "trainer", nil, true)
Trainer.__index = Trainer
Trainer.__name = "lstm.seq2seq.trainer"

local function finite(x) return x == x and math.abs(x) < math.huge end

-- Adds the gradients of a batch to those that wait, so that the sum is that of one batch with all their targets.
-- Returns the loss and the weight of its targets; or nil, message, "not_finite".
local function gather(self, x, y, extra)
  local encoder, decoder = self.encoder, self.decoder
  encoder:forward(x, {lengths = extra.lengths})
  local initial = reordered(encoder:final(), self.pair.places)
  decoder:forward(extra.given, {lengths = extra.given_lengths, initial = initial})
  local loss, weight = decoder:loss(y)
  if not finite(loss) then return nil, "the loss is not finite", "not_finite" end
  if weight == 0 then return loss, weight end
  for _, trainer in ipairs{encoder, decoder} do
    if self.gathered == 0 then trainer:zero_gradients() else trainer:scale_gradients(self.unit / weight) end
  end
  self.unit, self.gathered = weight, self.gathered + weight
  encoder:backward{d_final = reordered(decoder:backward().d_initial, self.pair.inverse)}
  return loss, weight
end

-- The update from all that was gathered: the norm that is clipped is that of both models' gradients together. Returns
-- true; or nil, message, status.
local function apply(self)
  local sum = 0
  for _, trainer in ipairs{self.encoder, self.decoder} do
    trainer:scale_gradients(self.unit / self.gathered)
    local norm, message, status = trainer:clip()               -- by value; of the norms none is clipped alone
    if not norm then return nil, message, status end
    sum = sum + norm * norm
  end
  local factor = self.clip > 0 and sum > self.clip * self.clip and self.clip / math.sqrt(sum) or 1
  for _, trainer in ipairs{self.encoder, self.decoder} do
    trainer:scale_gradients(factor)
    trainer:update()
  end
  return true
end

--- One step with teacher forcing. x: the encoder's input; y: what the decoder should write; extra: lengths (of x),
-- given (what the decoder reads), given_lengths. more = true: the update waits for the next call without it. Returns
-- the loss and the weight of its targets; or nil, message, "not_finite", and nothing has changed.
function Trainer:train(x, y, extra, more)
  local loss, weight, status = gather(self, x, y, extra)
  if not loss then
    self.gathered = 0
    return nil, weight, status
  end
  if more or self.gathered == 0 then return loss, weight end
  local ok, message, fault = apply(self)
  self.gathered = 0
  if not ok then return nil, message, fault end
  return loss, weight
end

-- The encoder's final states for a batch [B][S], as the decoder's initial ones.
local function final_states(self, x, lengths)
  local n = #lengths
  local state = self.encoder:batch_state(n)
  state:forward_batch(x, {lengths = lengths})
  local _, _, size = self.encoder.core:sizes()
  local result = core.zeros{n, size}
  for lane = 1, n do result[lane] = state:values(lane) end
  return reordered(result, self.places)
end

--- The learning rate, after setting it: of both.
function Trainer:lr(rate)
  self.encoder:lr(rate)
  return self.decoder:lr(rate)
end

function Trainer:rate() return self.decoder:rate() end

--- The norm of all gradients of the last step, before clipping.
function Trainer:norm()
  local a, b = self.encoder:norm(), self.decoder:norm()
  return math.sqrt(a * a + b * b)
end

function Trainer:steps() return self.decoder:steps() end

function Trainer:kept() return self.decoder:kept() end

for _, name in ipairs{"keep_best", "restore_best", "reset", "close"} do
  Trainer[name] = function(self)
    self.encoder[name](self.encoder)
    self.decoder[name](self.decoder)
  end
end
Trainer.__close = Trainer.close

--- Writes the checkpoints path.encoder and path.decoder. Returns true, or nil, message, status.
-- The decoder's file names the encoder's, and the encoder's gets its name last: whenever this is cut short, two files
-- that belong together are there.
function Trainer:save(path, strings)
  local coming = path .. ".encoder.next"
  local ok, message, status = self.encoder:save(coming, self.pair.encoder:strings())
  if not ok then return nil, message, status end
  local bytes
  bytes, message, status = core.readfile(coming)
  if not bytes then return nil, message, status end
  strings["fit.encoder"] = core.hash(bytes)
  ok, message, status = self.decoder:save(path .. ".decoder", strings)
  if not ok then return nil, message, status end
  ok, message = os.rename(coming, path .. ".encoder")
  if ok then return true end
  return nil, "cannot write " .. message, "io"
end

-- The options of one of the two: freeze and layer_rates have a list for each.
local function part_of(self, opts, name, where)
  local part = {}
  for key, value in pairs(opts) do part[key] = value end
  for _, key in ipairs{"freeze", "layer_rates"} do
    local lists = opts[key]
    if lists and (type(lists) ~= "table" or lists.encoder == nil and lists.decoder == nil) then
      core.raise(("%s: %s of a pair has a list for each: %s = {encoder = {1}, decoder = {1, 2}}"):format(where, key,
        key))
    end
    for other in pairs(lists or {}) do
      if other ~= "encoder" and other ~= "decoder" then
        core.raise(("%s: %s: %s"):format(where, key, options.unknown("model", other, {"encoder", "decoder"})))
      end
    end
    part[key] = lists and lists[name]
  end
  return training.prepare(self[name], part, where .. ": " .. name)
end

-- What core.trainer takes for the encoder and the decoder.
local function both(self, opts, where)
  local decoder = part_of(self, opts, "decoder", where)
  local rates = part_of(self, {freeze = opts.freeze, layer_rates = opts.layer_rates}, "encoder", where).layer_rates
  local encoder = {}
  for name, value in pairs(decoder) do encoder[name] = value end
  encoder.loss, encoder.label_smoothing, encoder.class_weights, encoder.huber_delta = "none", nil, nil, nil
  encoder.pre_emphasis = nil
  encoder.layer_rates = rates
  decoder.seed = (opts.seed or seeds.next()) + 1               -- other dropout masks than the encoder's
  for _, one in ipairs{encoder, decoder} do one.keep_best, one.clip = true, 0 end
  return encoder, decoder
end

local function new_trainer(self, sizes, opts, where)
  local encoder, decoder = both(self, opts, where)
  encoder.batch, encoder.seq = sizes.lanes, sizes.seq
  decoder.batch, decoder.seq = sizes.lanes, sizes.given_seq
  return setmetatable({
    pair = self, gathered = 0, clip = opts.clip or 5, encoder = core.trainer(self.encoder.core, self.encoder, encoder),
    decoder = core.trainer(self.decoder.core, self.decoder, decoder),
  }, Trainer)
end

-- --- fit ------------------------------------------------------------------------------------------------------------

-- What fit.lua wants to know of what it trains.
local how = {}

function how.source(self, data, opts)
  if opts.seq then core.raise("fit: seq is for texts") end
  if opts.burn_in then core.raise("fit: burn_in is for one model, not for a pair") end
  return require "lstm.batches".set(set_of(self, data, "fit"), opts)
end

function how.check(self, data)
  if not set_of(self, data, "fit: validation").targets then core.raise("fit: validation has no targets") end
end

--- The encoder takes over the scaler of its sequences, so that translate takes raw ones.
function how.learn(self, train, opts) return require "lstm.subject".learn(self.encoder, train, opts) end

function how.trainer(self, source, opts) return new_trainer(self, source, opts, "fit") end

-- The meter after the data; nil where stop() is true.
local function evaluate(self, data, opts, stop)
  local set = set_of(self, data, "evaluate")
  local size = opts.batch or 256
  local meter = require "lstm.evaluate".meter(self.decoder, math.min(size, set.count), opts)
  for first = 0, set.count - 1, size do
    local x, y, extra = set:batch(core.range(first, math.min(size, set.count - first)))
    meter:add(extra.given, y, {lengths = extra.given_lengths, initial = final_states(self, x, extra.lengths)})
    if stop and stop() then return nil end
  end
  return meter
end

function how.evaluate(self, data, opts, trainer, stop)
  local meter = evaluate(self, data, {
    loss = opts.loss, trainer = trainer.decoder, metrics = opts.metrics,
    plain = not opts.label_smoothing and not opts.class_weights,
  }, stop)
  return meter and meter:result()
end

-- Copies the weights of a pair, or of the files PATH.encoder and PATH.decoder.
function how.init(self, from)
  if getmetatable(from) == Pair then
    for _, name in ipairs{"encoder", "decoder"} do self[name].core:copy_weights(from[name].core) end
    return true
  end
  if type(from) ~= "string" then
    core.raise("fit: init must be a pair of models or the path of one, got " .. options.show(from))
  end
  local saved, message, status = how.open(from)
  if not saved then return nil, message, status end
  local before = {}
  for name, model in pairs(saved.models) do
    before[name] = self[name]:clone()
    if not pcall(self[name].core.copy_weights, self[name].core, model) then
      for done, copy in pairs(before) do self[done].core:copy_weights(copy.core) end
      return nil, ("fit: init: the %s of %s has other layers than this one"):format(name, from), "mismatch"
    end
  end
  return true
end

function how.exists(path) return core.exists(path .. ".decoder") end

-- The bytes of the encoder's checkpoint that belongs to this stamp (nil: any); or nil, message, status.
local function encoder_bytes(path, stamp)
  local bytes, message, status = core.readfile(path .. ".encoder")
  if bytes and (not stamp or core.hash(bytes) == stamp) then return bytes end
  local coming = core.readfile(path .. ".encoder.next")
  if coming and core.hash(coming) == stamp then return coming end
  if not bytes then return nil, message, status end
  return nil, ("%s.encoder does not belong to %s.decoder"):format(path, path), "mismatch"
end

-- One of the two as a model; or nil, message, status.
local function open_part(saved, path, name, bytes, message, status)
  if not bytes then return nil, message, status end
  saved.bytes[name] = bytes
  saved.models[name], message, status = core.load(path .. "." .. name, {data = bytes})
  return saved.models[name], message, status
end

function how.open(path)
  local saved = {bytes = {}, models = {}}
  local decoder, message, status = open_part(saved, path, "decoder", core.readfile(path .. ".decoder"))
  if not decoder then return nil, message, status end
  saved.strings = decoder:meta()
  local encoder
  encoder, message, status = open_part(saved, path, "encoder", encoder_bytes(path, saved.strings["fit.encoder"]))
  if not encoder then return nil, message, status end
  return saved
end

-- Both models, or none of them.
function how.restore(self, saved, make)
  local before = {encoder = self.encoder:clone(), decoder = self.decoder:clone()}
  local trainer
  local function back(message, status)
    if trainer then trainer:close() end
    for name, copy in pairs(before) do self[name].core:copy_weights(copy.core) end
    return nil, message, status
  end
  for name, model in pairs(saved.models) do
    if not pcall(self[name].core.copy_weights, self[name].core, model) then
      return back(("the checkpoint's %s has other layers than this one"):format(name), "mismatch")
    end
  end
  trainer = make()
  trainer:keep_best()
  for name, bytes in pairs(saved.bytes) do
    local ok, message, status = trainer[name]:resume(bytes)
    if not ok then return back(message, status) end
  end
  if trainer.encoder:steps() ~= trainer.decoder:steps() then
    return back("the encoder's checkpoint is of another step than the decoder's", "mismatch")
  end
  return trainer
end

--- The strings that travel with the pair's checkpoint.
function Pair:strings() return self.decoder:strings() end

local function all(...) return ... end

--- Trains both models, with teacher forcing. train: {x = list, y = list} or lstm.sequences: sequences as lstm.sequences
-- takes them, of any lengths; ids and tokens count from 0. Options and results are those of model:fit, but for seq and
-- burn_in; freeze and layer_rates have a list for each, {encoder = {1}, decoder = {1, 2}}; clip bounds the norm of both
-- models' gradients together; validation is of the same kind. A checkpoint is two files, PATH.encoder and PATH.decoder.
function Pair:fit(train, opts)
  return all(require "lstm.fit"(self, train, opts, how))       -- no tail call: errors count the levels
end

--- A training run of the caller's own. opts: batch (the most sentences), seq (the longest of either side, with its
-- end), and those of model:trainer. trainer:train(x, y, {lengths =, given =, given_lengths =}) takes one step.
function Pair:trainer(opts)
  opts = options.check(opts, training.with{
    batch = {type = "integer", default = 1, min = 1}, seq = {type = "integer", default = 1, min = 1},
  }, "trainer")
  opts.loss = self.loss
  return new_trainer(self, {lanes = opts.batch, seq = opts.seq, given_seq = opts.seq}, opts, "trainer")
end

--- The arrays of one batch of sentences: x, y, {lengths =, given =, given_lengths =}, as trainer:train takes them.
function Pair:batch(data)
  local set = set_of(self, data, "batch")
  return set:batch(core.range(0, set.count))
end

--- The mean loss on data, with teacher forcing: {loss =, count =, accuracy = (of tokens)}. opts: batch (default 256),
-- metrics (as for a model).
function Pair:evaluate(data, opts)
  opts = options.check(opts, {
    batch = {type = "integer", default = 256, min = 1}, metrics = {type = "table"},
  }, "evaluate")
  opts.loss = self.loss
  opts.metrics = require "lstm.evaluate".wanted(opts.metrics, self.loss, "evaluate")
  if type(data) == "table" then data = pipeline.input(self.encoder, data, "evaluate") end
  return (evaluate(self, data, opts):result())                 -- no tail call: errors count the levels
end

-- --- running --------------------------------------------------------------------------------------------------------

-- The decoder at the state in which the encoder ends.
local function begin(self, source, where)
  local kind, width = inputs_of(self.encoder)
  local one = sequences.encoded({sequences.of(source, where)}, self.encoder.vocab, where)[1]
  local packed = sequences.pack({(pipeline.input(self.encoder, one, where))}, kind, width, "x", where)
  local state = self.encoder:state()
  state:forward(packed.data)
  local values = state:values()
  if self.places then values = reordered(values:reshape{1, #values}, self.places)[1] end
  return self.decoder:state():set_values(values), #packed.data
end

-- The decoder writes numbers: each output is its next input.
local function write_numbers(self, state, steps)
  local _, outputs = self.decoder.core:sizes()
  local y, given = core.zeros{steps, outputs}, core.zeros(outputs)
  for t = 1, steps do
    given = state:step(given)
    y[t] = given
  end
  return y
end

local function text_of(self, ids)
  local vocab = self.decoder.output_vocab
  return vocab and vocab:decode(ids) or ids
end

local function most_of(opts, length) return opts.max or 10 + 2 * length end

-- One sequence. rng: where symbols are drawn.
local function write(self, source, opts, rng)
  local state, length = begin(self, source, "translate")
  if self.numbers then return write_numbers(self, state, opts.max) end
  local ids, id = {}, self.start
  for _ = 1, most_of(opts, length) do
    state:feed(id)
    id = (rng and state:sample(opts.temperature, rng, opts.top_k, opts.top_p) or (state:argmax())) - 1
    if id == self.stop then break end
    ids[#ids + 1] = id
  end
  return text_of(self, ids)
end

-- --- beam search ----------------------------------------------------------------------------------------------------
--
-- The beams are lanes of one state. A hypothesis is {id =, before = (what it goes on from), log_p =, length =}.

-- How good a sequence is: its logarithm of probability, for each of its symbols where length_penalty is 1.
local function score_of(log_p, length, opts) return log_p / length ^ (opts.length_penalty or 1) end

-- Puts a hypothesis among the best n, best first; of equal ones the first stays first.
local function insert(list, hypothesis, n)
  local at = #list
  while at > 0 and list[at].score < hypothesis.score do at = at - 1 end
  table.insert(list, at + 1, hypothesis)
  list[n + 1] = nil
end

-- The best ways to go on from the live hypotheses: those that end are put among the results, the others are returned,
-- with the lanes (from 1) that they go on from.
local function grow(self, y, live, results, opts)
  local weights, top = {}, live[1].log_p
  for i, hypothesis in ipairs(live) do weights[i] = math.exp(hypothesis.log_p - top) end
  local parents, ids, products = core.beam(y, weights, 2 * opts.beam)
  local grown, lanes = {}, {}
  for i = 1, #products do
    local before = live[parents[i]]
    local one = {id = ids[i], before = before, log_p = top + math.log(products[i]), length = before.length + 1}
    if one.id == self.stop then
      one.score = score_of(one.log_p, one.length, opts)
      if i <= opts.beam then insert(results, one, opts.n or 1) end
    elseif #grown < opts.beam then
      grown[#grown + 1], lanes[#lanes + 1] = one, parents[i]
    end
  end
  return grown, lanes
end

-- Whether no live hypothesis can become better than the results: its probability only falls, its length may grow.
local function is_decided(live, results, opts, most)
  local worst = results[opts.n or 1]
  return worst and worst.score >= score_of(live[1].log_p, most, opts)
end

local function ids_of(hypothesis, stop)
  local ids = {}
  for i = hypothesis.length, 1, -1 do
    ids[i] = hypothesis.id
    hypothesis = hypothesis.before
  end
  if ids[#ids] == stop then ids[#ids] = nil end
  return ids
end

-- The likeliest sequences and their scores. Where too few have ended after the most symbols, others fill up.
local function search(self, source, opts)
  local state, length = begin(self, source, "translate")
  local most, results, live, lanes = most_of(opts, length), {}, {{length = 0, log_p = 0}}, {1}
  local now, after = self.decoder:state(opts.beam), self.decoder:state(opts.beam)
  local ids = core.zeros(opts.beam, "int32"):fill(self.start)
  now:take(state, core.array(lanes, "int32"))
  for t = 1, most do
    local grown
    grown, lanes = grow(self, now:step(ids), live, results, opts)
    live = grown
    if #live == 0 or t == most or is_decided(live, results, opts, most) then break end
    after:take(now, core.array(lanes, "int32"))
    now, after = after, now
    for i, hypothesis in ipairs(live) do ids[i] = hypothesis.id end
  end
  if #live + #results == 0 then core.raise("translate: no probability is positive and finite") end
  for i = 1, math.min(#live, (opts.n or 1) - #results) do
    live[i].score = score_of(live[i].log_p, live[i].length, opts)
    results[#results + 1] = live[i]
  end
  local texts, scores = {}, {}
  for i, hypothesis in ipairs(results) do
    texts[i], scores[i] = text_of(self, ids_of(hypothesis, self.stop)), hypothesis.score
  end
  if opts.n then return texts, scores end
  return texts[1]
end

-- Whether a source is a list of sequences: strings, tokens, arrays, or tables of numbers.
local function is_list(source)
  if type(source) ~= "table" or source.kind or getmetatable(source) then return false end
  return sequences.is_list(source)
end

local function check_translate(self, opts)
  local function no(sentence, ...) core.raise(("translate: " .. sentence):format(...)) end
  local drawn = opts.temperature > 0
  if self.numbers then
    if not opts.max then no("a decoder of numbers needs max, how many steps to write") end
    if drawn or opts.beam > 1 or opts.n then no("temperature, beam and n are for a decoder of tokens") end
  end
  if drawn and (opts.beam > 1 or opts.n) then
    no("beam looks for the likeliest, temperature draws: give one of them")
  end
  if not drawn and (opts.top_k or opts.top_p) then no("top_k and top_p belong to temperature = 1, which draws") end
  if opts.length_penalty and opts.beam == 1 and not opts.n then
    no("length_penalty belongs to a beam, which compares whole sequences: beam = 5")
  end
  if opts.n and opts.n > opts.beam then no("n = %d needs a beam of at least %d", opts.n, opts.n) end
end

--- What the decoder writes for a source, reading what it wrote (free running): a string where it has a vocabulary, else
-- a list of ids from 0; of numbers an array [max][O].
-- source: as one sequence of fit (raw where fit had scaled ones); or a list of them (strings, tokens, arrays): then the
-- results are lists.
-- opts: max (the most symbols, default 10 and twice the source; needed for numbers), beam 1 (how many beginnings are
--   followed at once; 1: the likeliest symbol each time), length_penalty 1 (0: short ones are likelier), n (the n best
--   of the beam: a list, best first, and a list of their scores: the logarithm of the probability, divided by the
--   length with its end to the power of length_penalty); or temperature 0 (above 0: symbols are drawn), top_k, top_p,
--   seed.
function Pair:translate(source, opts)
  opts = options.check(opts, {
    max = {type = "integer", min = 1}, temperature = {type = "number", default = 0, min = 0},
    beam = {type = "integer", default = 1, min = 1}, length_penalty = {type = "number", min = 0},
    n = {type = "integer", min = 1}, seed = {type = "integer"}, top_k = {type = "integer", min = 1},
    top_p = {type = "number", above = 0, max = 1},
  }, "translate")
  check_translate(self, opts)
  local rng = opts.temperature > 0 and core.rng(opts.seed or seeds.next()) or nil
  local find = (opts.beam > 1 or opts.n) and search or write
  if not is_list(source) then
    local output, scores = find(self, source, opts, rng)
    if scores then return output, scores end
    return output
  end
  local outputs, scores = {}, opts.n and {} or nil
  for i, one in ipairs(source) do
    local some
    outputs[i], some = find(self, one, opts, rng)
    if scores then scores[i] = some end
  end
  if scores then return outputs, scores end
  return outputs
end

-- --- files ----------------------------------------------------------------------------------------------------------

--- A pair from path.encoder and path.decoder. Returns it, or nil, message, status.
function seq2seq.load(path, opts)
  local pair = {}
  for _, name in ipairs{"encoder", "decoder"} do
    local model, message, status = models.load(path .. "." .. name, opts)
    if not model then return nil, message, status end
    pair[name] = model
  end
  local ok, result = pcall(seq2seq.new, pair)
  if ok then return result end
  return nil, path .. ": " .. tostring(result):gsub("^[^\n]-:%d+: ", ""), "mismatch"
end

--- Writes path.encoder and path.decoder; lstm.load(path) reads both, or one of them by its full name.
-- Returns true, or nil, message, status.
function Pair:save(path)
  if type(path) ~= "string" then core.raise("save: the path must be a string, got " .. options.show(path)) end
  local ok, message, status = self.encoder:save(path .. ".encoder")
  if not ok then return nil, message, status end
  return self.decoder:save(path .. ".decoder")
end

--- How many numbers training adjusts, in both.
function Pair:parameters() return self.encoder:parameters() + self.decoder:parameters() end

function Pair:__tostring()
  return ("encoder:\n%s\n\ndecoder:\n%s"):format(tostring(self.encoder), tostring(self.decoder))
end

return seq2seq
