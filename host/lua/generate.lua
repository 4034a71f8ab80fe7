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
  if not known then core.raise("generate: " .. tostring(tokens):gsub("^lstm/%w+%.lua:%d+: ", "")) end
  for i = 1, #tokens.ids do state:feed(tokens.ids[i]) end
end

--- An iterator over pieces of text: first `prime` itself, then `length` symbols that the model draws.
-- opts: prime (the text to go on from), length 400, temperature 1 (0: always the likeliest), seed, state (a state of
-- this model to go on from; by default one at rest).
-- Raises for a symbol that the model does not know, and for a model without a vocabulary.
return function(model, given)
  local opts = options.check(given, {
    prime = {type = "string", default = ""}, length = {type = "integer", default = 400, min = 0},
    temperature = {type = "number", default = 1, min = 0}, seed = {type = "integer"}, state = {type = "userdata"},
  }, "generate", 3)
  local vocab = model.output_vocab
  if not vocab or not model.vocab then core.raise("generate: the model has no vocabulary to write with") end
  if select(6, model.core:sizes()) then
    core.raise("generate: a bidirectional model reads a text from both ends, so it cannot write on")
  end
  local rng = core.rng(opts.seed or seeds.next())
  local state = opts.state or model:state()
  local first, left = opts.prime, opts.length
  local spaced = vocab.kind == "words" and first:find("%S$")   -- whether a space comes before the next word
  if first ~= "" then
    read(model, state, first)
  elseif not opts.state then
    local id
    id, first = begin(vocab, rng)
    state:feed(id)
  end
  return function()
    if first ~= "" then
      local piece = first
      first = ""
      return piece
    end
    if left == 0 then return nil end
    left = left - 1
    local id = state:sample(opts.temperature, rng) - 1
    state:feed(id)
    local symbol = vocab:symbol(id)
    local space = spaced and symbol ~= "\n" and " " or ""
    spaced = vocab.kind == "words" and symbol ~= "\n"
    return space .. symbol
  end
end
