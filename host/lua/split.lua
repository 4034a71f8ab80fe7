-- split.lua: where the parts of a sequence end, for the `split` methods of texts, tables and windows.

local options = require "lstm.options"

--- Where parts of a sequence of n end: fractions 0.8, 0.1 of 100 -> {80, 90, 100}. For `split` methods; raises at
-- the caller of the method that calls it. unit: what is counted, for messages.
local function cuts(where, n, unit, ...)
  local fractions, ends, sum = {...}, {}, 0
  if #fractions == 0 then error(where .. ": give a fraction, as in split(0.9)", 3) end
  for i, fraction in ipairs(fractions) do
    if type(fraction) ~= "number" or not (fraction > 0 and fraction < 1) then
      error(("%s: fraction %d must be between 0 and 1, got %s"):format(where, i, options.show(fraction)), 3)
    end
    sum = sum + fraction
    ends[i] = math.floor(n * sum + 1e-6)             -- 0.29 * 100 is a hair below 29
  end
  if sum >= 1 - 1e-9 then error(where .. ": the fractions leave nothing for the last part", 3) end
  ends[#ends + 1] = n
  for i, to in ipairs(ends) do
    if to <= (ends[i - 1] or 0) then
      error(("%s: part %d of %d %s would be empty"):format(where, i, n, unit), 3)
    end
  end
  return ends
end

return cuts
