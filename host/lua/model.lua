-- model.lua: the model as scripts see it: a table around the core's weights, with what belongs to them: the vocabulary,
-- the labels, the loss, and `meta`, which travels in the file.

local core = require "lstm.core"
local layers = require "lstm.layers"
local metadata = require "lstm.meta"
local methods = require "lstm.methods"
local options = require "lstm.options"
local pipeline = require "lstm.pipeline"
local seeds = require "lstm.seeds"
local sequences = require "lstm.sequences"
local sets = require "lstm.sets"
local training = require "lstm.training"

local module = {}

-- What a model may have; others look whether it has what vocabularies, scalers and sets have.
local FIELDS = {"core", "loss", "vocab", "output_vocab", "labels", "meta", "pipeline", "assumed"}
local OPTIONAL = {"vocab", "output_vocab", "labels", "pipeline", "assumed",
  "encode", "size", "tometa", "apply", "gather", "x", "y", "kind", "shape", "totable"}
local Model = methods.guard({}, "model", OPTIONAL, true)
Model.__index = Model
Model.__name = "lstm.model"

local LOSSES = {"mse", "mae", "huber", "esr", "cross_entropy", "binary_cross_entropy"}
local READS = {"all", "last", "mean", "max"}
local NUMERICS = {"fused", "portable"}
local INITS = {"default", "pytorch", "zero"}
local output_of = training.output_of
local loss_of = {linear = "mse", softmax = "cross_entropy", sigmoid = "binary_cross_entropy"}

-- --- making one ---------------------------------------------------------------------------------------------------

local function is_vocab(value)
  local class = getmetatable(value)
  local at = type(class) == "table" and class or value
  return type(value) == "table" and rawget(at, "encode") and rawget(at, "size") and true or false
end

-- What goes in or comes out: a number, a vocabulary, or (out) a list of labels. Returns size, vocabulary, labels.
local function read_end(value, name)
  if is_vocab(value) then return value:size(), value end
  if type(value) ~= "table" then return value end
  if name == "input" then core.raise('model: input is a vocabulary or a number of inputs') end
  local places = {}
  for i, label in ipairs(value) do
    if type(label) ~= "string" then core.raise(("model: label %d must be a string"):format(i)) end
    if places[label] then core.raise(('model: labels %d and %d are both "%s"'):format(places[label], i, label)) end
    places[label] = i
  end
  if #value < 2 then core.raise("model: output needs at least two labels") end
  return #value, nil, value
end

-- The sizes of the hidden layers in the short form: hidden = 50, layers = 2, or hidden = {64, 32}.
local function hidden_sizes(opts)
  if type(opts.hidden) == "number" then
    local sizes = {}
    for i = 1, opts.layers or 1 do sizes[i] = opts.hidden end
    return sizes
  end
  if opts.layers and opts.layers ~= #opts.hidden then
    core.raise(("model: hidden lists %d layers, layers says %d"):format(#opts.hidden, opts.layers))
  end
  return opts.hidden
end

local function short_form(opts, vocab)
  if not opts.hidden then core.raise("model: give hidden = cells, or layers such as lstm.lstm(50)") end
  local list = {}
  if opts.embedding and not vocab then core.raise('model: "embedding" is for a vocabulary as input') end
  if vocab then list[1] = layers.embedding(opts.embedding or math.min(64, vocab:size())) end
  for _, size in ipairs(hidden_sizes(opts)) do
    list[#list + 1] = layers.lstm(size)
    if (opts.dropout or 0) > 0 then list[#list + 1] = layers.dropout(opts.dropout) end
  end
  return list
end

local function explicit_form(opts, vocab)
  for _, name in ipairs{"hidden", "layers", "dropout", "embedding"} do
    if opts[name] then core.raise(('model: "%s" is for models without a list of layers'):format(name)) end
  end
  local list = {}
  for i, layer in ipairs(opts) do
    if not layers.is(layer) then
      core.raise(("model: layer %d must be made by lstm.lstm, gru, dense, embedding or dropout, got %s"):format(i,
        options.show(layer)))
    end
    list[i] = {}
    for key, value in pairs(layer) do list[i][key] = value end
  end
  if vocab and list[1].type ~= "embedding" then
    core.raise("model: a vocabulary as input needs an embedding first: lstm.embedding(64)")
  end
  return list
end

-- Sets how the last recurrent layer is read, unless its own option says so. read: as asked for; default: otherwise.
local function set_read(list, read, default)
  for i = #list, 1, -1 do
    if layers.is_recurrent(list[i]) then
      local own = list[i].read
      if read and own and read ~= own then
        core.raise(('model: read = "%s" for the model, but layer %d has read = "%s": give one of them'):format(read, i,
          own))
      end
      list[i].read = own or read or default
      return
    end
  end
  core.raise("model: there is no recurrent layer")
end

local spec = {
  input = {type = {"integer", "table"}, required = true, min = 1}, hidden = {type = {"integer", "table"}, min = 1},
  layers = {type = "integer", min = 1}, dropout = {type = "number", min = 0, below = 1},
  embedding = {type = "integer", min = 1}, output = {type = {"integer", "table"}, min = 1},
  read = {choices = READS}, loss = {choices = LOSSES}, init = {type = {"string", "table"}},
  seed = {type = "integer"}, isa = {type = "string"}, numerics = {choices = NUMERICS},
  meta = {type = "table"}, ["#"] = true,
}

local function wrap(fields) return setmetatable(fields, Model) end

--- A mistyped field would be ignored without a word.
function Model:__newindex(name, value)
  for _, field in ipairs(FIELDS) do
    if name == field then return rawset(self, name, value) end
  end
  core.raise("model: " .. options.unknown("field", name, FIELDS) .. "; m.meta keeps values of your own")
end

local function is_model(value) return getmetatable(value) == Model end

local function check_init(init)
  if type(init) ~= "string" then return end
  for _, name in ipairs(INITS) do
    if init == name then return end
  end
  core.raise("model: " .. options.unknown("init", init, INITS))
end

--- A new model.
-- Short form: lstm.model{input = 1, hidden = 50, output = 1}; hidden may be a list, layers = n repeats it, dropout = p
--   drops values after each layer, embedding = n is the width of the table for a vocabulary.
-- Explicit: lstm.model{input = vocab, lstm.embedding(64), lstm.lstm(128), output = vocab}.
-- input: number of inputs per step, or a vocabulary. output: number of outputs, a vocabulary, or a list of labels; a
--   linear layer of that size is added. Without it the last layer is the output.
-- loss: "mse", "mae", "huber", "esr" (of sound, see fit), "cross_entropy" (default for a vocabulary or labels),
--   "binary_cross_entropy".
-- read: "all" (default for a vocabulary, "esr" or a residual connection), "last", "mean" or "max".
-- init: "default", "pytorch", "zero", or a model of the same layers.
-- numerics: "fused" (default), or "portable": the same bits also on SSE2 and WASM, a little slower.
-- seed; isa; meta: a table that travels in the file.
-- Raises for unknown options and for what no model can be.
function module.new(given)
  local opts = options.check(given, spec, "model")
  local inputs, vocab = read_end(opts.input, "input")
  local list = #opts > 0 and explicit_form(opts, vocab) or short_form(opts, vocab)
  local output_vocab, labels, size
  if opts.output then
    size, output_vocab, labels = read_end(opts.output, "output")
    list[#list + 1] = layers.dense(size)
  end
  local classes = output_vocab or labels
  local loss = opts.loss or (classes and "cross_entropy" or "mse")
  if loss == "cross_entropy" and size == 1 then
    core.raise('model: "cross_entropy" needs at least two outputs: for one there is "binary_cross_entropy"')
  end
  set_read(list, opts.read, (output_vocab or loss == "esr" or list[#list].residual) and "all" or "last")
  local from = type(opts.init) == "table" and opts.init
  if from and not is_model(from) then core.raise("model: init must be a name or a model, got a table") end
  check_init(opts.init)
  local self = wrap{
    core = core.model{
      input = inputs, layers = list, output = output_of[loss], init = from and "zero" or opts.init,
      seed = opts.seed or seeds.next(), isa = opts.isa, numerics = opts.numerics,
    },
    loss = loss, vocab = vocab, output_vocab = output_vocab, labels = labels, meta = opts.meta or {},
  }
  if from then self.core:copy_weights(from.core) end
  return self
end

-- --- files --------------------------------------------------------------------------------------------------------

-- Everything beside the weights, as strings.
function Model:strings()
  local strings = {loss = self.loss}
  if self.vocab then strings.vocab = self.vocab:tometa() end
  if self.output_vocab then strings.output_vocab = self.output_vocab:tometa() end
  if self.labels then strings.labels = metadata.encode(self.labels, "labels") end
  if self.pipeline then strings.pipeline = pipeline.tometa(self.pipeline) end
  for key, value in pairs(self.meta) do
    if type(key) ~= "string" then core.raise("meta: keys are strings, got " .. options.show(key)) end
    strings["meta." .. key] = metadata.encode(value, key)
  end
  return strings
end

--- Writes the model, with vocabulary, labels and meta, as a safetensors file. The file appears whole or not at all.
-- Returns true, or nil, message, status.
function Model:save(path)
  if type(path) ~= "string" then core.raise("save: the path must be a string, got " .. options.show(path)) end
  return self.core:save(path, self:strings())
end

--- The file that save writes, as a string.
function Model:bytes() return self.core:bytes(self:strings()) end

-- A vocabulary from its string; a broken one is the file's fault.
local function read_vocab(text, size)
  if not text then return nil end
  local vocab, message = require "lstm.vocab".frommeta(text)
  if not vocab then return nil, message end
  if vocab:size() ~= size then return nil, "the vocabulary does not fit the model" end
  return vocab
end

local function read_strings(self, strings)
  local inputs, outputs = self.core:sizes()
  local problem, more
  self.loss = output_of[strings.loss or ""] and strings.loss or loss_of[self.core:output()] or "mse"
  self.vocab, problem = read_vocab(strings.vocab, inputs)
  self.output_vocab, more = read_vocab(strings.output_vocab, outputs)
  problem = problem or more
  local labels = strings.labels and metadata.decode(strings.labels)
  if type(labels) == "table" and #labels == outputs then self.labels = labels
  elseif strings.labels then problem = problem or "the labels are damaged" end
  if strings.pipeline then
    self.pipeline = pipeline.frommeta(strings.pipeline, inputs, outputs)
    problem = problem or not self.pipeline and "the pipeline is damaged" or nil
  end
  for key, value in pairs(strings) do
    local name = key:match("^meta%.(.+)$")
    if name then
      self.meta[name] = metadata.decode(value)
      if self.meta[name] == nil and not problem then
        problem = ('meta.%s is damaged: "%s"'):format(name, value:sub(1, 40))
      end
    end
  end
  return problem
end

--- Loads a model: one of ours, a checkpoint (its best weights), or a PyTorch state dict in safetensors format. Where
-- there is no file of this name, but PATH.encoder and PATH.decoder: the pair that lstm.seq2seq made.
-- opts: data (the file's bytes, instead of a path), layers (a list, for foreign files), prefixes = {["encoder."] =
--   "rnn."}, isa, numerics (default: what the file says), allow_not_finite. `model.assumed` says what was assumed of a
--   foreign file.
-- Returns the model, or nil, message, status. Raises for unknown options.
function module.load(path, opts)
  if type(path) == "table" and opts == nil then path, opts = nil, path end
  opts = options.check(opts, {
    data = {type = "string"}, layers = {type = "table"}, prefixes = {type = "table"}, isa = {type = "string"},
    numerics = {choices = NUMERICS}, allow_not_finite = {type = "boolean"},
  }, "load")
  if path == nil and not opts.data then core.raise("load: give a path") end
  if path ~= nil and type(path) ~= "string" then core.raise("load: the path must be a string") end
  if path and not opts.data and not core.exists(path) and core.exists(path .. ".decoder") then
    return require "lstm.seq2seq".load(path, opts)
  end
  local weights, assumed, status = core.load(path, opts)
  if not weights then return nil, assumed, status end
  local self = wrap{core = weights, meta = {}, assumed = assumed ~= "" and assumed or nil}
  local problem = read_strings(self, weights:meta())
  if problem then return nil, (path or "data") .. ": " .. problem, "format" end
  return self
end

-- --- looking at it --------------------------------------------------------------------------------------------------

--- The number (from 1) of a label or symbol among the outputs, or nil.
function Model:index(label)
  if self.output_vocab then
    local id = self.output_vocab:id(label)
    return id and id + 1
  end
  for i, candidate in ipairs(self.labels or {}) do
    if candidate == label then return i end
  end
  return nil
end

--- What output number i (from 1) means: a label, a symbol of the vocabulary, or i itself.
function Model:label(i)
  if self.labels then return self.labels[i] end
  if self.output_vocab then return self.output_vocab:symbol(i - 1) end
  return i
end

--- How many numbers training adjusts.
function Model:parameters() return self.core:parameters() end

--- The names of the weight tensors, as PyTorch calls them.
function Model:tensors() return self.core:tensors() end

--- A copy of a tensor as an array; with an array, sets it. Raises for a name or shape that is not there.
function Model:tensor(name, value)
  if value then return self.core:set_tensor(name, value) end
  return self.core:tensor(name)
end

--- The instruction set that it runs on.
function Model:isa() return self.core:describe().isa end

--- "fused" or "portable".
function Model:numerics() return self.core:describe().numerics end

function Model:__tostring()
  if not pcall(self.core.sizes, self.core) then return "model (closed)" end
  return (require "lstm.summary"(self))
end

--- A model with the same layers and weights.
function Model:clone()
  local copy = {}
  for key, value in pairs(self) do copy[key] = value end
  local description = self.core:describe()
  description.init = "zero"
  copy.core, copy.meta = core.model(description), {}
  copy.core:copy_weights(self.core)
  for key, value in pairs(self.meta) do copy.meta[key] = value end
  return wrap(copy)
end

--- Frees the weights now. States and trainers of it raise from here on.
function Model:close() self.core:close() end
Model.__close = Model.close

-- --- running it ----------------------------------------------------------------------------------------------------

--- A stream through the model, at rest. lanes: how many independent sequences step together (default 1).
function Model:state(lanes)
  return core.state(self.core, self, lanes)
end

--- A training run of the caller's own: trainer:train(x, y) with x [T][B][I] or ids [T][B], or its parts: forward,
-- loss, backward, clip, update. Options: batch, seq (the largest), loss ("none": gradients of the caller's only), lr,
-- clip (default 5; 0: off), carry (a lane goes on where its last window ended), keep_best, seed, and those of fit that
-- say how weights move: optimizer, schedule, freeze, ...
function Model:trainer(given)
  local opts = options.check(given, training.with{
    batch = {type = "integer", default = 1, min = 1}, seq = {type = "integer", default = 1, min = 1},
    loss = {choices = {"none", (table.unpack or unpack)(LOSSES)}, default = self.loss},   -- luacheck: ignore unpack
    carry = {type = "boolean"}, keep_best = {type = "boolean"},
  }, "trainer")
  opts.seed = opts.seed or seeds.next()
  local prepared = training.prepare(self, opts, "trainer")
  for _, name in ipairs{"batch", "seq", "carry", "keep_best"} do prepared[name] = opts[name] end
  return core.trainer(self.core, self, prepared)
end

-- A state for batches: many lanes, and scratch for every thread.
function Model:batch_state(lanes) return core.state(self.core, self, lanes, core.threads()) end

-- Sequences of different length, read step by step, give a list of arrays.
local function predict_list(set, state, size)
  local result = {}
  for first = 0, set.count - 1, size do
    local x, _, extra = set:batch(core.range(first, math.min(size, set.count - first)))
    state:reset()
    local y = state:forward_batch(x, extra)
    for lane = 1, #extra.lengths do result[#result + 1] = core.lane(y, lane, extra.lengths[lane]) end
  end
  return result
end

local function predict_set(self, set, size)
  local _, outputs, _, _, last = self.core:sizes()
  local steps = last and 1 or set.seq
  local state = self:batch_state(math.min(size, set.count))
  if set.lengths and not last then return predict_list(set, state, size) end
  local result = core.zeros{set.count, steps, outputs}
  for first = 0, set.count - 1, size do
    local x, _, extra = set:batch(core.range(first, math.min(size, set.count - first)))
    state:reset()
    core.scatter(state:forward_batch(x, extra), first, result)
  end
  return last and result:reshape{set.count, outputs} or result
end

local predict_options = {batch = {type = "integer", default = 256, min = 1}}

-- Data as the network takes it: strings encoded, tables of numbers as arrays, lists as sets, raw values scaled. And
-- what brings outputs back into the units of raw rows.
local function input_of(self, data, where)
  if type(data) == "string" then return sequences.encoded({data}, self.vocab, where)[1] end
  if type(data) == "table" and not getmetatable(data) and not data.gather and data.x == nil and data[1] ~= nil then
    if sequences.is_list(data) then
      data = sequences.new{x = data}
    else
      data = core.array(data, select(4, self.core:sizes()) and "int32" or "float32")
    end
  end
  return pipeline.input(self, data, where)
end

-- One sequence as state:forward takes it, [T][I] or ids [T], where data are one: tokens, an array [T][I], [T] of one
-- input, or of ids [T]. Else nil.
local function single(self, data, where)
  if sets.is_tokens(self, data, where) then return core.whole(data.ids) end
  if not core.is_array(data) then return nil end
  local inputs, _, _, takes_ids = self.core:sizes()
  local n, width, more = data:shape()
  if takes_ids then return not width and core.whole(data) or nil end
  if not width and inputs == 1 then return data:reshape{n, 1} end
  return width == inputs and not more and data or nil
end

local function run(self, data, opts, where)
  local one = single(self, data, where)
  if one then return self:state():forward(one) end
  local set = sets.of(self, data, nil, where)
  if set.count == 0 then core.raise(where .. ": the set is empty") end
  return predict_set(self, set, opts.batch)
end

-- raw: the outputs as the network gives them, also of raw rows.
local function predict(self, data, opts, where, raw)
  local finish
  data, finish = input_of(self, data, where)
  local values = run(self, data, opts, where)
  return finish and not raw and finish(values) or values
end

--- The model's outputs for windows, {x = array [N][T][I]}, such an array, a set or list of sequences, or a token
-- sequence; probabilities where the loss is a cross-entropy. Returns an array [N][O]; [N][T][O] where the model reads
-- all steps (a list of [T][O] for sequences that differ in length); [n][O] for n tokens; for one sequence [T][I] what
-- belongs to it.
-- Of a raw table of rows (lstm.csv) the columns that the model learned from are taken by name, scaled and cut into
-- windows, and the outputs are in the targets' own units [n][outputs], in the order of rows:windows(...):targets().
-- Rows that scale:apply made, windows and arrays stay as they are: scaled in, scaled out. Raw sequences are scaled
-- where the model learned from scaled ones.
-- opts: batch (sequences at once, default 256).
function Model:predict(data, opts)
  opts = options.check(opts, predict_options, "predict")
  return (predict(self, data, opts, "predict"))      -- no tail call: errors count the levels
end

--- The n rows after those of a raw table (lstm.csv), as a table of the target columns in their own units: the model
-- reads its own outputs where it needs rows that are not there yet.
-- opts: known (a raw table of the future of the columns that the model reads and does not foretell; without it and with
-- such columns n is at most ahead + steps - 1).
-- Raises for a model that did not learn from windows, for too few rows, and for rows that are scaled already.
function Model:forecast(rows, n, opts)
  return (pipeline.forecast(self, rows, n, opts))    -- no tail call: errors count the levels
end

-- What output number i means to classify: a single probability is that of 1 against 0.
local function class_of(self, i)
  if select(2, self.core:sizes()) == 1 then return i - 1 end
  return self:label(i)
end

-- Names in nested lists, as the places are nested.
local function names_of(self, places)
  if type(places) == "number" then return class_of(self, places) end
  local result = {}
  for i, part in ipairs(places) do result[i] = names_of(self, part) end
  return result
end

-- {label =, p =} for each of the last axis of these nested lists.
local function tops_of(self, places, values)
  local result = {}
  for i, place in ipairs(places) do
    result[i] = type(place) == "table" and tops_of(self, place, values[i]) or
      {label = class_of(self, place), p = values[i]}
  end
  return result
end

-- Labels and probabilities of outputs [O], [N][O] or [N][T][O]; with top the k likeliest of each.
local function classes_of(self, outputs, top)
  local places, values = core.top(outputs, top or 1)
  if #places > 0 and places:min() < 1 then
    core.raise("classify: an output is not a number: the data or the weights have NaN or infinity")
  end
  if top then return tops_of(self, places:totable(), values:totable()) end
  local n, t = outputs:shape()
  if #{outputs:shape()} == 1 then return class_of(self, places[1]), values[1] end
  local shape = #{outputs:shape()} == 2 and {n} or {n, t}
  return names_of(self, places:reshape(shape):totable()), values:reshape(shape)
end

--- The likeliest class (a label, a symbol, its number, or 0 and 1 of a single probability) of each output of predict,
-- and its probability: a list and an array [N]; lists in a list and an array [N][T] where the model reads all steps
-- (for sequences that differ in length a list of lists and a list of arrays); for a single sequence a label and a
-- number, or a list and an array [T]. data: as for predict; a string is one sequence of a model of text.
-- opts: top (instead: a list {label =, p =} of the k likeliest for each, likeliest first), batch.
-- Raises for a model that gives numbers, not classes, and where outputs are NaN.
function Model:classify(data, opts)
  opts = options.check(opts, {batch = predict_options.batch, top = {type = "integer", min = 1}}, "classify")
  if not (self.labels or self.output_vocab or self.loss:find("cross_entropy", 1, true)) then
    core.raise(('classify: the model gives numbers, not classes (its loss is "%s"): use predict'):format(self.loss))
  end
  local values = predict(self, data, opts, "classify", true)
  if type(values) ~= "table" then return classes_of(self, values, opts.top) end
  local labels, probabilities = {}, not opts.top and {} or nil
  for i, rows in ipairs(values) do
    local p
    labels[i], p = classes_of(self, rows, opts.top)
    if probabilities then probabilities[i] = p end
  end
  return labels, probabilities
end

-- One sequence as state:forward takes it: [T][I], [T][1][I], ids [T] or [T][1].
local function one_sequence(self, data, where)
  local x = input_of(self, data, where)
  local one = single(self, x, where)
  if one then return one end
  if type(x) ~= "userdata" and type(x) ~= "table" then
    core.raise(where .. ": one sequence expected, got " .. options.show(data))
  end
  local inputs, _, _, takes_ids = self.core:sizes()
  local set = sets.of(self, x, nil, where)
  if set.count ~= 1 then
    core.raise(("%s: one sequence expected, an array [T]%s or a set of one, got a set of %d"):format(where,
      takes_ids and " of ids" or ("[%d]"):format(inputs), set.count))
  end
  return (set:batch(core.range(0, 1)))
end

local function trace_layer(self, x, layer)
  local state = self:state():trace{layer = layer, steps = math.max(1, #x)}
  state:forward(x)
  return state:traced()
end

--- What the cells of a recurrent layer do on one sequence: arrays [T][H] by the names of the gates,
-- {steps =, layer =, i =, f =, g =, o =, c =, h =, saturation =} (gru: r, z, n, h); of a bidirectional layer also
-- `reverse`. saturation.f.low and saturation.f.high [H] are each cell's shares of the steps at which f is below 0.1 and
-- above 0.9 (g and n: below -0.9).
-- data: a string of a model of text, an array or table [T][I], [T] (one input) or of ids [T], tokens, or a set of one
-- sequence as predict takes it.
-- opts: layer (its place, default the first recurrent one; "all": a list, one trace for each recurrent layer).
function Model:trace(data, opts)
  opts = options.check(opts, {layer = {type = {"integer", "string"}}}, "trace")
  if type(opts.layer) == "string" and opts.layer ~= "all" then
    core.raise(('trace: layer must be the place of a layer or "all", got %s'):format(options.show(opts.layer)))
  end
  local x = one_sequence(self, data, "trace")
  if opts.layer ~= "all" then return trace_layer(self, x, opts.layer) end
  local traces = {}
  for place, layer in ipairs(self.core:describe().layers) do
    if layers.is_recurrent(layer) then traces[#traces + 1] = trace_layer(self, x, place) end
  end
  return traces
end

--- The mean loss on data with targets, and more: {loss =, count =, accuracy = (of classes), ...}. Does not train.
-- A text (a string, or tokens) is read as one stream from rest. Of a raw table of rows with one target rmse and mae are
-- in its own unit; the loss, esr, and errors of several targets are those of the scaled values.
-- opts: batch (default 256), loss (default the model's), metrics (a list of "perplexity", "rmse", "mae", "f1", "esr":
-- see evaluate.lua).
function Model:evaluate(data, opts)
  local raw
  data, raw = input_of(self, data, "evaluate")
  local result = require "lstm.evaluate".model(self, data, opts, LOSSES)
  return raw and pipeline.rescaled(self, result) or result
end

--- How often each class was taken for each other on data with targets: an lstm.confusion. opts: batch (default 256).
function Model:confusion(data, opts)
  data = pipeline.input(self, data, "confusion")
  return (require "lstm.evaluate".confusion(self, data, opts))
end

local function all(...) return ... end

--- Trains the model, see fit.lua.
function Model:fit(train, opts)
  if not is_model(self) then core.raise("fit: a model expected before the colon, as in model:fit(data, {...})") end
  return all(require "lstm.fit"(self, train, opts))  -- no tail call: errors count the levels
end

--- A clone that learns a slice at a time, see lesson.lua.
function Model:lesson(data, opts)
  if not is_model(self) then core.raise("lesson: a model expected before the colon, as in model:lesson(data)") end
  return all(require "lstm.lesson"(self, data, opts))
end

--- Writes on, piece by piece, see generate.lua.
function Model:generate(opts)
  local pieces = require "lstm.generate"(self, opts)
  return pieces
end

--- All that generate gives, as one string.
function Model:sample(opts)
  local pieces = {}
  for piece in require "lstm.generate"(self, opts) do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

--- Whether a value is a model, the names of the losses, and the options of new as rules.
module.is, module.LOSSES, module.spec = is_model, LOSSES, spec

--- The most likely output of the last step: its label, symbol or number, and its probability (or value).
function core.states.best(state, lane)
  local i, value = state:argmax(lane)
  local model = state:model()
  return model and model:label(i) or i, value
end

return module
