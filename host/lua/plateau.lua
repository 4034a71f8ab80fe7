-- plateau.lua: reduces the learning rate where a run no longer gets better.

local history = require "lstm.history"
local options = require "lstm.options"

local plateau = {}
local Plateau = {}
Plateau.__index = Plateau

--- Checks true, or {factor 0.5, patience 2 (looks without an improvement), min_lr 0}: the options, all of them.
-- level: as for options.check. Raises on unknown options.
function plateau.check(given, level)
  return (options.check(given ~= true and given or nil, {
    factor = {type = "number", default = 0.5, above = 0, below = 1},
    patience = {type = "integer", default = 2, min = 1}, min_lr = {type = "number", default = 0, min = 0},
  }, "fit: plateau", level + 1))                     -- no tail call: errors count the levels
end

--- opts: checked ones.
function plateau.new(opts)
  return setmetatable({factor = opts.factor, patience = opts.patience, min_lr = opts.min_lr, waited = 0}, Plateau)
end

--- Tells of a look. Returns whether it is time to reduce the rate.
function Plateau:see(improved)
  self.waited = improved and 0 or self.waited + 1
  if self.waited < self.patience then return false end
  self.waited = 0
  return true
end

--- The reduced rate, or nil where it is at its least already.
function Plateau:reduced(lr)
  local next_lr = math.max(lr * self.factor, self.min_lr)
  return next_lr < lr and next_lr or nil
end

--- Sees all looks of a run that goes on.
function Plateau:replay(record)
  local again = history.new{monitor = record.monitor, mode = record.mode, min_delta = record.min_delta}
  for _, row in ipairs(record) do self:see(again:add(row)) end
end

return plateau
