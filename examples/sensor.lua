-- Trains the network of examples/sensor.c and writes it to examples/data/sensor.h, in less than a minute:
--   lstm examples/sensor.lua && lstm export --c build/sensor.safetensors -o examples/data/sensor.h --name sensor
--
-- An accelerometer on a bearing: two tones of the machine, and noise. A damaged bearing also rings briefly each time a
-- ball passes the damage. One number in, the probability that the bearing is damaged out, at every sample.

local lstm = require "lstm"

local T, B, STEPS = 160, 32, 1000

math.randomseed(7)
local function uniform(from, to) return from + (to - from) * math.random() end

-- A machine whose bearing may be damaged from the beginning, break or be exchanged while one listens, or neither: a
-- function that gives a sample, and 1 where the bearing is damaged, else 0.
local function machine()
  local slow, fast, damaged, change = uniform(0.2, 0.3), uniform(0.6, 0.75), math.random(0, 1), math.random(2 * T)
  local at, ring, left = math.random(0, 60), 0, math.random(1, 28)
  return function()
    at, ring, left, change = at + 1, ring * -0.7, left - 1, change - 1
    if change == 0 then damaged = 1 - damaged end
    if left == 0 then
      left = math.random(26, 30)
      if damaged == 1 then ring = uniform(0.6, 0.9) end
    end
    return 0.6 * math.sin(slow * at) + 0.3 * math.sin(fast * at) + uniform(-0.1, 0.1) + ring, damaged
  end
end

local model = lstm.model{input = 1, lstm.lstm(8), lstm.dense(1), loss = "binary_cross_entropy", numerics = "portable",
  read = "all", seed = 3}
local trainer = model:trainer{batch = B, seq = T, lr = 0.015, schedule = "cosine", schedule_steps = STEPS}
local x, y = lstm.zeros{T, B, 1}, lstm.zeros{T, B, 1}
local mean = 0
for step = 1, STEPS do
  for lane = 1, B do
    local sample = machine()
    for t = 1, T do x[t][lane][1], y[t][lane][1] = sample() end
  end
  mean = mean + assert(trainer:train(x, y)) / 100
  if step % 100 == 0 then
    print(("step %d: loss %.4f"):format(step, mean))
    mean = 0
  end
end
assert(model:save(arg[1] or "build/sensor.safetensors"))
