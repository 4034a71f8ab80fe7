-- seeds.lua: where random numbers begin where nobody gives a seed.
--
-- The first use after set(n) gets n itself, later ones other streams: one number repeats a whole script.

local core = require "lstm.core"

local seeds = {}
local base, used = 1, 0

--- Begins anew with this seed (a whole number).
function seeds.set(seed)
  core.rng(seed)                                     -- raises for what is no seed
  base, used = seed, 0
end

--- The next seed.
function seeds.next()
  used = used + 1
  return base + (used - 1) * 1000003
end

--- Where the seeds stand, as a string, and back: for checkpoints.
function seeds.state()
  return ((math.type and math.type(base) == "integer" and "%d" or "%.0f") .. " %.0f"):format(base, used)
end

function seeds.restore(text)
  local a, b = text:match("^(%S+) (%d+)$")
  a, b = tonumber(a), tonumber(b)
  if a and b then base, used = a, b end
end

return seeds
