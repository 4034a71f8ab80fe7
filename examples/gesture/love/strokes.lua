-- strokes.lua: how the network sees strokes, and a generator of the four that the game knows from the start. A stroke
-- is a list x1, y1, x2, y2, ... in pixels. The network gets one input for every `step` pixels of way: the direction of
-- that piece, as cosine and sine. So it does not matter how fast somebody draws or how often the mouse reports.

local cos, floor, max, min, pi, random, sin, sqrt = math.cos, math.floor, math.max, math.min, math.pi, math.random,
  math.sin, math.sqrt

local strokes = {step = 20}

local function between(low, high) return low + (high - low) * random() end

--- Goes one step from (x, y) towards a point, if it is as far away: the new place and the direction, else nothing.
function strokes.walk(x, y, to_x, to_y)
  local dx, dy = to_x - x, to_y - y
  local distance = sqrt(dx * dx + dy * dy)
  if distance < strokes.step then return end
  dx, dy = dx / distance, dy / distance
  return x + dx * strokes.step, y + dy * strokes.step, dx, dy
end

--- The inputs of a whole stroke, as a list of {dx, dy}, at most so many.
function strokes.inputs(s, most)
  local list, x, y = {}, s[1], s[2]
  for i = 3, #s, 2 do
    while #list < most do
      local next_x, next_y, dx, dy = strokes.walk(x, y, s[i], s[i + 1])
      if not next_x then break end
      x, y, list[#list + 1] = next_x, next_y, {dx, dy}
    end
  end
  return list
end

--- The middle of a stroke, and its longer side.
function strokes.middle(s)
  local left, right, top, bottom = s[1], s[1], s[2], s[2]
  for i = 3, #s, 2 do
    left, right = min(left, s[i]), max(right, s[i])
    top, bottom = min(top, s[i + 1]), max(bottom, s[i + 1])
  end
  return (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top, 1)
end

-- --- shapes, about 1 in size -----------------------------------------------------------------------------------------

local function add(s, x, y) s[#s + 1], s[#s + 2] = x, y end

local function line_to(s, x, y)
  local from_x, from_y = s[#s - 1], s[#s]
  for i = 1, 16 do add(s, from_x + (x - from_x) * i / 16, from_y + (y - from_y) * i / 16) end
end

local draw = {}

function draw.circle(s)
  local first, sweep, squash = between(0, 2 * pi), between(5.6, 6.9), between(0.75, 1)
  if random() < 0.5 then sweep = -sweep end
  for i = 0, 60 do
    local angle = first + sweep * i / 60
    add(s, cos(angle) / 2, squash * sin(angle) / 2)
  end
end

function draw.line(s)
  local angle = between(0, 2 * pi)
  add(s, 0, 0)
  line_to(s, cos(angle), sin(angle))
end

function draw.zigzag(s)
  local legs, up, height, width = random(3, 6), random(0, 1), between(0.35, 1), random() < 0.5 and 1 or -1
  add(s, 0, up * height)
  for i = 1, legs do
    line_to(s, width * (i + between(-0.2, 0.2)) / legs, (i % 2 ~= up and height or 0) + between(-0.1, 0.1))
  end
end

function draw.triangle(s)
  local corners = {{0.5, 0}, {1, 0.85}, {0, 0.85}}
  for _, c in ipairs(corners) do c[1], c[2] = c[1] + between(-0.12, 0.12), c[2] + between(-0.12, 0.12) end
  local first, turn = random(0, 2), random(1, 2)
  add(s, corners[first + 1][1], corners[first + 1][2])
  for i = 1, 3 do
    local to = corners[(first + i * turn) % 3 + 1]
    line_to(s, to[1] + between(-0.06, 0.06), to[2] + between(-0.06, 0.06))
  end
end

-- What is none of them: a way that bends and turns as it likes.
function draw.scribble(s)
  local heading, bend, x, y = between(0, 2 * pi), 0, 0, 0
  for _ = 1, random(24, 123) do
    bend = 0.85 * bend + between(-0.22, 0.22)
    if random() < 0.06 then heading = heading + between(-3, 3) end
    heading = heading + bend
    x, y = x + cos(heading), y + sin(heading)
    add(s, x, y)
  end
end

-- --- variety: no hand draws a thing twice the same way ---------------------------------------------------------------

--- A stroke like this one, `size` pixels large: turned, stretched and bent a little, by a hand that shakes.
function strokes.vary(s, size)
  local x, y, old = strokes.middle(s)
  local turn, wide, shake = between(-0.28, 0.28), between(0.82, 1.2), between(0, 1.5)
  local c, n, scale, to, waves = cos(turn), sin(turn), size / old, {}, {}
  for k = 1, 4 do waves[k] = {between(0, 0.045) * size, between(4, 24) / #s, between(0, 2 * pi)} end
  local function bent(k, i)
    local a, b = waves[k], waves[k + 2]
    return a[1] * sin(a[2] * i + a[3]) + b[1] * sin(b[2] * i + b[3]) + between(-shake, shake)
  end
  for i = 1, #s, 2 do
    local across, down = (s[i] - x) * scale * wide, (s[i + 1] - y) * scale / wide
    local at = floor(i / 2)
    add(to, c * across - n * down + bent(1, at), n * across + c * down + bent(2, at))
  end
  return to
end

--- A new stroke of a kind that the generator knows, or a "scribble".
function strokes.make(kind)
  local s, large = {}, random()
  draw[kind](s)
  return strokes.vary(s, 90 + 330 * large * large)
end

return strokes
