-- generate.lua: a model of a text writes on.

local core = require "lstm.core"
local options = require "lstm.options"
local seeds = require "lstm.seeds"

-- Where to begin without a text: after a line's end where the vocabulary has one, else with any symbol, which is then
-- the first piece.
local function begin(vocab, rng)
  local id = vocab:id("\n")
  if id then return id, "" end
  id = rng:index(vocab:size()) - 1
  return id, vocab:symbol(id)
end

-- Reads the text, so that the state stands at its end.
local function read(model, state, text)
  local known, tokens = pcall(model.vocab.encode, model.vocab, text)
  if not known then core.raise("generate: " .. tostring(tokens):gsub("^[^\n]-:%d+: ", "")) end
  for i = 1, #tokens.ids do state:feed(tokens.ids[i]) end
end

local spec = {
  prime = {type = "string", default = ""}, length = {type = "integer", default = 400, min = 0},
  temperature = {type = "number", default = 1, min = 0}, top_k = {type = "integer", min = 1},
  top_p = {type = "number", above = 0, max = 1}, stop = {type = {"string", "table"}}, seed = {type = "integer"},
  state = {type = "userdata"},
}

-- The stop strings as a list, none of them empty.
local function stops_of(stop)
  local list = type(stop) == "string" and {stop} or stop or {}
  for i, text in ipairs(list) do
    if type(text) ~= "string" or text == "" then
      core.raise(("generate: stop must be a string or a list of strings, none of them empty; number %d is %s"):format(i,
        options.show(text)))
    end
  end
  return list
end

local function check_model(model)
  local vocab = model.output_vocab
  if not vocab or not model.vocab then core.raise("generate: the model has no vocabulary to write with") end
  if vocab ~= model.vocab then
    core.raise("generate: the model writes with another vocabulary than it reads, so it cannot read what it wrote")
  end
  if select(6, model.core:sizes()) then
    core.raise("generate: a bidirectional model reads a text from both ends, so it cannot write on")
  end
  return vocab
end

local function check_state(model, state)
  local ok, owner = pcall(core.states.model, state)
  if not ok or owner ~= model then core.raise("generate: state must be a state of this model: model:state()") end
  if state:lanes() ~= 1 then
    core.raise(("generate: the state has %d lanes, one is needed"):format(state:lanes()))
  end
end

-- The first place in text where one of the stops begins, or nil.
local function stop_in(text, stops)
  local first
  for _, stop in ipairs(stops) do
    local at = text:find(stop, 1, true)
    if at and (not first or at < first) then first = at end
  end
  return first
end

-- How many of the last bytes of text may be the beginning of a stop.
local function open_end(text, stops)
  local most = 0
  for _, stop in ipairs(stops) do
    for n = math.min(#stop - 1, #text), most + 1, -1 do
      if text:sub(-n) == stop:sub(1, n) then
        most = n
        break
      end
    end
  end
  return most
end

-- Pieces without what follows the first stop: text that may be the beginning of one waits for the pieces that decide.
local function until_stop(pieces, stops)
  local held, ended = "", false
  return function()
    while not ended do
      local piece = pieces()
      ended = piece == nil
      held = held .. (piece or "")
      local at = stop_in(held, stops)
      local wait = ended and 0 or open_end(held, stops)
      if at then ended, held, wait = true, held:sub(1, at - 1), 0 end
      local ready = held:sub(1, #held - wait)
      held = held:sub(#held - wait + 1)
      if ready ~= "" then return ready end
    end
  end
end

-- The symbols that the model draws, as text. spaced: whether a space comes before the next word.
local function drawn(state, vocab, opts, rng, spaced)
  local left, words = opts.length, vocab.kind == "words"
  return function()
    if left == 0 then return nil end
    left = left - 1
    local id = state:sample(opts.temperature, rng, opts.top_k, opts.top_p) - 1
    state:feed(id)
    local symbol = vocab:symbol(id)
    local space = words and spaced and symbol ~= "\n" and " " or ""
    spaced = symbol ~= "\n"
    return space .. symbol
  end
end

--- An iterator over pieces of text: first `prime` itself, then `length` symbols that the model draws. A loop over it
-- may end at any piece.
-- opts: prime (the text to go on from), length 400, temperature 1 (0: always the likeliest), top_k (only the k
--   likeliest symbols), top_p (only the likeliest that together have this probability, before the temperature), stop (a
--   string or a list of strings: writing ends before the first of them), seed, state (a state of this model to go on
--   from; by default one at rest).
-- Raises for a symbol that the model does not know, and for a model without a vocabulary.
return function(model, given)
  local opts = options.check(given, spec, "generate", 3)
  local stops, vocab = stops_of(opts.stop), check_model(model)
  if opts.state then check_state(model, opts.state) end
  local rng = core.rng(opts.seed or seeds.next())
  local state, first = opts.state or model:state(), opts.prime
  local spaced = first:find("%S$") ~= nil
  if first ~= "" then
    read(model, state, first)
  elseif not opts.state then
    local id
    id, first = begin(vocab, rng)
    state:feed(id)
  end
  local pieces = drawn(state, vocab, opts, rng, spaced)
  if #stops > 0 then pieces = until_stop(pieces, stops) end
  return function()
    if first == "" then return pieces() end
    local piece = first
    first = ""
    return piece
  end
end
