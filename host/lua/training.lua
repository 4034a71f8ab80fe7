-- training.lua: the options of a training run that go to the library's trainer, for fit and model:trainer.

local core = require "lstm.core"
local options = require "lstm.options"

local training = {}

--- The output that a model needs for each loss.
training.output_of = {
  mse = "linear", mae = "linear", huber = "linear", esr = "linear", cross_entropy = "softmax",
  binary_cross_entropy = "sigmoid",
}

--- Raises where a loss is not for what the model gives: it would be that of other numbers than those of predict.
function training.check_loss(model, loss, where)
  local has, needs = model.core:output(), training.output_of[loss]
  if not needs or has == needs then return end
  core.raise(('%s: loss = "%s" is for a model with a %s output, that of this one is %s'):format(where, loss, needs,
    has))
end

local share = {type = "number", min = 0, below = 1}

--- What fit and model:trainer both take, by name.
training.spec = {
  optimizer = {choices = {"sgd", "rmsprop", "adam", "adamw"}}, lr = {type = "number", above = 0},
  momentum = {type = "number", min = 0}, nesterov = {type = "boolean"}, beta1 = share, beta2 = share, alpha = share,
  epsilon = {type = "number", above = 0}, weight_decay = {type = "number", min = 0},
  clip = {type = "number", min = 0}, clip_value = {type = "number", min = 0}, seed = {type = "integer"},
  huber_delta = {type = "number", above = 0}, label_smoothing = {type = "number", min = 0, max = 1},
  class_weights = {type = {"table", "userdata"}}, pre_emphasis = {type = "number", min = 0, max = 1},
  schedule = {choices = {"step", "exponential", "cosine"}}, schedule_steps = {type = "integer", min = 1},
  schedule_factor = {type = "number", min = 0, max = 1}, warmup = {type = "integer", min = 0},
  freeze = {type = "table"}, layer_rates = {type = {"table", "userdata"}},
}

--- The names of these options, and of those that a run that goes on must have again.
training.names = {}
for name in pairs(training.spec) do training.names[#training.names + 1] = name end
table.sort(training.names)

--- A spec of one's own with these options in it.
function training.with(spec)
  for name, rule in pairs(training.spec) do spec[name] = spec[name] or rule end
  return spec
end

-- A list of n numbers of at least 0 as an array.
local function numbers(given, n, name, what, where)
  local list = type(given) == "userdata" and given:totable() or given
  if #list ~= n then
    core.raise(("%s: %s needs %d numbers, one for each %s, got %d"):format(where, name, n, what, #list))
  end
  for i, value in ipairs(list) do
    local checked, wanted = options.value(value, {type = "number", min = 0})
    if not checked then
      core.raise(("%s: %s: number %d must be %s, got %s"):format(where, name, i, wanted, options.show(value)))
    end
  end
  return core.array(list)
end

-- Weights by class: a list of all, or {label = weight} of some.
local function class_weights(model, given, where)
  if given == nil then return nil end
  local _, outputs = model.core:sizes()
  if type(given) == "userdata" or #given > 0 then
    return numbers(given, outputs, "class_weights", "class", where)
  end
  local list = {}
  for i = 1, outputs do list[i] = 1 end
  for label, weight in pairs(given) do
    local i = model.index and model:index(label)
    if not i then core.raise(("%s: class_weights: %s is no class of the model"):format(where, options.show(label))) end
    list[i] = weight
  end
  return numbers(list, outputs, "class_weights", "class", where)
end

-- Whether no layer with weights moves.
local function all_frozen(layers, rates)
  for i, layer in ipairs(layers) do
    if layer.type ~= "dropout" and rates[i] ~= 0 then return false end
  end
  return true
end

-- layer_rates and freeze as one list of factors, or nil.
local function layer_rates(model, opts, where)
  if not opts.layer_rates and not opts.freeze then return nil end
  local layers = model.core:describe().layers
  local count = #layers
  local rates = core.zeros(count) + 1
  if opts.layer_rates then rates = numbers(opts.layer_rates, count, "layer_rates", "layer of the model", where) end
  for _, i in ipairs(opts.freeze or {}) do
    if not options.value(i, {type = "integer", min = 1, max = count}) then
      core.raise(("%s: freeze lists the numbers of layers, from 1 to %d, got %s"):format(where, count, options.show(i)))
    end
    rates[i] = 0
  end
  if all_frozen(layers, rates) then core.raise(where .. ": every layer is frozen, there is nothing to train") end
  return rates
end

-- Which optimizers have an option.
local owners = {
  momentum = {"sgd", "rmsprop"}, alpha = {"rmsprop"}, beta1 = {"adam", "adamw"}, beta2 = {"adam", "adamw"},
  epsilon = {"adam", "adamw", "rmsprop"},
}

local function check_owners(opts, where)
  local optimizer = opts.optimizer or "adam"
  for _, name in ipairs{"momentum", "alpha", "beta1", "beta2", "epsilon"} do
    local fine = opts[name] == nil
    for _, owner in ipairs(owners[name]) do fine = fine or owner == optimizer end
    if not fine then
      core.raise(('%s: %s belongs to optimizer = "%s", the optimizer is "%s"'):format(where, name,
        table.concat(owners[name], '" or "'), optimizer))
    end
  end
end

-- Options that mean nothing without another one.
local function check_together(opts, where)
  local function refuse(sentence, ...) core.raise((where .. ": " .. sentence):format(...)) end
  check_owners(opts, where)
  if opts.huber_delta and opts.loss ~= "huber" then refuse('huber_delta belongs to loss = "huber"') end
  if opts.pre_emphasis and opts.loss ~= "esr" then refuse('pre_emphasis belongs to loss = "esr"') end
  for _, name in ipairs{"label_smoothing", "class_weights"} do
    if opts[name] and opts.loss ~= "cross_entropy" then
      refuse('%s belongs to loss = "cross_entropy", the loss is "%s"', name, opts.loss)
    end
  end
  for _, name in ipairs{"schedule_steps", "schedule_factor"} do
    if opts[name] and not opts.schedule then
      refuse('%s belongs to schedule = "step", "exponential" or "cosine"', name)
    end
  end
  if (opts.schedule == "step" or opts.schedule == "cosine") and not opts.schedule_steps then
    refuse('schedule = "%s" needs schedule_steps, a number of updates', opts.schedule)
  end
  if opts.schedule == "exponential" and opts.schedule_steps then
    refuse('schedule = "exponential" has no schedule_steps: its factor holds for every update')
  end
  if opts.schedule_factor == 0 and opts.schedule ~= "cosine" then refuse("schedule_factor must be above 0") end
  if opts.nesterov and (opts.optimizer ~= "sgd" or (opts.momentum or 0) <= 0) then
    refuse('nesterov = true needs optimizer = "sgd" and a momentum')
  end
end

--- The table that core.trainer takes, from checked options (with `loss` in them). where: the method, for messages.
function training.prepare(model, opts, where)
  training.check_loss(model, opts.loss, where)
  check_together(opts, where)
  local result = {}
  for _, name in ipairs(training.names) do result[name] = opts[name] end
  result.loss, result.freeze = opts.loss, nil
  result.class_weights = class_weights(model, opts.class_weights, where)
  result.layer_rates = layer_rates(model, opts, where)
  return result
end

return training
