-- The models of device.c, saved in the folder that is named: plain ones, and one with much of what a cell can have.
local lstm = require "lstm"

local folder = arg[1]
local function save(name, options)
  options.seed = 5
  assert(lstm.model(options):save(folder .. "/" .. name .. ".safetensors"))
end

save("fused", {input = 3, lstm.lstm(8), lstm.dense(2)})
save("portable", {input = 3, lstm.lstm(8), lstm.dense(2), numerics = "portable"})
save("rich", {input = 4, lstm.dense{20, activation = "softsign"}, lstm.lstm{12, peephole = true, layer_norm = true,
  projection = 7, cell_clip = 2, zoneout = 0.125}, lstm.gru(5), output = {"a", "b", "c"}, numerics = "portable"})
save("tokens", {input = lstm.vocab "abcdefgh", lstm.embedding(4), lstm.lstm(9), output = lstm.vocab "abcdefgh",
  numerics = "portable"})
